"""A server that says exactly the bytes it is told to, on the loopback, and the shapes of real APIs."""

import json
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SHAPES = Path(__file__).parents[2] / "data" / "wire"
HANG_UP = b""


def shape(name: str) -> bytes:
    return (SHAPES / name).read_bytes()


def shapes(name: str) -> dict[str, list[list[object]]]:
    return json.loads(shape(name))


def reply(
    content: bytes | object, status: int = 200, headers: Sequence[str] = (), *, length: int = -1
) -> bytes:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    size = len(data) if length < 0 else length
    lines = [f"HTTP/1.1 {status} X", f"content-length: {size}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data


def stream(*chunks: bytes, end: bool = True) -> list[bytes]:
    """Returns an event stream, cut where the caller says."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    body = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk]
    return [head, *body, *([b"0\r\n\r\n"] if end else [])]


class Raw:
    """A server on the loopback.

    Attributes:
        url: its address.
        asked: the bodies, in the order in which they came.
        heads: the request lines and headers.
        connections: how many were opened.
        ending: set when it is to stop.
    """

    def __init__(self, script: Sequence[bytes | list[bytes]]) -> None:
        self.asked: list[bytes] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self.ending = threading.Event()
        self._script = list(script)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    @property
    def posts(self) -> int:
        return sum(head.startswith(b"POST") for head in self.heads)

    def accept(self) -> None:
        with self._listener:
            while not self.ending.is_set():
                with suppress(TimeoutError):
                    peer, _ = self._listener.accept()
                    self.connections += 1
                    threading.Thread(target=self._converse, args=(peer,), daemon=True).start()

    def _converse(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            peer.settimeout(5)
            while (came := _read(peer)) is not None and not self.ending.is_set():
                for piece in self._next(*came):
                    if piece == HANG_UP:
                        return
                    peer.sendall(piece)

    def _next(self, head: bytes, body: bytes) -> list[bytes]:
        with self._lock:
            self.heads.append(head)
            if head.startswith(b"GET"):
                return [reply(b"", 404)]
            self.asked.append(body)
            said = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return said if isinstance(said, list) else [said]


def _read(peer: socket.socket) -> tuple[bytes, bytes] | None:
    """Returns a request's head and body; None if there is no further one."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    while length is not None and len(body) < int(length[1]):
        body += peer.recv(65536)
    return head, body


@contextmanager
def raw(*script: bytes | list[bytes]) -> Iterator[Raw]:
    """Serves replies, one a request and the last for ever; it knows no page to get.

    A reply that is a list is sent piece by piece; HANG_UP in it ends the connection.
    """
    server = Raw(script)
    accepting = threading.Thread(target=server.accept)
    accepting.start()
    try:
        yield server
    finally:
        server.ending.set()
        accepting.join()
