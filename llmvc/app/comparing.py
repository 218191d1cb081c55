"""The gate on two result files of any harness, with or without a repository.

- Both files hold the same cases, or the comparison is refused; nothing is left out unasked.
- A score is judged against a margin, cost and latency only where a limit is given; otherwise they
  are shown and decide nothing.
- It ends in the same estimates and the same rule as a release: `evals.summary`, `gate.decide`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from llmvc.core.estimate import Estimate, Verdict
from llmvc.core.metric import Metric, Scorer
from llmvc.core.plural import count
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Suite
from llmvc.errors import FormatError, NotFoundError, UsageError
from llmvc.files.outcomes import Results
from llmvc.files.results import read_results

SHOWN: Final = 5
"""How many cases of each file a refusal names."""
_SLACK: Final = 1e-9
_MEND: Final = (
    "measure them again; where the candidate itself is at fault, give the run its scores, such as "
    "0, beside its error"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What two files are held against; the command line is where they come from.

    Attributes:
        metrics: names of the scores that decide; none takes the only one there is.
        margin: the largest drop of each that may pass, in the units of `scale`; None if no score
            is judged.
        scale: the declared range of the scores.
        alpha: one-sided error rate.
        cost_limit: the largest ratio of costs that may pass, above 1; None judges no cost.
        latency_limit: the same for the median latency.
        group_by: the member that says which cases belong together; None takes `group`.
        intersect: whether cases that one file lacks are left out instead of refused.
    """

    metrics: tuple[str, ...] = ()
    margin: float | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    alpha: float = 0.05
    cost_limit: float | None = None
    latency_limit: float | None = None
    group_by: str | None = None
    intersect: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """What two files say.

    Attributes:
        baseline: the one file.
        candidate: the other.
        cases: those that both hold, sorted by id.
        estimates: the gating metrics first, then what is only watched.
        verdict: what the gate says of them.
        failures: runs without an outcome.
        rules: what they were held against.
    """

    baseline: Results
    candidate: Results
    cases: tuple[CaseRuns, ...]
    estimates: tuple[Estimate, ...]
    verdict: Verdict
    failures: int
    rules: Rules

    @property
    def groups(self) -> int:
        """How many groups the cases form; a case without one stands alone."""
        named = {case.group for case in self.cases if case.group is not None}
        return len(named) + sum(case.group is None for case in self.cases)

    @property
    def left_out(self) -> tuple[int, int]:
        """How many cases of the baseline and of the candidate the other file lacks."""
        both = len(self.cases)
        return len(self.baseline.cases) - both, len(self.candidate.cases) - both

    @property
    def runs(self) -> tuple[int, int]:
        """The fewest and the most runs of a case in an arm."""
        return _runs(self.cases)


def compare_files(baseline: Path, candidate: Path, rules: Rules) -> Compared:
    """Judges the candidate's results against the baseline's.

    Raises:
        UsageError: the rules do not say what to judge, or cannot be.
        NotFoundError: a file is not there.
        FormatError: a file cannot be read, holds other cases, or a score outside its range.
    """
    from llmvc.evals.summary import summarize  # noqa: PLC0415 (loads numpy, after bad input is told)
    from llmvc.gate.decide import decide  # noqa: PLC0415

    _check(rules)
    old, new = (_read(path, rules.group_by) for path in (baseline, candidate))
    names = _chosen(old, new, rules)
    cases = _paired(old, new, intersect=rules.intersect)
    cases = _scaled(cases, names, rules, {"baseline": old.name, "candidate": new.name})
    suite = _suite(cases, names, rules)
    estimates = summarize(cases, suite)
    # A run that failed counts as that wherever a judged score of it is missing.
    failures = sum(
        run.error is not None and (not run.scores or any(run.scores.get(n) is None for n in names))
        for case in cases
        for run in (*case.candidate, *case.baseline)
    )
    verdict = decide(estimates, suite, has_baseline=True, failures=failures)
    if verdict.settle is not None:
        settle = _MEND if failures else _of_files(verdict.settle, suite, estimates, cases)
        verdict = replace(verdict, settle=settle)
    watched = () if rules.latency_limit is not None else _medians(cases)
    return Compared(old, new, cases, (*estimates, *watched), verdict, failures, rules)


