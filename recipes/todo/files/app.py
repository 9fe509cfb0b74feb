"""A list of things to do: all who look at it see it change."""

import asyncio
import hashlib
import hmac
import sqlite3
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.websockets import WebSocketDisconnect

STATE = Path("/var/lib/todo")
HERE = Path(__file__).parent

templates = Jinja2Templates(directory=HERE / "templates")
database = sqlite3.connect(STATE / "todo.db", isolation_level=None)
database.row_factory = sqlite3.Row
CHANGES = {"done": "UPDATE things SET done = 1 WHERE id = ?", "delete": "DELETE FROM things WHERE id = ?"}
# The queues of the pages that are open.
watchers: set[asyncio.Queue] = set()


def digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=16384, r=8, p=1)


def tell(what: str) -> None:
    for queue in watchers:
        queue.put_nowait(what)


def found(text: str) -> list[dict]:
    rows = database.execute(
        "SELECT id, what, done FROM things WHERE instr(lower(what), lower(?)) ORDER BY done, id", (text,)
    )
    return [{"id": row["id"], "what": row["what"], "done": bool(row["done"])} for row in rows]


def signed_in(endpoint):
    async def checked(request: Request):
        if "user" not in request.session:
            return RedirectResponse("/login", status_code=303)
        return await endpoint(request)

    return checked


async def login(request: Request):
    if request.method == "GET":
        return templates.TemplateResponse(request, "login.html")
    async with request.form() as form:
        name, password = str(form.get("user", "")), str(form.get("password", ""))
    row = database.execute("SELECT salt, digest FROM accounts WHERE name = ?", (name,)).fetchone()
    if row is None or not hmac.compare_digest(row["digest"], digest(password, row["salt"])):
        return templates.TemplateResponse(request, "login.html", {"wrong": True}, status_code=403)
    request.session["user"] = name
    return RedirectResponse("/", status_code=303)


async def logout(request: Request):
    request.session.clear()
    return RedirectResponse("/login", status_code=303)


@signed_in
async def page(request: Request):
    text = request.query_params.get("q", "")
    return templates.TemplateResponse(request, "list.html", {"things": found(text), "q": text})


@signed_in
async def add(request: Request):
    async with request.form() as form:
        # One by hand, or each line of a file.
        text = str(form.get("what", ""))
        if "file" in form:
            text = (await form["file"].read()).decode("utf-8", "replace")
    lines = [(line.strip(),) for line in text.splitlines() if line.strip()]
    database.execute("BEGIN")
    database.executemany("INSERT INTO things (what) VALUES (?)", lines)
    database.execute("COMMIT")
    tell(f"new: {len(lines)}")
    return RedirectResponse("/", status_code=303)


@signed_in
async def change(request: Request):
    how, key = request.path_params["how"], request.path_params["id"]
    row = database.execute("SELECT what FROM things WHERE id = ?", (key,)).fetchone()
    if row is None or how not in CHANGES:
        return templates.TemplateResponse(request, "missing.html", status_code=404)
    database.execute(CHANGES[how], (key,))
    tell(how + ": " + row["what"])
    return RedirectResponse("/", status_code=303)


@signed_in
async def export(request: Request):
    return JSONResponse(found(""), headers={"Content-Disposition": 'attachment; filename="todo.json"'})


async def changes(socket):
    if "user" not in socket.session:
        await socket.close(code=1008)
        return
    await socket.accept()
    queue: asyncio.Queue = asyncio.Queue()
    watchers.add(queue)

    async def send():
        while True:
            await socket.send_text(await queue.get())

    sender = asyncio.create_task(send())
    try:
        await socket.send_text("watching")
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        watchers.discard(queue)
        sender.cancel()


async def missing(request: Request, error: Exception):
    return templates.TemplateResponse(request, "missing.html", status_code=404)


app = Starlette(
    routes=[
        Route("/", page),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/add", add, methods=["POST"]),
        Route("/{how:str}/{id:int}", change, methods=["POST"]),
        Route("/export.json", export),
        WebSocketRoute("/changes", changes),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ],
    # Cookies are signed, and sent with no form of another site.
    middleware=[Middleware(SessionMiddleware, secret_key=(STATE / "secret").read_text(), same_site="lax")],
    exception_handlers={404: missing},
)
