"""Goals 9 and 10, costs, latencies and groups: what a release meets beside its scores."""

import json
import subprocess
import sys
from typing import Any

from benchmarks.figures.lab import Figure, Job, Lab, at_most, note, true
from llmvc.core.metric import Metric
from llmvc.core.suite import Case, Suite
from llmvc.errors import Inconclusive
from llmvc.gate.design import refuse_hopeless
from tests.stats.simulations import limits, rates

MOST_ERRORS = 0.065
COST_SIZES = (50, 100, 150, 300)
LATENCY_SIZES = (60, 100, 300)
GROUPS = ((15, True), (30, True), (30, False), (60, False))

SPEED = """
import json, resource, sys, time
import numpy as np
from llmvc.stats import compare
from llmvc.stats.quantile import quantile_ratio
from llmvc.stats.samples import group
kind, rng = sys.argv[1], np.random.default_rng(0)
arms = [rng.random((10_000, 10)) + (kind == "latency") for _ in range(2)]
if kind == "p95":
    rows, alone = [(arm + 1).tolist() for arm in arms], group([None] * 10_000)
start = time.perf_counter()
if kind == "p95":
    quantile_ratio(rows[0], rows[1], alone, q=0.95, limit=1.2)
else:
    compare(*arms, margin=0.05, kind=kind)
took = time.perf_counter() - start
print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
TRIES = 5


def costs(lab: Lab) -> list[Figure]:
    """Measures cost with lognormal tails and with runaways, beside an unguarded test."""
    figures: list[Figure] = []
    for runaways, what in (
        (None, "lognormal"),
        ("shared", "2% of the cases at 30 times the cost"),
        ("own", "2% at 30 times, others in each arm"),
    ):
        jobs: list[Job] = [(limits.costs, (n, 1.1), {"runaways": runaways}) for n in COST_SIZES]
        figures += _errors(lab, "cost", what, jobs)
    rare = lab.run(
        "cost rare", [(limits.costs, (n, 1.1), {"runaways": "candidate"}) for n in COST_SIZES]
    )
    shown = ", ".join(
        f"{item.passes:.0%} at n={n}" for n, item in zip(COST_SIZES, rare, strict=True)
    )
    what = "false pass where only the candidate has runaways and is cheaper otherwise"
    return [*figures, note("cost", what, shown)]


def latencies(lab: Lab) -> list[Figure]:
    """Measures p50 and p95 of latency."""
    figures: list[Figure] = []
    for q in (0.5, 0.95):
        jobs: list[Job] = [(limits.latencies, (n, 1.2), {"q": q}) for n in LATENCY_SIZES]
        figures += _errors(lab, "latency", f"p{q * 100:.0f}", jobs, times=0.5)
        (same,) = lab.run(f"latency {q}", [(limits.latencies, (100, 1.0), {"q": q})], times=0.25)
        figures.append(
            note("latency", f"p{q * 100:.0f}, pass at no change, n=100", f"{same.passes:.0%}")
        )
    return figures


def groups(lab: Lab) -> list[Figure]:
    """Measures harm that strikes whole groups, beside a test that ignores them."""
    figures: list[Figure] = []
    for count, equal in GROUPS:
        sizes = "equal" if equal else "unequal"
        quiet, harmed = lab.run(
            f"groups {count} {sizes}",
            [(limits.groups, (count, drop), {"equal": equal}) for drop in (0.0, 0.08)],
        )
        where = f"{count} {sizes} groups"
        for what, rate in (("false fail", quiet.fails), ("false pass", harmed.passes)):
            error = rates.error(rate, quiet.replications)
            figures.append(at_most("groups", f"{what}, {where}", MOST_ERRORS, rate, error))
        figures.append(
            note(
                "groups", f"false pass if groups are ignored, {where}", f"{harmed.naive_passes:.0%}"
            )
        )
    return figures


def goal_9(_lab: Lab) -> list[Figure]:
    """Measures time and memory on 10,000 cases x 10 runs, after import, best of five."""
    figures: list[Figure] = []
    for kind, seconds, megabytes in (
        ("score", 0.1, 150),
        ("cost", 0.1, 150),
        ("latency", 2.0, 300),
        ("p95", 2.0, 300),
    ):
        found = [
            json.loads(subprocess.check_output([sys.executable, "-c", SPEED, kind]))
            for _ in range(TRIES)
        ]
        took, memory = min(item[0] for item in found), max(item[1] for item in found)
        figures.append(
            true(
                "9",
                f"{kind}, 10,000 cases x 10 runs",
                f"<= {seconds * 1000:.0f} ms, <= {megabytes} MB",
                f"{took * 1000:.0f} ms, {memory:.0f} MB",
                held=took <= seconds and memory <= megabytes,
            )
        )
    return figures


def goal_10(_lab: Lab) -> list[Figure]:
    """Asks the planner for a hopeless design: 30 cases at a margin of 0.05."""
    suite = Suite((), (), 3, (Metric("quality", "score", ("team",), margin=0.05),))
    try:
        refuse_hopeless(suite, [Case(str(at), {}) for at in range(30)], has_baseline=True)
    except Inconclusive as error:
        answer = str(error)
    else:
        answer = "not refused"
    return [true("10", "n=30, margin 0.05", "refused", answer, held="cannot pass" in answer)]


def _errors(lab: Lab, goal: str, what: str, jobs: list[Job], *, times: float = 1.0) -> list[Figure]:
    """Returns false passes and false fails at the limit itself, and the naive false passes."""
    found = lab.run(f"{goal} {what}", jobs, times=times)
    passes = lab.worst(f"{goal} {what} passes", jobs, found, _passes)
    fails = lab.worst(f"{goal} {what} fails", jobs, found, _fails)
    naive = max(rate.naive_passes for rate in found)
    return [
        at_most(
            goal,
            f"{what}, false pass at the limit (worst: n={passes[0][1][0]})",
            MOST_ERRORS,
            *passes[1:],
        ),
        at_most(
            goal,
            f"{what}, false fail at the limit (worst: n={fails[0][1][0]})",
            MOST_ERRORS,
            *fails[1:],
        ),
        note(goal, f"{what}, false pass without the guards", f"{naive:.0%}"),
    ]


def _passes(found: Any) -> float:
    return float(found.passes)


def _fails(found: Any) -> float:
    return float(found.fails)
