"""What serving costs: nothing heavy is imported, and a call touches neither disk, net nor lock."""

import builtins
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmvc.runtime import Client
from tests.support.snapshots import simple

Open = Callable[..., Client]
HEAVY = (
    *("click", "yaml", "httpx", "jinja2", "rfc8785", "dulwich", "scipy", "numpy", "jsonschema"),
    *("rich", "fsspec", "ssl", "subprocess", "asyncio", "pathlib"),
)
LATER = ("json", "dataclasses", "threading", "llmvc.core.canon", "llmvc.core.release")
PRINT = "print('\\n'.join(sys.modules))"


def _loaded(code: str, cwd: Path) -> set[str]:
    root = Path(__file__).parents[3]
    script = f"import sys; sys.path.insert(0, {str(root)!r}); {code}; {PRINT}"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=True
    )
    bare = subprocess.run(
        [sys.executable, "-c", f"import sys; {PRINT}"], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split()) - set(bare.stdout.split())


def test_importing_loads_the_resolver_alone(tmp_path: Path) -> None:
    assert _loaded("import llmvc.runtime", tmp_path).isdisjoint((*HEAVY, *LATER))


def test_opening_a_directory_loads_nothing_heavy(tmp_path: Path) -> None:
    simple()[0].write(tmp_path)
    code = "import llmvc.runtime; client = llmvc.runtime.open('.'); client.resolve('support')"
    render = "client.resolve('support').render({'message': 'hi'}); client.close()"
    assert _loaded(f"{code}; {render}", tmp_path).isdisjoint(HEAVY)


def _trap(*_: object, **__: object) -> None:
    raise AssertionError("resolve did more than look up and hash")


def test_a_call_reads_nothing_and_waits_for_nobody(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _, new = simple()
    world.canary("support", new, share_ppm=250_000)
    client = opened(world, max_age_s=3600)
    old = client.resolve("support", unit="u").pin.replace(":canary:1:", ":prod:1:")
    found = []
    with monkeypatch.context() as patched:
        for module, names in {
            builtins: ("open",),
            os: ("open", "stat", "read", "write", "getpid"),
            socket: ("socket",),
            threading: ("Lock", "RLock", "Condition", "Event"),
        }.items():
            for name in names:
                patched.setattr(module, name, _trap)
        for at in range(50):
            found.append(client.resolve("support", unit=f"unit-{at}"))
            found.append(client.resolve("support", pin=old))
        found.append(client.resolve("support"))
    assert {one.arm for one in found} == {"baseline", "canary", "pinned"}


def test_a_call_does_not_wait_for_a_look_that_is_under_way(opened: Open) -> None:
    client = opened(simple()[0])
    with client._refresher._looking:
        assert client.resolve("support", unit="u").seq == 1
