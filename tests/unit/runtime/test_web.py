"""HTTP that fails in every way that it can: it takes no long, nothing is lost, and health says why."""

import gzip
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from llmvc import runtime
from llmvc.runtime import Client, web
from llmvc.runtime.web import Http
from tests.support.snapshots import World, simple

HEAD = b"HTTP/1.1 %s\r\nConnection: close\r\n"
Fault = Callable[["Line"], None]


class Line:
    """A connection, as a fault has it."""

    def __init__(self, conn: socket.socket, path: str, server: "Faulty") -> None:
        self.conn, self.path, self.server = conn, path, server

    def say(self, status: str, body: bytes = b"", **headers: object) -> None:
        """Answers."""
        told = {"Content-Length": len(body), **{k.replace("_", "-"): v for k, v in headers.items()}}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.conn.sendall(HEAD % status.encode() + lines.encode() + b"\r\n" + body)

    def drip(self, data: bytes) -> None:
        """Sends a byte at a time, each sooner than the timeout, until the peer has gone."""
        try:
            while not self.server.ended.wait(0.05):
                self.conn.sendall(data)
        except OSError:
            return


class Faulty:
    """Serves a world, until it is given a fault."""

    def __init__(self, world: World) -> None:
        self.world, self.fault = world, None
        self.ended = threading.Event()
        self._listens = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listens.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    fault: Fault | None

    def close(self) -> None:
        self.ended.set()
        self._listens.close()

    def _accept(self) -> None:
        while True:
            try:
                conn, _ = self._listens.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(conn,), daemon=True).start()

    def _answer(self, conn: socket.socket) -> None:
        with conn:
            asked = b""
            while b"\r\n\r\n" not in asked:
                if not (more := conn.recv(4096)):
                    return
                asked += more
            line = Line(conn, asked.split()[1].decode(), self)
            (self.fault or self._whole)(line)

    def _whole(self, line: Line) -> None:
        if line.path == "/snapshot.json":
            line.say("200 OK", self.world.data())
        elif data := self.world.objects.get(line.path.removeprefix("/objects/")):
            line.say("200 OK", data)
        else:
            line.say("404 Not Found")


def _loop(line: Line) -> None:
    line.say("302 Found", Location=line.path)


def _longer(line: Line) -> None:
    line.say("302 Found", Location=f"{line.path}x")


def _slow_redirects(line: Line) -> None:
    line.server.ended.wait(0.2)
    _longer(line)


def _ftp(line: Line) -> None:
    line.say("302 Found", Location="ftp://127.0.0.1/snapshot.json")


def _file(line: Line) -> None:
    line.say("302 Found", Location="file:///etc/passwd")


def _nowhere(line: Line) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    line.say("301 Moved", Location=f"http://127.0.0.1:{port}/snapshot.json")


def _gzip(line: Line) -> None:
    line.say("200 OK", gzip.compress(line.server.world.data()), Content_Encoding="gzip")


def _gzip_untold(line: Line) -> None:
    line.say("200 OK", gzip.compress(line.server.world.data()))


def _too_long(line: Line) -> None:
    line.say("200 OK", line.server.world.data(), Content_Length=10**6)


def _too_short(line: Line) -> None:
    line.say("200 OK", line.server.world.data(), Content_Length=40)


def _slow_body(line: Line) -> None:
    line.say("200 OK", Content_Length=10**6)
    line.drip(b" ")


def _slow_chunks(line: Line) -> None:
    line.conn.sendall(HEAD % b"200 OK" + b"Transfer-Encoding: chunked\r\n\r\n")
    line.drip(b"1\r\n \r\n")


def _slow_header(line: Line) -> None:
    line.conn.sendall(HEAD % b"200 OK" + b"X-Slow: ")
    line.drip(b"x")


def _silent(line: Line) -> None:
    line.server.ended.wait(20)


def _hangs_up(line: Line) -> None:
    line.conn.close()


def _reset(line: Line) -> None:
    line.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _no_http(line: Line) -> None:
    line.conn.sendall(b"220 mail.example.org ESMTP\r\n")


def _html(line: Line) -> None:
    line.say("200 OK", b"<html><body>Please log in</body></html>", Content_Type="text/html")


def _empty(line: Line) -> None:
    line.say("200 OK")


def _headers(line: Line) -> None:
    line.conn.sendall(HEAD % b"200 OK" + b"X: y\r\n" * 200 + b"\r\n")


def _wide(line: Line) -> None:
    line.conn.sendall(HEAD % b"200 OK" + b"X: " + b"y" * 100_000 + b"\r\n\r\n")


def _huge(line: Line) -> None:
    line.say("200 OK", Content_Length=10**12)
    try:
        while not line.server.ended.is_set():
            line.conn.sendall(b" " * 2**16)
    except OSError:
        return


