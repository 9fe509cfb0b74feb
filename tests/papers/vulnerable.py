"""vulnerable.py STATUS OUT: writes data for debsecan by which one package of a dpkg status is vulnerable.

CVE-2000-0001 is mended by a later version of the package's source than the one that is there, CVE-2000-0002 by this very version.
Prints name, source and source version of the package.
"""

import re
import sys
import zlib

status, out = sys.argv[1:]
with open(status, encoding="utf-8") as file:
    stanzas = [dict(re.findall(r"^(\S+): (.*)$", stanza, re.M)) for stanza in file.read().strip().split("\n\n")]
# Of a source with one binary package here, so that one line is due.
names = [stanza.get("Source", stanza["Package"]).split()[0] for stanza in stanzas]
stanza = next(one for one, name in zip(stanzas, names) if "Source" in one and names.count(name) == 1)
source, version = re.match(r"(\S+)(?: \((.*)\))?", stanza["Source"]).groups()
version = version or stanza["Version"]
lines = [
    "VERSION 1",
    "CVE-2000-0001,,made up",
    "CVE-2000-0002,,made up",
    "",
    f"{source},0,SH F,{version}+mended,",
    f"{source},1,SH F,{version},",
    "",
    f"{source},{stanza['Package']}",
    "",
]
with open(out, "wb") as file:
    file.write(zlib.compress("\n".join(lines).encode()))
print(stanza["Package"], source, version)
