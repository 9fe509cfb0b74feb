import base64
import hashlib
import hmac

from mercurial import demandimport

demandimport.enable()

from mercurial.hgweb import hgweb

pages = hgweb(b"/app/hgrc")
with open("/var/lib/hg/account", "rb") as file:
    account = file.read()


def known(header):
    """Whether the header of a request has the name and the password of setup.py."""
    try:
        given = base64.b64decode(header.removeprefix("Basic "))
    except ValueError:
        return False
    return hmac.compare_digest(account[16:], hashlib.scrypt(given, salt=account[:16], n=16384, r=8, p=1))


def application(environ, start_response):
    # What a push sends is a POST, and nothing else is.
    if environ["REQUEST_METHOD"] == "POST" and not known(environ.get("HTTP_AUTHORIZATION", "")):
        start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="Mercurial"'), ("Content-Type", "text/plain")])
        return [b"A push wants a name and a password.\n"]
    # Feeds name the server by these, and not by what the browser asked for.
    name, _, port = environ["HTTP_HOST"].partition(":")
    environ["SERVER_NAME"], environ["SERVER_PORT"] = name, port or "80"
    return pages(environ, start_response)