def _older(line: Line) -> None:
    line.say("200 OK", b'{"bundles":{},"environments":{},"llmvc":"snapshot/1"}')


def _status(status: str) -> Fault:
    return lambda line: line.say(status)


FAULTS: dict[str, tuple[Fault, str]] = {
    "a redirect to itself": (_loop, "answers 302"),
    "redirects without end": (_longer, "answers 302"),
    "slow redirects": (_slow_redirects, "timed out|in time"),
    "a redirect to ftp": (_ftp, "less safe"),
    "a redirect to a file": (_file, "answers 302"),
    "a redirect to nobody": (_nowhere, "cannot be read"),
    "gzip": (_gzip, "answers in gzip"),
    "gzip that nobody tells of": (_gzip_untold, "snapshot.json: not UTF-8"),
    "a length that is too long": (_too_long, "ended early"),
    "a length that is too short": (_too_short, "snapshot.json: not JSON"),
    "a slow body": (_slow_body, "timed out|in time"),
    "slow chunks": (_slow_chunks, "timed out|in time"),
    "slow headers": (_slow_header, "timed out|in time"),
    "silence": (_silent, "timed out|in time"),
    "a connection that ends": (_hangs_up, "cannot be read"),
    "a reset": (_reset, "cannot be read"),
    "another protocol": (_no_http, "cannot be read"),
    "a page to log in": (_html, "snapshot.json: not JSON"),
    "nothing": (_empty, "snapshot.json: not JSON"),
    "too many headers": (_headers, "cannot be read"),
    "too wide a header": (_wide, "cannot be read"),
    "a body without end": (_huge, "more than"),
    "400": (_status("400 Bad Request"), "answers 400"),
    "401": (_status("401 Unauthorized"), "answers 401"),
    "404": (_status("404 Not Found"), "is missing"),
    "429": (_status("429 Too Many Requests"), "answers 429"),
    "500": (_status("500 Internal Server Error"), "answers 500"),
    "503": (_status("503 Service Unavailable"), "answers 503"),
    "a status that is none": (_status("999 What"), "answers 999"),
}


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    monkeypatch.setattr(web, "MOST", 2**20)
    monkeypatch.setattr("llmvc.core.pointer.MOST", 2**20)
    made = Faulty(simple()[0])
    yield made
    made.close()


def _open(faulty: Faulty) -> Client:
    return runtime.open(Http(faulty.url, timeout_s=0.3), every_s=3600)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_in_time_is_told_and_leaves_the_last_good_one(
    faulty: Faulty, name: str
) -> None:
    fault, problem = FAULTS[name]
    with _open(faulty) as client:
        was = client.resolve("support", unit="u")
        faulty.fault = fault
        look = threading.Thread(target=client.refresh, daemon=True)
        look.start()
        look.join(15)
        assert not look.is_alive()
        health = client.health
        assert (health.ok, health.failures, health.seqs) == (False, 1, {"support/prod": 1})
        assert any(part in str(health.problem) for part in problem.split("|")), health.problem
        assert client.resolve("support", unit="u")[:-1] == was[:-1]
        faulty.fault = None
        assert client.refresh().ok


def test_an_object_that_comes_wrong_refuses_the_snapshot(faulty: Faulty) -> None:
    with _open(faulty) as client:
        tip = faulty.world.release("support", "prod", faulty.world.bundle("third"))
        whole = faulty._whole

        def wrong(line: Line) -> None:
            cut = line.path.startswith("/objects/")
            line.say("200 OK", b"<html>") if cut else whole(line)

        faulty.fault = wrong
        assert "not what its name says" in str(client.refresh().problem)
        assert client.resolve("support").seq == 1
        faulty.fault = None
        assert client.refresh().ok
        assert client.resolve("support").release == tip.digest


def test_nothing_new_without_an_etag_is_nothing_new(faulty: Faulty) -> None:
    with _open(faulty) as client:
        faulty.fault = _status("304 Not Modified")
        assert client.refresh().ok
        faulty.fault = None
        faulty.world.release("support", "prod", faulty.world.bundle("third"))
        assert client.refresh().seqs == {"support/prod": 2}


def test_what_a_redirect_says_beside_is_not_read(faulty: Faulty) -> None:
    def moved(line: Line) -> None:
        if line.path.startswith("/moved"):
            line.path = line.path.removeprefix("/moved")
            faulty._whole(line)
        else:
            line.say("302 Found", Location=f"/moved{line.path}", Content_Length=10**12)
            line.drip(b" " * 2**16)

    with _open(faulty) as client:
        faulty.fault = moved
        assert client.refresh().problem is None


def test_a_redirect_to_another_host_is_followed(faulty: Faulty) -> None:
    other = Faulty(faulty.world)
    faulty.fault = lambda line: line.say("307 Moved", Location=f"{other.url}{line.path}")
    with _open(faulty) as client:
        assert client.resolve("support").seq == 1
    other.close()
