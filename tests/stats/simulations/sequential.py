"""Looking early: planned looks, the same looks without a plan, and the any-time test.

- `differences` are drawn for the whole suite; a look sees the first cases of them.
- A replication ends at the first look that passes or fails, and counts how many cases it used.
"""

from dataclasses import dataclass

import numpy as np

from llmvc.gate.looks import levels
from llmvc.stats.anytime import betting
from llmvc.stats.paired import Sample, student_quantile
from tests.stats.simulations.rates import ALPHA, BATCH

# The bets of statistics.md section 6, written again so that the shipped ones are checked.
BETS = np.array([0.02, 0.04, 0.07, *np.arange(2, 20) * 0.05])


@dataclass(frozen=True)
class Stopped:
    """Shares of replications that passed and failed, and the mean share of the cases used."""

    passes: float
    fails: float
    used: float
    replications: int


def planned(cell, at, drop, replications, seed):
    """Returns the rates of planned looks at the shares `at` of the cases."""
    plan = list(zip(at, levels(tuple(at), ALPHA), strict=True))
    return _fixed(cell, plan, drop, replications, seed)


def lost(cell, at, drop, replications, seed):
    """Returns what planned looks lose against one look at the end, on the same draws."""
    early = planned(cell, at, drop, replications, seed)
    once = planned(cell, (1.0,), drop, replications, seed)
    return Stopped(once.passes - early.passes, once.fails - early.fails, early.used, replications)


def peeking(cell, at, drop, replications, seed):
    """Returns the rates of the test for one look, made at every share in `at`."""
    return _fixed(cell, [(share, ALPHA) for share in at], drop, replications, seed)


def anytime(cell, drop, replications, seed, *, first=1):
    """Returns the rates of the betting test, looked at after every case from `first` on."""
    rng, ends = np.random.default_rng(seed), []
    for start in range(0, replications, BATCH):
        d = cell.differences(rng, drop, min(BATCH, replications - start))
        ends.append(np.stack([_first(path, first) for path in wealth(d, cell.margin)]))
    up, down = np.concatenate(ends, axis=1)
    end = np.minimum(np.minimum(up, down), cell.n - 1)
    return Stopped(
        float((up < cell.n).mean()),
        float((down < cell.n).mean()),
        float((end + 1).mean()) / cell.n,
        replications,
    )


def wealth(d, margin):
    """Returns the two e-processes after every case, for pass and for fail, shape as `d`."""
    bets = BETS[:, None, None]
    up = np.log1p(bets / (1 - margin) * (d + margin)).cumsum(axis=2)
    down = np.log1p(-bets * d).cumsum(axis=2)
    return tuple(np.exp(np.logaddexp.reduce(path, axis=0)) / len(BETS) for path in (up, down))


def disagreement(cell, drop, seed):
    """Returns the largest relative difference of the shipped e-values from those here."""
    (d,) = cell.differences(np.random.default_rng(seed), drop, 1)
    up, down = wealth(d[None], cell.margin)
    worst = 0.0
    for n in range(2, cell.n + 1, max(1, cell.n // 7)):
        shipped = betting(d[:n], margin=cell.margin, alpha=ALPHA)
        for one, other in ((shipped.e_pass, up[0, n - 1]), (shipped.e_fail, down[0, n - 1])):
            worst = max(worst, abs(one / other - 1))
    return worst


def _fixed(cell, plan, drop, replications, seed):
    rng, sums = np.random.default_rng(seed), np.zeros(3)
    looks = []
    for share, level in plan:
        n = round(share * cell.n)
        looks.append((n, student_quantile(1 - level, n - 1)))
    for start in range(0, replications, BATCH):
        for d in cell.differences(rng, drop, min(BATCH, replications - start)):
            sums += _until(d, looks, cell.margin)
    passes, fails, used = (sums / replications).tolist()
    return Stopped(passes, fails, used, replications)


def _until(d, looks, margin):
    for n, critical in looks:
        sample = Sample.of(d[:n])
        passes, fails = sample.guarded(-margin) > critical, sample.guarded(0.0) < -critical
        if passes or fails:
            return passes, fails and not passes, n / len(d)
    return False, False, 1.0


def _first(path, first):
    """Returns the index of the first case from `first` on at which it rejects, else how many."""
    beyond = path >= 1 / ALPHA
    beyond[:, : first - 1] = False
    return np.where(beyond.any(axis=1), beyond.argmax(axis=1), path.shape[1])
