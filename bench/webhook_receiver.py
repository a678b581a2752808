"""A process that receives deliveries and counts them: asked by lines of JSON, as a peer is.

It does the least that HTTP allows, so that what is measured is the server that sends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httptools
import uvloop

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Received:
    """The ids that have come, and when the last one did, by the clock that all processes share."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Counts anew."""
        self.ids: set[str] = set()
        self.deliveries = 0
        self.last = 0.0

    def take(self, id: str) -> None:
        """One delivery."""
        self.last = time.monotonic()
        self.deliveries += 1
        self.ids.add(id)

    def told(self) -> dict[str, Any]:
        """What there is to say."""
        return {"events": len(self.ids), "deliveries": self.deliveries, "last": self.last}


class Connection(asyncio.Protocol):
    """One connection of the sender."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"webhook-id":
            self._id = value.decode()

    def on_message_complete(self) -> None:
        self._received.take(self._id)
        self._transport.write(_ANSWER)


async def serve() -> None:
    """Listens, says where, and answers each line with what has come; `forget` counts anew."""
    loop = asyncio.get_running_loop()
    received = Received()
    server = await loop.create_server(lambda: Connection(received), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while line := await reader.readline():
        print(json.dumps({"port": port, **received.told()}), flush=True)
        if json.loads(line).get("forget"):
            received.forget()


if __name__ == "__main__":
    uvloop.run(serve())
