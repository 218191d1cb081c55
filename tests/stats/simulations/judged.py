"""A judge that errs, and errs more for the candidate: people's labels for some of the cases.

The judge accepts 92% of right outputs and 25% of wrong ones; of the candidate's wrong outputs it
accepts `lenient` more.
"""

from dataclasses import dataclass

import numpy as np

from llmvc.core import digest
from llmvc.core.judging import Evidence
from llmvc.core.metric import Metric, Scorer
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Suite
from llmvc.evals.estimates import Design
from llmvc.evals.summary import summarize
from llmvc.gate.decide import decide
from llmvc.stats.judges import corrected
from llmvc.stats.paired import el_score
from tests.stats.simulations.suites import Cell

JUDGE = digest.of_bytes(b"judge")
SENSITIVITY = 0.92
ACCEPTS_WRONG = 0.25


@dataclass(frozen=True)
class Covered:
    """Shares of 90% intervals that hold the true difference, and of false passes at the truth."""

    judge_alone: float
    people_alone: float
    corrected: float
    passes: float
    replications: int


def covered(drop, *, replications, seed, lenient=0.3, n=400, labelled=100):
    """Compares the intervals of the judge, of the labelled cases, and of both together."""
    rng, counts = np.random.default_rng(seed), np.zeros(4)
    for _ in range(replications):
        people, judge = draw(rng, drop, lenient=lenient, n=n)
        both = corrected([*people[:labelled].tolist(), *[None] * (n - labelled)], judge)
        counts += (
            _holds(el_score(judge), -drop),
            _holds(el_score(people[:labelled]), -drop),
            _holds(both.test, -drop),
            both.test.low > -drop,
        )
    return Covered(*(counts / replications).tolist(), replications)


def draw(rng, drop, *, lenient, n):
    """Returns case differences as people and as the judge see them; their true mean is `-drop`."""
    truth = [arm[0, :, 0] for arm in Cell("binary", n, 1, 0.05).draw(rng, drop, 1)]
    accepts = (ACCEPTS_WRONG, ACCEPTS_WRONG + lenient)
    seen = [
        (rng.random(n) < np.where(arm > 0, SENSITIVITY, wrong)).astype(float)
        for arm, wrong in zip(truth, accepts, strict=True)
    ]
    return truth[1] - truth[0], seen[1] - seen[0]


def _holds(test, truth):
    return test.low <= truth <= test.high


@dataclass(frozen=True)
class Gated:
    """How often the gate passed a candidate that drops more than its margin."""

    judge_alone: float
    labelled: float
    covered: float
    replications: int


def gated(drop, *, replications, seed, lenient=0.4, n=400, labelled=100, margin=0.03):
    """Sends reports of a judge that is partial through summary and gate.

    Args:
        drop: the candidate's true loss; below 0 a gain.
        replications: reports, of which each is judged with labels and without.
        seed: of the draws.
        lenient: how many more of the candidate's wrong outputs it accepts; below 0 of the other's.
        n: cases.
        labelled: those that people labelled.
        margin: of the metric.
    """
    rng, counts = np.random.default_rng(seed), np.zeros(3)
    for _ in range(replications):
        people, cases = report_rows(rng, drop, lenient=lenient, n=n)
        alone = verdict(cases, {}, margin)[1]
        (estimate,), said = verdict(cases, dict(list(people.items())[:labelled]), margin)
        counts += (
            alone.verdict == "pass",
            said.verdict == "pass",
            estimate.low <= -drop <= estimate.high,
        )
    return Gated(*(counts / replications).tolist(), replications)


def report_rows(rng, drop, *, lenient, n):
    """Returns what people say of each case, and the rows of a report with the judge's scores."""
    truth = [arm[0, :, 0] for arm in Cell("binary", n, 1, 0.05).draw(rng, abs(drop), 1)]
    truth = truth[::-1] if drop < 0 else truth
    accepts = (ACCEPTS_WRONG + max(0.0, -lenient), ACCEPTS_WRONG + max(0.0, lenient))
    seen = [
        (rng.random(n) < np.where(arm > 0, SENSITIVITY, wrong)).astype(float).tolist()
        for arm, wrong in zip(truth, accepts, strict=True)
    ]
    people = {f"c{at}": (float(truth[0][at]), float(truth[1][at])) for at in range(n)}
    rows = [CaseRuns(f"c{at}", None, (_run(seen[1][at]),), (_run(seen[0][at]),)) for at in range(n)]
    return people, rows


def verdict(cases, labels, margin, **said):
    """Returns estimates and verdict on rows, with labels by people for some of the cases."""
    metric = Metric("helpful", "score", ("helpful",), margin=margin)
    suite = Suite((), (Scorer("helpful", "judge", {"judge": JUDGE}),), 1, (metric,))
    known = {"state": "TRUSTED", "family": "gpt-4o", **said}
    evidence = Evidence("helpful-judge", labels={"helpful": labels}, **known)
    judges = {JUDGE: evidence.to_dict()}
    estimates = summarize(cases, suite, Design(suite.alpha, describe=False, judges=judges))
    return estimates, decide(estimates, suite, has_baseline=True, judges=judges)


def _run(score):
    return Run(0, JUDGE, {"helpful": score})
