"""The gate's verdict on two arrays: the same tests and rules as a release, for any program.

- Runs are averaged into one number per case and arm, and cases are compared in pairs.
- Arguments that make no sense are a ValueError or a TypeError; what the data cannot say is
  `inconclusive` with a reason, never a pass.
- A run without a number may be one that went wrong, so none is ever left out: NaN, None or a masked
  value anywhere is `inconclusive`.
- It is what `gate.decide` says of a suite with this one metric.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from numbers import Real
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
        n_cases: cases in which every run of both arms has a number.
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


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """One arm as it was given.

    Attributes:
        name: `baseline` or `candidate`.
        values: shape (cases, most runs of a case); NaN where a run has no number, and after the
            last run of a row.
        runs: how many runs each case has, shape (cases,).
    """

    name: str
    values: FloatArray
    runs: NDArray[np.intp]

    def usable(self) -> NDArray[np.bool_]:
        """Says which cases have a run, and a number for every run; shape (cases,)."""
        known = (~np.isnan(self.values)).sum(axis=1)
        return np.asarray((known == self.runs) & (self.runs > 0))

    def gap(self, kind: Kind) -> str:
        """Says what is missing; empty if nothing is."""
        unknown = int(self.runs.sum()) - int((~np.isnan(self.values)).sum())
        if unknown:
            runs = "1 run of the {} has" if unknown == 1 else f"{unknown:,} runs of the {{}} have"
            return f"{runs.format(self.name)} no {kind}"
        empty = int((self.runs == 0).sum())
        cases = "1 case has" if empty == 1 else f"{empty:,} cases have"
        return f"{cases} no run of the {self.name}" if empty else ""

    def rows(self) -> list[list[float]]:
        """Returns the runs of each case."""
        listed: list[list[float]] = self.values.tolist()
        if int(self.runs.min(initial=0)) == self.values.shape[1]:
            return listed
        return [row[:k] for row, k in zip(listed, self.runs.tolist(), strict=True)]


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
        baseline: one number a run, shape (cases, runs) or (cases,), or a sequence of rows of
            unequal length where cases were run unequally often. Scores lie in [0, 1], and more is
            better; costs and seconds are at least 0, and less is better. A run that has no number,
            such as NaN or None, makes the result `inconclusive`: give a run that went wrong the
            score it deserves, such as 0.
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
        ValueError: an argument is out of its range, a number is infinite, or shapes do not fit
            together.
        TypeError: `margin`, `alpha` or a value is no real number.
    """
    _check_rule("margin", margin, 1.0)
    _check_rule("alpha", alpha, 0.5)
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}")
    arms = _table(baseline, "baseline"), _table(candidate, "candidate")
    cases, others = (len(arm.runs) for arm in arms)
    if others != cases:
        raise ValueError(f"baseline has {cases} cases, candidate has {others}")
    for arm in arms:
        _check_range(arm, kind)
    clusters = _groups(groups, cases)
    usable = int((arms[0].usable() & arms[1].usable()).sum())
    gaps = [gap for arm in arms if (gap := arm.gap(kind))]
    if refusal := "; ".join(gaps) or clusters.refusal():
        return Comparison("inconclusive", refusal, n_cases=usable)
    if kind == "latency":
        return _latency(*arms, clusters, margin, alpha)
    judge = _score if kind == "score" else _cost
    return judge(_reduced(arms[0]), _reduced(arms[1]), clusters, margin, alpha)


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


def _latency(old: _Table, new: _Table, groups: Groups, margin: float, alpha: float) -> Comparison:
    rows = new.rows(), old.rows()
    test = quantile.quantile_ratio(*rows, groups, q=0.5, limit=1.0 + margin, alpha=alpha)
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


def _check_rule(name: str, value: object, most: float) -> None:
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number such as 0.05, not {value!r}")
    if not 0 < float(value) < most:
        raise ValueError(f"{name} must lie in (0, {most:g}), not {value}")


def _table(values: Any, name: str) -> _Table:
    """Reads one arm; a value that is masked has no number."""
    masked = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    try:
        given = np.asarray(values)
    except ValueError:
        return _ragged(values, name)
    if given.dtype == object and any(isinstance(row, list | tuple | np.ndarray) for row in given):
        return _ragged(values, name)
    table = _numbers(given, name)
    if masked is not None:
        table = np.where(masked, np.nan, table)
    if table.ndim == 1:
        table = table[:, np.newaxis]
    if table.ndim != 2:
        raise ValueError(f"{name} must have shape (cases, runs) or (cases,), not {table.shape}")
    return _Table(name, table, np.full(len(table), table.shape[1], dtype=np.intp))


def _ragged(values: Any, name: str) -> _Table:
    """Reads rows of unequal length."""
    rows = [_numbers(np.atleast_1d(np.asarray(row)), name) for row in values]
    if any(row.ndim != 1 for row in rows):
        raise ValueError(f"{name} must hold one row of numbers a case")
    runs = np.array([len(row) for row in rows], dtype=np.intp)
    table = np.full((len(rows), int(runs.max(initial=0))), np.nan)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return _Table(name, table, runs)


def _numbers(given: NDArray[Any], name: str) -> FloatArray:
    """Returns real numbers as floats, None as NaN; nothing is turned into a number by force."""
    kind = given.dtype.kind
    if kind == "O":
        strange = [x for x in given.flat if x is not None and not isinstance(x, Real)]
        if strange:
            raise TypeError(f"{name} holds {strange[0]!r}, which is no real number")
    elif kind not in "biuf":
        raise TypeError(f"{name} holds {given.dtype.name} values, which are no real numbers")
    return np.asarray(given, dtype=np.float64)


def _check_range(arm: _Table, kind: Kind) -> None:
    low, high = (0.0, 1.0) if kind == "score" else (0.0, inf)
    if np.isnan(arm.values).all():
        return
    least, most = float(np.nanmin(arm.values)), float(np.nanmax(arm.values))
    if not (isfinite(least) and isfinite(most)):
        raise ValueError(f"{arm.name} holds an infinite number")
    if least < low - _SLACK or most > high + _SLACK:
        wrong = least if least < low - _SLACK else most
        wanted = "in [0, 1]" if kind == "score" else "at least 0"
        raise ValueError(f"{arm.name} holds {wrong:g}: a {kind} must be {wanted}")


def _reduced(arm: _Table) -> Arm:
    """Averages the runs of each case, some cases at a time to save memory."""
    count = len(arm.runs)
    means, noise = np.empty(count), np.full(count, np.nan)
    for start in range(0, count, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        rows, k = arm.values[part], arm.runs[part]
        here = ~np.isnan(rows)
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
