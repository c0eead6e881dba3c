"""MCP in front of a Desk, with the official Python SDK: over HTTP on loopback, or over two byte streams.

Owns: the protocol, the token, the address. Does not own: what a call does (`desk`). The SDK and the web server
are imported only when a server starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import __version__
from harness.agents.external.desk import Desk

if TYPE_CHECKING:
    from mcp.server import Server

HOST, PATH = "127.0.0.1", "/mcp"
MOST_REQUEST_BYTES = 1_000_000
HEADER_BYTES = 500
"""What a request counts beside its body."""
CHUNK = 65_536
STARTING_S = 0.01
Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Endpoint(NamedTuple):
    """Where the tools are, and what opens them."""

    url: str
    token: str


def mcp_server(desk: Desk) -> Server[Any]:
    """The tools of a trial as an MCP server."""
    from mcp import types
    from mcp.server import Server

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        tools = [
            types.Tool(name=each.name, description=each.description, input_schema=dict(each.parameters))
            for each in desk.schemas()
        ]
        return types.ListToolsResult(tools=tools)

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        reply = await desk.call(params.name, params.arguments or {})
        text = types.TextContent(type="text", text=reply.text)
        return types.CallToolResult(content=[text], is_error=not reply.ok)

    told = desk.task()
    return Server(
        "incident",
        version=__version__,
        instructions=f"{told['system']}\n\n{told['task']}",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


@contextlib.asynccontextmanager
async def serve_http(desk: Desk, port: int = 0) -> AsyncIterator[Endpoint]:
    """Serve on loopback, on any free port unless one is given, for whoever has the token."""
    import uvicorn

    class Quiet(uvicorn.Server):
        """Leaves the signals of the process to the harness."""

        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield

    token = secrets.token_urlsafe(24)
    app = mcp_server(desk).streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=MOST_REQUEST_BYTES,
        host=HOST,
    )
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        settings = uvicorn.Config(
            Gate(app, desk, token),
            log_config=None,
            log_level="critical",
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = Quiet(settings)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(STARTING_S)
            yield Endpoint(f"http://{HOST}:{listening.getsockname()[1]}{PATH}", token)
        finally:
            server.should_exit = True
            await serving


class Gate:
    """ASGI: lets in who has the token, and counts what is sent."""

    def __init__(self, app: Any, desk: Desk, token: str) -> None:
        self._app = app
        self._desk = desk
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._desk.count(HEADER_BYTES)

        async def counted() -> Any:
            message = await receive()
            self._desk.count(len(message.get("body", b"")))
            return message

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                self._desk.garbled += 1
            await send(message)

        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._expected):
            await self._app(scope, counted, watched)
        else:
            await refuse(watched)


async def refuse(send: Send) -> None:
    """Answer a request without the token."""
    body = json.dumps({"error": "send the trial's token: Authorization: Bearer ..."}).encode()
    headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve_streams(desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client that writes JSON lines to `reader` and reads them from `writer`, until it hangs up."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    incoming, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write_stream, outgoing = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        async with incoming:
            async for line in lines(reader, desk):
                try:
                    message = jsonrpc_message_adapter.validate_json(line)
                except ValueError:
                    desk.garbled += 1
                else:
                    await incoming.send(SessionMessage(message))

    async def write() -> None:
        async with outgoing:
            async for message in outgoing:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                with contextlib.suppress(ConnectionError):
                    writer.write(text.encode() + b"\n")
                    await writer.drain()

    server = mcp_server(desk)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        tasks.start_soon(write)
        await server.run(read_stream, write_stream, server.create_initialization_options())
        tasks.cancel_scope.cancel()


async def lines(reader: asyncio.StreamReader, desk: Desk) -> AsyncIterator[bytes]:
    """Lines of any length that the meter allows."""
    rest = b""
    while (chunk := await reader.read(CHUNK)) and not desk.over.is_set():
        desk.count(len(chunk))
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            if line.strip():
                yield line
