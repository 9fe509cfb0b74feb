"""Who may push: admin, whose first password is tea-for-two."""

import hashlib
import os

salt = os.urandom(16)
with open("/var/lib/hg/account", "wb") as file:
    file.write(salt + hashlib.scrypt(b"admin:tea-for-two", salt=salt, n=16384, r=8, p=1))
