"""The gate's verdict on two arrays: the same tests and rules as a release, for any program.

- Runs are averaged into one number per case and arm, and cases are compared in pairs.
- Arguments that make no sense are a ValueError; what the data cannot say is `inconclusive` with a
  reason, never a pass.
- It is what `gate.decide` says of a suite with this one metric.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmvc.stats import paired, quantile, ratio, samples
from llmvc.stats.samples import Arm, FloatArray, Groups

Kind = Literal["score", "cost", "latency"]
Verdict = Literal["pass", "fail", "inconclusive"]

LEAST_CHANGED: Final = 5
"""Fewer changed cases never fail: three worse and none better is significant at any n."""

_KINDS: Final = ("score", "cost", "latency")
_AT_ONCE: Final = 100_000
_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two arms say; a number is None where it is undefined or the test has none.

    Attributes:
        verdict: `pass` if the candidate is shown to be within the margin, `fail` if it is shown to
            be worse, beyond the margin for costs and latencies; else `inconclusive`.
        reason: why, in one sentence.
        estimate: candidate minus baseline for scores, candidate over baseline otherwise.
        low: lower end of the interval of level 1 - 2 * alpha.
        high: its upper end.
        t_pass: the statistic of "worse by the margin or more"; large means shown to be within.
        t_fail: the statistic of "no worse" for scores, else `t_pass`; very negative means worse.
        score_pass: `t_pass` without the variance guard; for scores.
        score_fail: `t_fail` without the variance guard; for scores.
        n_cases: cases with a usable run in both arms.
        method: how it was computed.
        var_case: variance between cases of the true difference; for scores.
        var_run: variance that repeated runs add; None where no case was repeated in both arms.
    """

    verdict: Verdict
    reason: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    t_pass: float | None = None
    t_fail: float | None = None
    score_pass: float | None = None
    score_fail: float | None = None
    n_cases: int = 0
    method: str = ""
    var_case: float | None = None
    var_run: float | None = None


