"""A WebSocket server for the tests, by Python's `websockets`. peer.cjs does the same.

    peer.py PORT [CERTIFICATE KEY]

It serves ws, or wss with a certificate, on 127.0.0.1; port 0 is any free one. The first line that
it prints is the port, and the others say what it saw of its clients. When its input ends, it closes
all connections with 1001 and exits. The path of a connection's URL chooses what it does.
"""

import asyncio
import json
import ssl
import sys
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode


def say(*words):
    print(*words, flush=True)


def asked(request):
    url = urlsplit(request.path)
    return url.path, dict(parse_qsl(url.query))


async def echo(connection, options):
    """/echo sends every message back."""
    async for message in connection:
        await connection.send(message)


async def close(connection, options):
    """/close?code=…&reason=… closes at once."""
    await connection.close(int(options["code"]), options["reason"])


async def terminate(connection, options):
    """/terminate drops the connection at the first message, without a close frame."""
    await connection.recv()
    connection.transport.abort()


async def ping(connection, options):
    """/ping?payload=… pings, and prints when the pong came."""
    await answered_ping(connection, options["payload"])


async def log(connection, options):
    """/log?name=… prints the first word of each message; Reader does so."""
    async for _ in connection:
        pass


class Reader(ServerConnection):
    """Prints what it reads before it answers the ping behind it: this library has the pong written
    before its user is given what came first."""

    def __init__(self, protocol, *args, **kwargs):
        super().__init__(protocol, *args, **kwargs)
        take = protocol.recv_frame

        def recv_frame(frame):
            path, options = asked(self.request)
            if path == "/log" and frame.opcode is Opcode.TEXT:
                say("got", options["name"], bytes(frame.data).split(b" ", 1)[0].decode())
            take(frame)

        protocol.recv_frame = recv_frame


async def fragments(connection, options):
    """/fragments sends messages in pieces, and goes on when a ping between two is answered."""
    euros = "one €, two €".encode()
    # The first cut is inside a character.
    await connection.send(pieces(connection, [euros[:5], euros[5:12], euros[12:]]), text=True)
    await connection.send(pieces(connection, [bytes([n]) * 100_000 for n in range(3)]))


async def pieces(connection, parts):
    for part in parts:
        yield part
        await answered_ping(connection, "between")


async def answered_ping(connection, payload):
    seconds = await (await connection.ping(payload))
    say("pong", json.dumps(payload), f"after {seconds * 1000:.3f} ms")


SCENARIOS = {"/echo": echo, "/close": close, "/terminate": terminate, "/ping": ping, "/log": log, "/fragments": fragments}


async def open_connection(connection):
    path, options = asked(connection.request)
    try:
        await SCENARIOS.get(path, echo)(connection, options)
        await connection.wait_closed()
    except ConnectionClosed:
        pass
    say("closed", connection.close_code, json.dumps(connection.close_reason))


def judge(connection, request):
    """/reject?status=…&retry-after=… refuses all, /private those without a token."""
    path, options = asked(request)
    if path == "/reject":
        refusal = connection.respond(int(options["status"]), "refused\n")
        if "retry-after" in options:
            refusal.headers["Retry-After"] = options["retry-after"]
        return refusal
    if path == "/private" and request.headers.get("Authorization") != "Bearer let-me-in":
        refusal = connection.respond(401, "who is there?\n")
        refusal.headers["WWW-Authenticate"] = 'Bearer realm="peers"'
        return refusal
    return None


def pick(connection, offered):
    """Any path with ?pick=… picks this subprotocol; without, none."""
    _, options = asked(connection.request)
    return options.get("pick")


async def main(port, *certificate):
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    server = serve(
        open_connection, "127.0.0.1", int(port), ssl=tls, process_request=judge,
        select_subprotocol=pick, max_size=16 << 20, create_connection=Reader,
    )
    async with server as listening:
        say(listening.sockets[0].getsockname()[1])
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
