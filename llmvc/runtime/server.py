"""The agent's HTTP server: sockets, limits, and who may ask.

- It is meant for processes of the same machine: it knows no keys and binds to loopback unless told
  otherwise. A request that a web page could have caused is refused: any `Origin`, a foreign `Host`,
  a body that is not `application/json`.
- What one peer can take is bounded: bytes of a body, connections at once, seconds without a word.
- A connection on which a body was left unread is closed: it would be taken for the next request.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from llmvc.errors import StoreError, UsageError
from llmvc.runtime.agent import Agent
from llmvc.runtime.answers import JSON, Answer, Answers, refusal

MOST_BODY: Final = 2**20
MOST_CONNECTIONS: Final = 256
MOST_REFUSED: Final = 16 * MOST_BODY
"""Bytes of a refused body that are read all the same: else its sender never reads the refusal."""
IDLE_S: Final = 30.0
_HOST: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::[0-9]*)?\Z")
_AT: Final = re.compile(r"(?:(?P<host>[^:\[\]]*|\[[0-9a-fA-F:.]+\]):)?(?P<port>[0-9]{1,5})\Z")


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "llmvc"
    sys_version = ""
    timeout = IDLE_S

    @property
    def _own(self) -> "_Server":
        assert isinstance(self.server, _Server)  # noqa: S101 (it makes its handlers)
        return self.server

    def do_GET(self) -> None:
        """Answers."""
        self._answer_without_body("GET")

    def do_HEAD(self) -> None:
        """Answers as to a GET; `_send` leaves out the body."""
        self._answer_without_body("GET")

    def do_DELETE(self) -> None:
        """Answers."""
        self._answer_without_body("DELETE")

    def do_POST(self) -> None:
        """Reads the body and answers."""
        length = self.headers.get("Content-Length", "")
        known = length.isascii() and length.isdigit() and len(length) < 10
        refused = self._refused()
        if refused is None and self.headers.get_content_type() != JSON:
            refused = refusal(415, "usage", f"the body is not {JSON}")
        if refused is None and not known:
            refused = refusal(411, "usage", "the body has no Content-Length")
        if refused is None and int(length) > MOST_BODY:
            refused = refusal(413, "usage", f"the body has more than {MOST_BODY} bytes")
        if refused is None:
            body = self.rfile.read(int(length))
            self._send(self._own.answers.to("POST", self.path, body))
            return
        self.close_connection = True
        self._send(refused)
        left = min(int(length), MOST_REFUSED) if known else 0
        while left and (part := self.rfile.read1(left)):
            left -= len(part)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuses what is no request that it knows, in JSON as well."""
        self.close_connection = True
        self._send(refusal(code, "usage", explain or message or "not understood"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
        """Says nothing: what was asked for may be private."""

    def _answer_without_body(self, method: str) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        self._send(self._refused() or self._own.answers.to(method, self.path))

    def _refused(self) -> Answer | None:
        """Returns a refusal if a page in a browser may have led the request here."""
        if "Origin" in self.headers:
            return refusal(403, "usage", "pages of a browser are not served here")
        named = _HOST.match(self.headers.get("Host", ""))
        host = named["host"].strip("[]").lower() if named else ""
        if host in self._own.hosts or _is_address(host):
            return None
        return refusal(403, "usage", f"host {host[:80]!r} is not served here")

    def _send(self, answer: Answer) -> None:
        tag = f'"{answer.etag}"' if answer.etag else ""
        same = bool(tag) and tag in self.headers.get("If-None-Match", "")
        self.send_response(304 if same else answer.status)
        if tag:
            self.send_header("ETag", tag)
        self.send_header("Cache-Control", answer.cache)
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        if not same:
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if not same and self.command != "HEAD":
            self.wfile.write(answer.body)


class _Server(ThreadingHTTPServer):
    """Accepts so many connections at once and no more."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answers: Answers) -> None:
        self.answers = answers
        self.hosts = frozenset(("localhost", address[0]))
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Gives a connection a thread, or closes it if too many are open."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: peers hang up as they like."""


@contextmanager
def serve(agent: Agent, at: str) -> Generator[str]:
    """Serves an agent's folder for as long as this lasts.

    Args:
        agent: what keeps the folder current.
        at: `HOST:PORT` or `PORT`; without a host, on loopback.

    Yields:
        The URL at which it is served.

    Raises:
        UsageError: `at` is no address.
        StoreError: it is taken, or not this machine's.
    """
    found = _AT.match(at)
    if found is None or int(found["port"]) > 65535:
        raise UsageError(f"{at!r} is no address", hint="for one: --http 127.0.0.1:8900")
    host = (found["host"] or "127.0.0.1").strip("[]")
    answers = Answers(agent.place.top, lambda: str(agent.trouble) if agent.trouble else None)
    try:
        server = _Server((host, int(found["port"])), answers)
    except OSError as err:
        raise StoreError(f"cannot serve at {at}: {err.strerror or err}") from err
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{server.server_address[1]}"
    agent.tell(f"serving {url}")
    if not _is_loopback(host):
        agent.tell(f"{host} can be reached from other machines, and nobody is asked for a key")
    thread = threading.Thread(
        target=server.serve_forever, args=(0.1,), name="llmvc-http", daemon=True
    )
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()
        answers.close()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