def _of_files(
    settle: str, suite: Suite, estimates: Iterable[Estimate], cases: Sequence[CaseRuns]
) -> str:
    """Puts what two files can do where the gate speaks of suites and stored outputs."""
    from llmvc.gate import words  # noqa: PLC0415

    for metric, estimate in zip(suite.metrics, estimates, strict=True):
        settle = settle.replace(words.mend(metric, estimate), words.mend_files(metric, estimate))
        seen = words.look_at_changed(estimate)
        if seen in settle:
            differ = [case.id for case in cases if _differs(case, metric.name)]
            settle = settle.replace(seen, words.cases_that_differ(differ))
    return settle


def _differs(case: CaseRuns, name: str) -> bool:
    """Says whether a case's mean score differs between the arms."""
    means: list[float] = []
    for runs in (case.baseline, case.candidate):
        known = [score for run in runs if (score := run.scores.get(name)) is not None]
        means.append(sum(known) / max(1, len(known)))
    return abs(means[0] - means[1]) > _SLACK


def _check(rules: Rules) -> None:
    low, high = rules.scale
    if not low < high:
        raise UsageError(f"--scale {low:g}:{high:g} is empty", hint="write it as LOW:HIGH")
    span = high - low
    if rules.margin is not None and not 0 < rules.margin < span:
        raise UsageError(
            f"--margin {rules.margin:g} is outside (0, {span:g})",
            hint="it is the largest drop that may pass, such as 0.05",
        )
    if not 0 < rules.alpha < 0.5:
        raise UsageError(f"--alpha {rules.alpha:g} is outside (0, 0.5)")
    for name, limit in (("cost", rules.cost_limit), ("latency", rules.latency_limit)):
        if limit is not None and not 1 < limit < float("inf"):
            raise UsageError(
                f"--{name}-limit {limit:g} is not above 1",
                hint="it is the largest ratio to the baseline that may pass, such as 1.1",
            )


def _read(path: Path, group_by: str | None) -> Results:
    try:
        data = path.read_bytes()
    except FileNotFoundError as err:
        raise NotFoundError(f"{path} is not there") from err
    except IsADirectoryError as err:
        raise FormatError(f"{path} is a folder", hint="name the result file in it") from err
    except OSError as err:
        raise FormatError(f"cannot read {path}: {err.strerror}") from err
    return read_results(data, str(path), group_by=group_by)


def _chosen(old: Results, new: Results, rules: Rules) -> tuple[str, ...]:
    """Returns the names of the scores to judge."""
    known = [_scores(results) for results in (old, new)]
    for results, names in zip((old, new), known, strict=True):
        for name in rules.metrics:
            if name not in names:
                there = ", ".join(sorted(names)) or "none"
                raise UsageError(
                    f"{results.name} has no score {name}", hint=f"its scores are: {there}"
                )
    limited = rules.cost_limit is not None or rules.latency_limit is not None
    if rules.metrics or (rules.margin is None and limited):
        chosen = tuple(dict.fromkeys(rules.metrics))
    else:
        chosen = (_only(known[0], known[1]),)
    if chosen and rules.margin is None:
        raise UsageError(
            "--margin is missing", hint="how large a drop may pass? --margin 0.05, for one"
        )
    return chosen


def _only(old: set[str], new: set[str]) -> str:
    """Returns the one score that there is."""
    common = sorted(old & new)
    if len(old | new) == 1 == len(common):
        return common[0]
    if not old | new:
        raise UsageError("which score? the files hold none", hint="judge --cost-limit alone")
    if not common:
        sides = (", ".join(sorted(names)) or "none" for names in (old, new))
        raise UsageError(
            f"the files have no score in common: {' in the one, '.join(sides)} in the other",
            hint="name scores alike in both files",
        )
    others = ", and others are in one file only" if len(common) < len(old | new) else ""
    raise UsageError(
        f"which score? both files hold {', '.join(common)}{others}",
        hint=f"--metric {common[0]}, for one",
    )


def _scores(results: Results) -> set[str]:
    return {
        name
        for case in results.cases.values()
        for run in case.runs
        for name, score in run.scores.items()
        if score is not None
    }


