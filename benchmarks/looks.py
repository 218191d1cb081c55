"""Measures what one look costs here: at a Git remote, through the agent, and over HTTP.

    python benchmarks/looks.py

Everything is local or on loopback, so add the round trips and TLS of your network.
"""

import http.client
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.run import repository, run
from benchmarks.timing import ENVIRON, LLMVC
from llmvc.app import serving
from llmvc.app.workspace import Workspace
from llmvc.runtime.server import serve
from llmvc.runtime.sources import Directory, Source
from llmvc.runtime.web import Http

ROUNDS = 50


def cpu_s() -> float:
    """Returns processor seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def show(name: str, look: Callable[[], object]) -> None:
    """Prints a row: wall time, least and median, and processor time, all of one look in ms."""
    look()
    times: list[float] = []
    began = cpu_s()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        look()
        times.append(1000 * (time.perf_counter() - start))
    used = 1000 * (cpu_s() - began) / ROUNDS
    print(f"| {name} | {min(times):.2f} | {statistics.median(times):.2f} | {used:.2f} |")


def tag_of(source: Source) -> str:
    """Returns the tag of what a source holds now."""
    found = source.pointer(None)
    assert found is not None
    return found[1]


def main() -> None:
    """Measures and prints a Markdown table."""
    print("| one look, nothing new | least ms | median ms | processor ms, both ends |")
    print("|---|---|---|---|")
    os.environ |= {name: ENVIRON[name] for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")}
    with tempfile.TemporaryDirectory() as name:
        repo, remote, node, served = (Path(name) / one for one in ("repo", "remote", "node", "out"))
        repo.mkdir()
        repository(repo)
        for bare in (remote, node):
            run(repo, "git", "init", "--quiet", "--bare", str(bare))
        run(repo, "git", "remote", "add", "origin", str(remote))
        run(node, "git", "remote", "add", "origin", str(remote))
        run(repo, *LLMVC, "-q", "push")
        listing = ["git", "ls-remote", str(remote), "refs/llmvc/*"]
        show(
            "`git ls-remote`, file",
            lambda: subprocess.run(listing, check=True, capture_output=True),
        )
        ws = Workspace.open(node)
        agent = serving.agent(ws, served, every_s=2, tell=print)
        show("`llmvc agent`, remote is a folder", agent.look)
        with serve(agent, "127.0.0.1:0") as url:
            source = Http(url)
            tag = tag_of(source)
            show(
                "runtime over HTTP, 304 and `checked`",
                lambda: (source.pointer(tag), source.checked()),
            )
            kept = http.client.HTTPConnection(url.removeprefix("http://"))

            def ask() -> None:
                kept.request("GET", "/snapshot.json", headers={"If-None-Match": tag})
                kept.getresponse().read()

            show("GET of the pointer, 304, connection kept", ask)
        folder = Directory(served)
        seen = tag_of(folder)
        show("runtime on a folder", lambda: (folder.pointer(seen), folder.checked()))
        ws.repo.close()


if __name__ == "__main__":
    main()
