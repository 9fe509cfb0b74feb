# The repositories of /var/git. Klaus's own module for this wants distutils, which trixie lacks.
from klaus import httpauth
from klaus.contrib.wsgi_autoreloading import make_autoreloading_app

# A name of Python 2's times that klaus uses and does not set: without it, who pushes is not asked for a password.
httpauth.PY2 = False


class Accounts:
    """Read anew whenever the list of repositories is."""

    def read(self):
        with open("/var/lib/klaus/htdigest", encoding="utf-8") as file:
            return file.read()


application = make_autoreloading_app(
    "/var/git", "Repositories of this grain", use_smarthttp=True, htdigest_file=Accounts()
)
