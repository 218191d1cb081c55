"""The example service goes through a whole release while it is under load."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from llmvc.files.shipped import shipped
from tests.support.build import environ
from tests.support.cli import child

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

EXAMPLE = shipped("examples", "service")
CANARY = """
  canary:
    canary:
      of: prod
      unit: conversation
      steps: [5%, 25%]
      min_units: 20
      min_duration: 1s
      alpha: 0.1
      guardrails:
        - {metric: errors, margin: 0.3}
        - {metric: latency, limit: 5.0}
"""
GEMMA = "local/gemma-3-270m-q4_k_m"


class Service:
    """The service, its model, its logs and its releases, each real."""

    def __init__(self, folder: Path) -> None:
        self.repo = folder / "repo"
        self.snapshot = folder / "snapshot"
        self.events = folder / "events"
        self.fleet = self.snapshot / "fleet"

    def llmvc(self, *args: str, code: int = 0) -> str:
        done = child(*args, cwd=self.repo)
        assert done.code == code, f"llmvc {' '.join(args)}: {done}"
        return done.out

    def git(self, *args: str) -> None:
        command = ["git", *args]
        subprocess.run(command, cwd=self.repo, check=True, capture_output=True, env=environ())

    def made(self) -> None:
        """Makes the repository, with the first prompt in prod and a remote beside it."""
        shutil.copytree(shipped("examples", "support"), self.repo)
        self.git("init", "--quiet", "--initial-branch=main")
        config = self.repo / ".llmvc" / "config.yaml"
        told = config.read_text(encoding="utf-8")
        config.write_text(told.replace("\n  prod: {}\n", f"\n  prod: {{}}{CANARY}"), "utf-8")
        suite = self.repo / "evals" / "support" / "suite.yaml"
        wide = suite.read_text(encoding="utf-8").replace("margin: 0.04", "margin: 0.15")
        suite.write_text(wide, encoding="utf-8")
        remote = self.repo.parent / "remote.git"
        subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True, env=environ())
        self.git("remote", "add", "origin", str(remote))
        self.llmvc("init")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "support")
        self.git("push", "--quiet", "--no-verify", "origin", "main")
        self.git("config", "llmvc.fleet", str(self.fleet))
        self.llmvc("commit", "support", "-m", "first prompt")
        self.llmvc("eval", "support", "--env", "prod")
        self.llmvc("promote", "support", "prod")
        self.llmvc("push")

    @contextmanager
    def served(self, workers: int) -> Iterator[str]:
        """Runs the model and the service; yields the service's address."""
        model, own = _free_ports(2)
        env = {
            "SERVICE_BUNDLES": str(self.snapshot),
            "SERVICE_EVENTS": str(self.events / "events.jsonl"),
            "SERVICE_FLEET": str(self.fleet),
            "SERVICE_KEY": "a key that only this test knows",
            "SERVICE_MODEL": f"http://127.0.0.1:{model}",
        }
        with (
            _agent(self.repo.parent / "remote.git", self.snapshot),
            _uvicorn("model:app", model, 1, env),
            _uvicorn("app:app", own, workers, env),
        ):
            yield f"http://127.0.0.1:{own}"


