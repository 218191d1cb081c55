"""Times what a service pays: the import, a cold open, each call of resolve, and looking.

python benchmarks/runtime.py [--many] [--idle]

Processes alternate with bare interpreters, so that both meet the same neighbours. Calls come in
batches; of their medians and percentiles the least and the middle one are printed. A machine whose
pace changes changes all of it: the ratios, to a bare interpreter and to a plain call, change least.
`--many` reads a large folder, `--idle` asks what processes cost that only look.
"""

import resource
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
PROCESSES = 20
IDLE_S = 20
START = "import sys, time; sys.path.insert(0, {root!r}); start = time.process_time()\n"
CODES = {
    "bare": START,
    "import": START + "import llmvc.runtime\n",
    "open": START
    + "import llmvc.runtime\nstart = time.process_time()\n"
    + "client = llmvc.runtime.open({folder!r})\nclient.resolve('support')\n",
}
IDLE = """
import time, llmvc.runtime
with llmvc.runtime.open({folder!r}):
    time.sleep(2)
    start = time.process_time()
    time.sleep({idle_s})
    print((time.process_time() - start) / {idle_s})
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


def process_ms(code: str) -> tuple[float, float]:
    """Returns the processor time of a process, and of its code after `start`."""
    before = _children_s()
    run = subprocess.run(
        [sys.executable, "-c", code + "print(1e3 * (time.process_time() - start))"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return 1e3 * (_children_s() - before), float(run.stdout)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _plain(bundle: str, env: str = "prod", unit: str | None = None) -> tuple[str, str, str | None]:
    """Stands for the least that a call can be."""
    return bundle, env, unit


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


def starts(folder: str) -> None:
    """Prints what the import and a cold open take."""
    codes = {key: code.format(root=str(ROOT), folder=folder) for key, code in CODES.items()}
    found: dict[str, list[tuple[float, float]]] = {key: [] for key in codes}
    for at in range(ROUNDS + 1):
        for key, code in codes.items():
            took = process_ms(code)
            if at:
                found[key].append(took)
    for name, middle in (("best", min), ("median", statistics.median)):
        bare = middle(whole for whole, _ in found["bare"])
        for key in ("import", "open"):
            own = middle(own for _, own in found[key])
            print(f"{key:8} {name:6} {own:6.1f} ms of CPU, {own / bare:4.2f} x bare {bare:.1f} ms")


def calls(folder: str) -> None:
    """Prints what a call of resolve takes."""
    with runtime.open(folder, every_s=3600) as client:
        pin = client.resolve("support", unit="u").pin
        older = pin.replace(":canary:1:", ":canary:9:")
        asked = {
            "plain call": lambda: _plain("support"),
            "no unit": lambda: client.resolve("support"),
            "no canary": lambda: client.resolve("other-1", unit="conversation-42"),
            "canary": lambda: client.resolve("support", unit="conversation-42"),
            "pin": lambda: client.resolve("support", unit="conversation-42", pin=pin),
            "older pin": lambda: client.resolve("support", unit="conversation-42", pin=older),
        }
        found: dict[str, list[tuple[int, int]]] = {label: [] for label in asked}
        for _ in range(BATCHES):
            for label, call in asked.items():  # in turns: the pace changes within seconds
                found[label].append(call_ns(call))
    plain = found["plain call"]
    for label, batches in found.items():
        medians, tails = zip(*batches, strict=True)
        ratio = statistics.median(a / max(1, b) for a, (b, _) in zip(medians, plain, strict=True))
        print(f"{label:10} p50 {min(medians):6,} to {statistics.median(medians):6,} ns,", end=" ")
        print(f"p99 {min(tails):6,} to {statistics.median(tails):6,} ns, {ratio:4.0f} plain calls")


def many(folder: Path) -> None:
    """Prints what 1,000 bundles in 3 environments take: a cold open, and one release more."""
    made = World()
    names = [f"bundle-{at}" for at in range(1_000)]
    for name in names:
        first, second = made.bundle(f"{name}. " + "Be kind. " * 400), made.bundle(f"{name}, too")
        for env, to in (("prod", first), ("staging", second), ("qa", second)):
            made.release(name, env, to)
    made.write(folder)
    start = time.process_time()
    with runtime.open(folder, every_s=3600) as client:
        opened = time.process_time() - start
        made.release(names[7], "prod", made.bundle("new"))
        made.write(folder)
        start = time.process_time()
        client.refresh()
        swapped = time.process_time() - start
        start = time.process_time()
        client.refresh()
        looked = time.process_time() - start
    size = sum(path.stat().st_size for path in (folder / "objects").iterdir()) / 2**20
    print(f"1,000 bundles x 3 environments, {size:.0f} MB: open {opened:.2f} s of CPU,", end=" ")
    print(f"a release more {1e3 * swapped:.0f} ms, a look {1e3 * looked:.2f} ms")


def idle(folder: str) -> None:
    """Prints what processes that only look at a folder take of a core."""
    code = IDLE.format(folder=folder, idle_s=IDLE_S)
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(PROCESSES)
    ]
    shares = sorted(100 * float(one.communicate()[0]) for one in running)
    middle, most = statistics.median(shares), shares[-1]
    print(f"{PROCESSES} idle processes: {middle:.2f}% of a core each, the most {most:.2f}%")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        if "--many" in sys.argv:
            many(Path(name))
            return
        world(Path(name))
        if "--idle" in sys.argv:
            idle(name)
            return
        starts(name)
        calls(name)


if __name__ == "__main__":
    main()
