"""The first start of a grain: its key, its database, and admin, whose first password is tea-for-two."""

import hashlib
import secrets
import sqlite3
from pathlib import Path

state = Path("/var/lib/todo")
state.mkdir(parents=True)
(state / "secret").write_text(secrets.token_urlsafe(48))
(state / "secret").chmod(0o600)
salt = secrets.token_bytes(16)
digest = hashlib.scrypt(b"tea-for-two", salt=salt, n=16384, r=8, p=1)
with sqlite3.connect(state / "todo.db") as database:
    database.execute("CREATE TABLE accounts (name TEXT PRIMARY KEY, salt BLOB NOT NULL, digest BLOB NOT NULL)")
    database.execute(
        "CREATE TABLE things (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0)"
    )
    database.execute("INSERT INTO accounts VALUES ('admin', ?, ?)", (salt, digest))