@contextmanager
def _agent(remote: Path, to: Path) -> Iterator[None]:
    """Runs the one agent of a node, in a clone of its own."""
    node = to.parent / "node"
    subprocess.run(["git", "clone", "--quiet", remote, node], check=True, env=environ())
    command = [sys.executable, "-m", "llmvc", "agent", "--to", str(to), "--every", "500ms"]
    process = subprocess.Popen(command, cwd=node, env=environ())
    try:
        _wait((to / "snapshot.json").exists, "the agent writes nothing")
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def _uvicorn(app: str, port: int, workers: int, env: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--workers"]
    command += [str(workers), "--log-level", "warning", "--no-access-log"]
    process = subprocess.Popen(command, cwd=EXAMPLE, env={**environ(), **env})
    try:
        _wait(lambda: _answers(port), f"{app} does not answer")
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/openapi.json")
    except httpx.HTTPError:
        return False
    return True


def _wait(done: Callable[[], bool], what: str, seconds: float = 60, every: float = 0.1) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what
        time.sleep(every)


def _free_ports(number: int) -> list[int]:
    with ExitStack() as held:  # all at once, or one may be given twice
        found = [held.enter_context(socket.socket()) for _ in range(number)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


class Load(threading.Thread):
    """The example's own load, for as long as the story lasts; light, or llmvc would wait for it."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.rounds: list[dict] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            command = [sys.executable, "load.py", self.url, "--seconds", "3", "--turns", "2"]
            command += ["--prefix", f"round-{len(self.rounds)}", "--at-once", "8"]
            done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=True)
            self.rounds.append(json.loads(done.stdout))


class Conversation:
    """One that lasts as long as the story; it sends back the pin that it was given."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.ticket: dict[str, str] = {"conversation": name, "text": "Where is my parcel?"}

    def turn(self) -> str:
        """Returns the digest of the bundle that answered."""
        response = httpx.post(f"{self.url}/answer", json=self.ticket, timeout=30)
        told = response.raise_for_status().json()
        self.ticket["pin"] = told["pin"]
        return told["digest"]


def test_a_release_from_migration_to_rollback_fails_no_request_and_mixes_no_conversation(tmp_path):
    service = Service(tmp_path)
    service.made()
    first = service.llmvc("resolve", "support@prod").strip()
    with service.served(workers=3) as url:
        load = Load(url)
        load.start()
        logs = str(service.events / "*")
        early = Conversation(url, "begun before")
        assert early.turn() == first
        service.llmvc("migrate", "support", "--model", GEMMA, "--env", "prod")
        candidate = service.llmvc("resolve", "support").strip()
        plan = service.llmvc("canary", "plan", "support", "--traffic", "100000", "--logs", logs)
        assert "5%" in plan
        service.llmvc("canary", "start", "support", "canary")
        _wait(lambda: _ticked(service, logs, candidate), "the canary does not end", 150, every=1)
        _moved(service)
        late = Conversation(url, "begun after")
        assert [early.turn(), late.turn()] == [first, candidate]
        before = len(load.rounds)
        back = ("rollback", "support", "prod", "--reason", "refund tone", "--wait", "20")
        assert "release 3: all 3 processes moved" in service.llmvc(*back)
        assert [early.turn(), late.turn()] == [first, first], "a pin that was revoked holds nobody"
        assert service.llmvc("resolve", "support@prod").strip() == first
        _wait(lambda: len(load.rounds) > before + 1, "the load stands still")
        load.over.set()
        load.join(timeout=60)
    assert sum(len(one["failures"]) for one in load.rounds) == 0, load.rounds
    assert sum(one["requests"] for one in load.rounds) > 500
    changed = [tuple(change[1:]) for one in load.rounds for change in one["changed"]]
    assert set(changed) <= {(candidate, first)}, "only a pin that was revoked may change"
    assert not any(one["changed"] for one in load.rounds[:before])
    _told_by_a_clone(service, first, candidate)


def _ticked(service: Service, logs: str, candidate: str) -> bool:
    """Does what a scheduler would, and says whether prod serves the candidate."""
    done = child("canary", "run", "support", "--logs", logs, "--promote", cwd=service.repo)
    assert done.code == 0, done
    return service.llmvc("resolve", "support@prod").strip() == candidate


def _moved(service: Service) -> None:
    _wait(
        lambda: child("fleet", "support", "prod", cwd=service.repo).code == 0,
        "the fleet does not move",
    )


def _told_by_a_clone(service: Service, first: str, candidate: str) -> None:
    clone = service.repo.parent / "clone"
    remote = str(service.repo.parent / "remote.git")
    subprocess.run(["git", "clone", "--quiet", remote, clone], check=True, env=environ())
    assert child("fetch", cwd=clone).code == 0
    prod = json.loads(child("log", "support@prod", "--json", cwd=clone).out)["releases"]
    canary = json.loads(child("log", "support@canary", "--json", cwd=clone).out)["releases"]
    assert [one["kind"] for one in prod] == ["rollback", "migrate", "promote"]
    assert [one["kind"] for one in canary] == ["close", "step", "start"]
    assert [one["to"] for one in prod] == [first, candidate, first]
    assert prod[0]["reason"] == "refund tone"
    assert all(one["report"] for one in (*prod[1:], *canary)), "nothing moved without evidence"
    assert child("fsck", cwd=clone).code == 0
