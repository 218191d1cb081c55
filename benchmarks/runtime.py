"""Times what a service pays: the import, a cold open, and each call of resolve.

python benchmarks/runtime.py

Processes alternate with bare interpreters, so that both meet the same neighbours. Calls come in
batches; of their medians and percentiles the least and the middle one are printed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from llmvc import runtime  # noqa: E402
from tests.support.snapshots import World  # noqa: E402

ROUNDS = 20
BATCHES = 15
CALLS = 5_000
TIMED = """
import sys, time
sys.path.insert(0, {root!r})
import llmvc.runtime
start = time.perf_counter()
client = llmvc.runtime.open({folder!r})
client.resolve("support")
print(1e3 * (time.perf_counter() - start))
"""


def world(folder: Path) -> None:
    """Writes 5 bundles of about 4 KB, 32 releases each, one with a canary."""
    made = World()
    for at in range(5):
        name = "support" if at == 0 else f"other-{at}"
        versions = [made.bundle(f"{name} {one}. " + "Be kind. " * 450) for one in range(4)]
        for turn in range(32):
            made.release(name, "prod", versions[turn % 4])
        if at == 0:
            made.canary(name, made.bundle("candidate"), share_ppm=50_000)
    made.write(folder)


def wall_ms(code: str) -> tuple[float, str]:
    """Returns how long a process took, and what it printed."""
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return 1e3 * (time.perf_counter() - start), run.stdout


def call_ns(call: Callable[[], object]) -> tuple[int, int]:
    """Returns the median and the 99th percentile of one call."""
    clock = time.perf_counter_ns
    idle, took = [], []
    for _ in range(CALLS):
        start = clock()
        between = clock()
        call()
        end = clock()
        idle.append(between - start)
        took.append(end - between)
    own = statistics.median(idle)
    took.sort()
    return round(took[CALLS // 2] - own), round(took[CALLS * 99 // 100] - own)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        world(Path(name))
        codes = {
            "bare": "pass",
            "import": "import llmvc.runtime",
            "open": TIMED.format(root=str(ROOT), folder=name),
        }
        found: dict[str, list[float]] = {key: [] for key in codes}
        for at in range(ROUNDS + 1):
            for key, code in codes.items():
                took, said = wall_ms(code)
                if at:
                    found[key].append(float(said) if said else took)
        for name_of, middle in (("median", statistics.median), ("best", min)):
            bare, imported, opened = (middle(found[key]) for key in codes)
            print(f"{name_of:6} import {imported - bare:5.1f} ms beyond {bare:.1f} ms", end="   ")
            print(f"cold open {opened:5.1f} ms of a folder, with what it loads")
        with runtime.open(name, every_s=3600) as client:
            pin = client.resolve("support", unit="u").pin
            older = pin.replace(":canary:1:", ":canary:9:")
            for label, call in {
                "no unit": lambda: client.resolve("support"),
                "no canary": lambda: client.resolve("other-1", unit="conversation-42"),
                "canary": lambda: client.resolve("support", unit="conversation-42"),
                "pin": lambda: client.resolve("support", unit="conversation-42", pin=pin),
                "older pin": lambda: client.resolve("support", unit="conversation-42", pin=older),
            }.items():
                batches = [call_ns(call) for _ in range(BATCHES)]
                told = [
                    f"{name_of} {min(one):6,} to {statistics.median(one):6,} ns"
                    for name_of, one in zip(("p50", "p99"), zip(*batches, strict=True), strict=True)
                ]
                print(f"resolve     {label:10}", "   ".join(told))


if __name__ == "__main__":
    main()
