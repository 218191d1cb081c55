"""Builders for eval tests: bundles, suites, a clock, providers in memory, a tiny HTTP server."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from llmvc.core.bundle import Bundle
from llmvc.core.metric import Metric, Scorer
from llmvc.core.suite import Case, Dataset, Suite
from llmvc.evals import plan, runner
from llmvc.evals.plan import Arm, Plan
from llmvc.evals.prices import Prices
from llmvc.evals.providers.base import Answer, Call
from llmvc.evals.runs import RunCache

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, **delta: float) -> None:
        self.time += timedelta(**delta)


def bundle(text: str = "Which team?", **members: object) -> Bundle:
    return Bundle.of(
        "app",
        {
            "messages": [
                {"role": "system", "content": text},
                {"role": "user", "content": "{{question}}"},
            ],
            "model": {"provider": "fake", "id": "m-1"},
            "decoding": {"seed": 7},
            **members,
        },
    )


def cases(count: int = 3) -> tuple[Case, ...]:
    return tuple(Case(f"c{at:03}", {"question": f"q{at}"}, f"a{at}") for at in range(count))


def suite(rows: tuple[Case, ...] | None = None, **changes: object) -> Suite:
    fields = {
        "datasets": (Dataset.of(rows or cases()).digest,),
        "scorers": (Scorer("right", "equals", {}),),
        "runs": 2,
        "metrics": (Metric("quality", "score", ("right",), margin=0.05, floor=0.5),),
        **changes,
    }
    return Suite(**fields)


class Fake:
    """A provider in memory: answers by a function of the call, and counts what it was asked."""

    kind = "python"
    mode = "chat"
    priced_as = None
    self_hosted = True

    def __init__(self, reply: Callable[[Call], Answer] | None = None, name: str = "fake") -> None:
        self.reply = reply or right
        self.name = name
        self.asked: list[tuple[str, str, int]] = []
        self.closed = 0

    def identity(self) -> Mapping[str, object]:
        return {"kind": "fake", "name": self.name}

    def unsupported(self, body: Mapping[str, object]) -> tuple[str, ...]:
        return ()

    async def answer(self, call: Call) -> Answer:
        self.asked.append((call.bundle.digest, call.case.id, call.run))
        return self.reply(call)

    async def aclose(self) -> None:
        self.closed += 1

    @property
    def by_bundle(self) -> Counter[str]:
        return Counter(digest for digest, _, _ in self.asked)


def right(call: Call) -> Answer:
    return Answer(
        output=str(call.case.expected), input_tokens=10, output_tokens=2, latency_s=0.5, model="m-1"
    )


def arms(provider: object, *, baseline: bool = False, **changes: object) -> list[Arm]:
    made = [Arm("candidate", bundle("new"), provider, **changes)]
    return [*made, Arm("baseline", bundle("old"), provider, **changes)] if baseline else made


def measure(
    some: list[Arm],
    store: Path,
    *,
    rows: tuple[Case, ...] | None = None,
    by: Suite | None = None,
    limits: runner.Limits | None = None,
    now: Callable[[], datetime] | None = None,
    prices: Prices | None = None,
    planned: Plan | None = None,
    fresh: bool = False,
    **options: object,
) -> runner.RunResult:
    found = rows or cases()
    asked, most = by or suite(found), limits or runner.Limits(concurrency=2)
    whole = planned or plan.make(some, found, asked)
    with RunCache(store / "runs") as cache:
        ready = runner.prepare(
            whole,
            asked,
            cache,
            most,
            prices=prices or Prices.load(),
            now=now or Clock(),
            fresh=fresh,
        )
        return runner.run(ready, found, most, **options)


class Server:
    """A chat endpoint on the loopback; `replies` are used one a request, the last one for ever.

    A reply is (status, headers, body); a body that is not bytes is sent as JSON. None hangs up.
    """

    def __init__(self, replies: list[tuple[int, dict[str, str], object] | None]) -> None:
        self.replies = replies
        self.requests: list[tuple[dict[str, str], dict[str, object]]] = []
        self.release = threading.Event()
        self.url = ""

    def next(self) -> tuple[int, dict[str, str], object] | None:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def serving(*replies: tuple[int, dict[str, str], object] | None) -> Iterator[Server]:
    state = Server(list(replies))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.requests.append((dict(self.headers), json.loads(body)))
            reply = state.next()
            if reply is None:
                state.release.wait(5)
                self.close_connection = True
                return
            status, headers, content = reply
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        state.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def completion(text: str | None = "a0", **changes: object) -> dict[str, object]:
    return {
        "model": "m-1-2026",
        "system_fingerprint": "fp_1",
        "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
        **changes,
    }