def compare(
    baseline: ArrayLike | Sequence[Sequence[float]],
    candidate: ArrayLike | Sequence[Sequence[float]],
    *,
    margin: float,
    alpha: float = 0.05,
    groups: Iterable[object] | None = None,
    kind: Kind = "score",
) -> Comparison:
    """Says whether a candidate is no worse than a baseline by more than a margin.

    Args:
        baseline: one number a run, shape (cases, runs) or (cases,); NaN or None where a run is
            missing. Rows may differ in length. Scores lie in [0, 1], and more is better; costs and
            seconds are at least 0, and less is better.
        candidate: the same cases in the same order; it may have other numbers of runs.
        margin: the largest loss that may pass, in (0, 1): a drop of a score's mean, or the share
            by which the total cost or the median latency may grow.
        alpha: one-sided error rate of each verdict, in (0, 0.5).
        groups: a label a case; cases with one label share a document or a conversation. None in
            it, or instead of it, stands for cases that stand alone.
        kind: `score`, `cost` or `latency`.

    Returns:
        The verdict with the numbers behind it.

    Raises:
        ValueError: an argument is out of its range, or shapes do not fit together.
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin must lie in (0, 1), not {margin}")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie in (0, 0.5), not {alpha}")
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}")
    tables = {"baseline": _table(baseline, "baseline"), "candidate": _table(candidate, "candidate")}
    cases = len(tables["baseline"])
    if len(tables["candidate"]) != cases:
        raise ValueError(f"baseline has {cases} cases, candidate has {len(tables['candidate'])}")
    for name, table in tables.items():
        _check_range(table, name, kind)
    clusters = _groups(groups, cases)
    usable = {name: _usable(table) for name, table in tables.items()}
    both = int((usable["baseline"] & usable["candidate"]).sum())
    gaps = [f"{int((~ok).sum())} of the {name}" for name, ok in usable.items() if not ok.all()]
    if gaps:
        missing = f"of {cases} cases some have no usable run: {', '.join(gaps)}"
        return Comparison("inconclusive", missing, n_cases=both)
    if refusal := clusters.refusal():
        return Comparison("inconclusive", refusal, n_cases=both)
    if kind == "latency":
        return _latency(tables, clusters, margin, alpha)
    old, new = _reduced(tables["baseline"]), _reduced(tables["candidate"])
    judge = _score if kind == "score" else _cost
    return judge(old, new, clusters, margin, alpha)


def _score(old: Arm, new: Arm, groups: Groups, margin: float, alpha: float) -> Comparison:
    d = _difference(old, new)
    units = groups.units(d)
    bound = max(groups.stretch, float(np.abs(units).max()))
    test = paired.el_score(units, margin=margin, alpha=alpha, bound=bound)
    split = samples.split_variance(d, new, old) or (None, None)
    found = Comparison(
        "inconclusive",
        test.reason or "",
        estimate=test.estimate,
        low=None if test.low is None else max(test.low, -1.0),
        high=None if test.high is None else min(test.high, 1.0),
        t_pass=test.t_pass,
        t_fail=test.t_fail,
        score_pass=test.score_pass,
        score_fail=test.score_fail,
        n_cases=groups.cases,
        method=_method("paired EL-score", groups),
        var_case=split[0],
        var_run=split[1],
    )
    if test.p_pass is None or test.p_fail is None:
        return found
    passes, worse = test.p_pass < alpha, test.p_fail < alpha
    told = f"{found.estimate:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    changed = int(np.count_nonzero(d))
    few = f"{told}: only {changed} cases differ, too few to call it worse"
    return _judged(
        found,
        passes=passes,
        fails=worse and changed >= LEAST_CHANGED,
        within=f"{told} is within the margin of {margin:g}{', though worse' if worse else ''}",
        beyond=f"{told} is worse than the baseline",
        unclear=few if worse else f"{told} may be beyond the margin of {margin:g}",
    )


def _cost(old: Arm, new: Arm, groups: Groups, margin: float, alpha: float) -> Comparison:
    test = ratio.cost_ratio(new.means, old.means, groups, limit=1.0 + margin, alpha=alpha)
    found = Comparison(
        "inconclusive",
        test.reason or "",
        estimate=test.estimate,
        low=test.low,
        high=test.high,
        t_pass=test.t,
        t_fail=test.t,
        n_cases=groups.cases,
        method=_method("log ratio of totals, delta method", groups),
    )
    return _limited(found, test.p_pass, test.p_fail, margin, test.alpha)


def _latency(
    tables: dict[str, FloatArray], groups: Groups, margin: float, alpha: float
) -> Comparison:
    old, new = (
        [row[~np.isnan(row)].tolist() for row in tables[arm]] for arm in ("baseline", "candidate")
    )
    test = quantile.quantile_ratio(new, old, groups, q=0.5, limit=1.0 + margin, alpha=alpha)
    of = "cases" if groups.alone else "groups"
    found = Comparison(
        "inconclusive",
        test.reason or "",
        estimate=test.estimate,
        low=test.low,
        high=test.high,
        n_cases=groups.cases,
        method=f"p50 over all runs, bootstrap of whole {of}",
    )
    return _limited(found, test.p_pass, test.p_fail, margin, alpha)


def _limited(
    found: Comparison, p_pass: float | None, p_fail: float | None, margin: float, level: float
) -> Comparison:
    """Holds a ratio against the limit 1 + margin."""
    if p_pass is None or p_fail is None:
        return found
    told = f"x{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"
    limit = f"the limit of x{1.0 + margin:g}"
    return _judged(
        found,
        passes=p_pass < level,
        fails=p_fail < level,
        within=f"{told} is within {limit}",
        beyond=f"{told} is beyond {limit}",
        unclear=f"{told} may be beyond {limit}",
    )


def _judged(
    found: Comparison, *, passes: bool, fails: bool, within: str, beyond: str, unclear: str
) -> Comparison:
    if passes:
        return replace(found, verdict="pass", reason=within)
    if fails:
        return replace(found, verdict="fail", reason=beyond)
    return replace(found, reason=unclear)


def _difference(old: Arm, new: Arm) -> FloatArray:
    """Returns candidate minus baseline by case, free of rounding noise."""
    d: FloatArray = new.means - old.means
    return np.where(np.abs(d) < 1e-12, 0.0, d)


def _table(values: Any, name: str) -> FloatArray:
    """Returns the runs as shape (cases, runs) with NaN where one is missing."""
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        table = _padded(values, name)
    if table.ndim == 1:
        table = table[:, np.newaxis]
    if table.ndim != 2:
        raise ValueError(f"{name} must have shape (cases, runs) or (cases,), not {table.shape}")
    return table


def _padded(values: Any, name: str) -> FloatArray:
    """Returns rows of unequal length as one array."""
    try:
        rows = [np.asarray(row, dtype=np.float64).ravel() for row in values]
    except (TypeError, ValueError) as err:
        raise ValueError(f"{name} is not made of numbers: {err}") from err
    table = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return table


def _check_range(table: FloatArray, name: str, kind: Kind) -> None:
    low, high = (0.0, 1.0) if kind == "score" else (0.0, float("inf"))
    if table.size == 0 or np.isnan(table).all():
        return
    least, most = float(np.nanmin(table)), float(np.nanmax(table))
    if not (isfinite(least) and isfinite(most)):
        raise ValueError(f"{name} holds an infinite number")
    if least < low - _SLACK or most > high + _SLACK:
        wrong = least if least < low - _SLACK else most
        wanted = "in [0, 1]" if kind == "score" else "at least 0"
        raise ValueError(f"{name} holds {wrong:g}: a {kind} must be {wanted}")


def _usable(table: FloatArray) -> NDArray[np.bool_]:
    return np.asarray((~np.isnan(table)).any(axis=1))


def _reduced(table: FloatArray) -> Arm:
    """Averages the runs of each case, some cases at a time to save memory."""
    means, noise = np.empty(len(table)), np.full(len(table), np.nan)
    for start in range(0, len(table), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        rows = table[part]
        here = ~np.isnan(rows)
        k = here.sum(axis=1)
        means[part] = np.where(here, rows, 0.0).sum(axis=1) / k
        squares = np.square(np.where(here, rows - means[part, np.newaxis], 0.0)).sum(axis=1)
        np.divide(squares, (k - 1) * k, out=noise[part], where=k > 1)
    return Arm(means, noise)


def _groups(labels: Iterable[object] | None, cases: int) -> Groups:
    if labels is None:
        return Groups(np.arange(cases), np.ones(cases, dtype=np.intp))
    # A label that is not equal to itself is NaN, which tables hold where a cell is empty.
    texts = [None if label is None or label != label else str(label) for label in labels]  # noqa: PLR0124
    if len(texts) != cases:
        raise ValueError(f"there are {cases} cases and {len(texts)} group labels")
    return samples.group(texts)


def _method(name: str, groups: Groups) -> str:
    over = "" if groups.alone else f" over {groups.count} groups"
    return f"{name}{over}, t({groups.count - 1})"