def _paired(old: Results, new: Results, *, intersect: bool) -> tuple[CaseRuns, ...]:
    """Puts the runs of both files together by case, sorted by id."""
    if old.cases.keys() != new.cases.keys() and not intersect:
        sides = [
            _listed(results.name, results.cases.keys() - other.cases.keys())
            for results, other in ((old, new), (new, old))
        ]
        raise FormatError(
            f"the files hold different cases: {'; '.join(filter(None, sides))}",
            hint="--intersect compares the cases that both hold, and says nothing about the others",
        )
    both = sorted(old.cases.keys() & new.cases.keys())
    if not both:
        raise FormatError(
            f"{old.name} and {new.name} have no case in common",
            hint="are case ids made anew in every run? they must be the same in both files",
        )
    return tuple(_pair(case, old, new) for case in both)


def _pair(case: str, old: Results, new: Results) -> CaseRuns:
    a, b = old.cases[case], new.cases[case]
    if a.group is not None and b.group is not None and a.group != b.group:
        raise FormatError(
            f"case {case} is in group {a.group} in {old.name} and in {b.group} in {new.name}",
            hint="a case has one group",
        )
    return CaseRuns(case, b.group if a.group is None else a.group, b.runs, a.runs, b.tags)


def _listed(name: str, cases: Iterable[str]) -> str:
    found = sorted(cases)
    if not found:
        return ""
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return f"{count(len(found), 'case')} only in {name} ({', '.join(found[:SHOWN])}{more})"


def _scaled(
    cases: tuple[CaseRuns, ...], names: tuple[str, ...], rules: Rules, files: Mapping[str, str]
) -> tuple[CaseRuns, ...]:
    """Checks that every score that counts is in range, and brings it to [0, 1]."""
    low, high = rules.scale
    for case, arm, run in _each(cases):
        for name in names:
            score = run.scores.get(name)
            if score is not None and not low - _SLACK <= score <= high + _SLACK:
                raise FormatError(
                    f"{files[arm]}: case {case.id} run {run.run}: {name} is {score:g}, "
                    f"outside its range of {low:g} to {high:g}",
                    hint="--scale LOW:HIGH declares another range, such as --scale 1:5",
                )
    if rules.scale == (0.0, 1.0):
        return cases
    span = high - low

    def fit(runs: tuple[Run, ...]) -> tuple[Run, ...]:
        return tuple(
            replace(
                run,
                scores={
                    name: None if score is None else (score - low) / span
                    for name, score in run.scores.items()
                    if name in names
                },
            )
            for run in runs
        )

    return tuple(
        replace(case, candidate=fit(case.candidate), baseline=fit(case.baseline)) for case in cases
    )


def _each(cases: tuple[CaseRuns, ...]) -> Iterator[tuple[CaseRuns, str, Run]]:
    for case in cases:
        for run in case.baseline:
            yield case, "baseline", run
        for run in case.candidate:
            yield case, "candidate", run


def _suite(cases: tuple[CaseRuns, ...], names: tuple[str, ...], rules: Rules) -> Suite:
    """Returns the rules as a suite without datasets."""
    metrics = [
        Metric(name, "score", (name,), margin=rules.margin, scale=rules.scale) for name in names
    ]
    if rules.cost_limit is not None or any(run.cost_usd is not None for _, _, run in _each(cases)):
        gate = rules.cost_limit is not None
        metrics.append(Metric("cost", "cost", limit=rules.cost_limit, gate=gate))
    if rules.latency_limit is not None:
        metrics.append(Metric("latency", "latency", limit=rules.latency_limit))
    scorers = tuple(Scorer(name, "result", {}) for name in names)
    return Suite((), scorers, max(1, _runs(cases)[0]), tuple(metrics), rules.alpha)


def _runs(cases: tuple[CaseRuns, ...]) -> tuple[int, int]:
    found = {len(runs) for case in cases for runs in (case.baseline, case.candidate)}
    return min(found), max(found)


def _medians(cases: tuple[CaseRuns, ...]) -> tuple[Estimate, ...]:
    """Describes latency where no limit asks for a test, which a second of resampling would take.

    The median is that of the test: the smallest value that half of the runs do not exceed.
    """
    times: dict[str, list[float]] = {"baseline": [], "candidate": []}
    for _, arm, run in _each(cases):
        if run.latency_s is not None:
            times[arm].append(run.latency_s)
    if not all(times.values()):
        return ()
    old, new = (sorted(of)[(len(of) - 1) // 2] for of in (times["baseline"], times["candidate"]))
    return (
        Estimate(
            "latency",
            "latency",
            baseline=old,
            candidate=new,
            estimate=new / old if old else None,
            n=len(cases),
            method="medians over all runs, not tested",
        ),
    )
