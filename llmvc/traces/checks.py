"""Whether a canary's measurement is sound; where it is not, no figure of it counts.

- Each check says what it found, also where all is well, so that a reader sees that it was made.
- Small losses happen everywhere: they are told, and break a measurement from one percent on.
- Checks of chance hold at every look together: a check that cried wolf would be switched off.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from llmvc.core.analysis import Check
from llmvc.core.canary import UNLIMITED, WHOLE, Canary, percent
from llmvc.core.plural import count
from llmvc.stats import srm
from llmvc.stats.mixture import factor
from llmvc.stats.unpaired import Share, difference
from llmvc.traces.enrolled import Enrolled
from llmvc.traces.sums import Sums

MOST: Final = 0.01
"""The largest share that may be lost, mixed, stale or unreadable."""
BAYES: Final = 100.0
P_VALUE: Final = 0.001
MOST_DRIFT: Final = 0.05
LEAST_CALLS: Final = 100
"""A share of models is told of so many calls at least."""
SHOWN: Final = 3


def checks(sums: Sums, canary: Canary, baseline: Enrolled, trial: Enrolled) -> dict[str, Check]:
    """Returns each check by its name.

    Args:
        sums: the step's sums.
        canary: its plan.
        baseline: the arm beside the candidate's.
        trial: the candidate's arm.
    """
    enrolled = baseline.enrolled + trial.enrolled
    metrics = {guardrail.metric for guardrail in canary.guardrails}
    paid = "cost" in metrics or canary.budget != UNLIMITED
    return {
        "sample_ratio": _ratio(canary, baseline.enrolled, trial.enrolled),
        "exposure": _exposure(baseline, trial),
        "answers": _answers(baseline, trial),
        "lost": _lost(sums),
        "keys": _keys(sums),
        "mixed": _share(
            baseline.mixed + trial.mixed, enrolled, "unit", "got both versions, and are left out"
        ),
        "stale": _stale(sums, enrolled),
        "unknown": _unknown(sums.unknown),
        "broken": _share(sums.broken, sums.lines, "line", "are no events"),
        "prices": _one("price table", (key.partition(" ")[2] for key in sums.tables))
        if paid
        else _unused("cost"),
        "judge": _one("judge", sums.judges) if "negative" in metrics else _unused("negative"),
        "models": _models(sums),
    }


def _ratio(canary: Canary, baseline: int, trial: int) -> Check:
    """Says whether the arms hold the shares of units that they should."""
    share, total = canary.share_ppm / WHOLE, baseline + trial
    if not total:
        return Check(None, None, broken=False, says="there is nothing to compare")
    found = f"{trial:,} of {total:,} units in the canary, {percent(canary.share_ppm)} planned"
    if canary.plan.test == "always-valid":
        evidence = srm.bayes_factor((baseline, trial), (1 - share, share))
        return Check(evidence, BAYES, evidence > BAYES, f"{found}: Bayes factor {evidence:.3g}")
    p = srm.chi_square((baseline, trial), share)
    return Check(p, P_VALUE, p < P_VALUE, f"{found}: p = {p:.2g}")


def _exposure(baseline: Enrolled, trial: Enrolled) -> Check:
    """Says whether units were served that nobody assigned."""
    worst = max((baseline, trial), key=lambda arm: arm.unexposed / max(1, _known(arm)))
    return _share(
        worst.unexposed, _known(worst), "unit", "have calls and no assignment, in one arm"
    )


def _known(arm: Enrolled) -> int:
    return arm.enrolled + arm.unexposed


def _answers(baseline: Enrolled, trial: Enrolled) -> Check:
    """Says whether units that were assigned and never called differ between the arms."""
    silent = [[calls == 0 for calls in arm.column("calls")] for arm in (trial, baseline)]
    sizes = [len(units) for units in silent]
    if not all(sizes):
        return Check(None, MOST, broken=False, says="there is nothing to compare")
    z = factor(sizes[0] * sizes[1] / sum(sizes), P_VALUE / 2, tuned=1000)
    ours, theirs = (Share(units, [1] * len(units)) for units in silent)
    found = difference(ours, theirs, z, z)
    if found.estimate is None or found.low is None or found.high is None:
        return Check(None, MOST, broken=False, says=found.reason or "too few units")
    differ = (found.low > 0 or found.high < 0) and abs(found.estimate) > MOST
    says = f"{ours.point:.2%} of the canary's units never called, {theirs.point:.2%} of the others"
    return Check(found.estimate, MOST, differ, says)


def _lost(sums: Sums) -> Check:
    """Compares what processes say to have written with what was read."""
    worst, said_all = 0.0, 0
    for version in (sums.scope.baseline, sums.scope.candidate):
        said = gone = 0
        for process, (_, made, _, _) in sums.beats.items():
            read = sums.processes.get(f"{process} {version}", (0, 0))
            for written, seen in zip(made.get(version, ()), read, strict=False):
                said += written
                gone += max(0, written - seen)
        worst, said_all = max(worst, gone / said if said else 0.0), said_all + said
    if not said_all:
        return Check(None, MOST, broken=False, says="no heartbeat tells what was written")
    says = f"{worst:.2%} of what processes wrote for one arm is not in the logs"
    return Check(worst, MOST, worst > MOST, says)


def _keys(sums: Sums) -> Check:
    """Says whether a unit has one hash: two would count it twice, and narrow every interval."""
    keys = {key for _, made, _, key in sums.beats.values() if made} - {"-"}
    if not keys:
        return Check(None, 1, broken=False, says="no heartbeat tells by which key units are hashed")
    return Check(len(keys), 1, len(keys) > 1, f"units are hashed by {count(len(keys), 'key')}")


def _stale(sums: Sums, enrolled: int) -> Check:
    """Says whether processes still go by another release."""
    total = sum(sums.stale.values())
    found = _share(
        total, enrolled + total, "assignment", "are by another release than the current one"
    )
    if not total:
        return found
    return Check(found.value, MOST, found.broken, f"{found.says}: {_listed(sums.stale)}")


def _unknown(found: Counter[str]) -> Check:
    total = sum(found.values())
    says = f"{count(total, 'event')} of arms or versions that this rollout does not have"
    return Check(total, 0, total > 0, f"{says}: {_listed(found)}" if total else says)


def _models(sums: Sums) -> Check:
    """Says whether the models that answer are the same in both arms, and all the time."""
    by_arm: dict[str, dict[str, Counter[str]]] = {}
    by_hour: dict[tuple[str, str], dict[int, Counter[str]]] = {}
    for key, n in sums.models.items():
        version, asked, answered, hour = key.split("\t")
        by_arm.setdefault(asked, {}).setdefault(version, Counter())[answered] += n
        hours = by_hour.setdefault((version, asked), {})
        hours.setdefault(int(hour), Counter())[answered] += n
    pairs = [tuple(arms.values()) for arms in by_arm.values() if len(arms) == 2]
    pairs += [_halves(hours) for hours in by_hour.values()]
    worst, limit = max(_apart(pairs), default=(0.0, MOST_DRIFT), key=lambda it: it[0] - it[1])
    says = f"the models that answer differ in {worst:.1%} of the calls between arms or times"
    return Check(worst, limit, worst > limit, says)


def _halves(hours: Mapping[int, Counter[str]]) -> tuple[Counter[str], ...]:
    """Returns the models of the earlier and of the later half of the calls."""
    total, done = sum(sum(found.values()) for found in hours.values()), 0
    halves = (Counter[str](), Counter[str]())
    for hour in sorted(hours):
        halves[done * 2 >= total].update(hours[hour])
        done += sum(hours[hour].values())
    return halves


def _apart(pairs: Iterable[tuple[Counter[str], ...]]) -> Iterator[tuple[float, float]]:
    """Yields how far two distributions are apart, in total variation, and how far they may be."""
    for one, other in pairs:
        n, m = sum(one.values()), sum(other.values())
        if min(n, m) < LEAST_CALLS:
            continue
        far = sum(abs(one[name] / n - other[name] / m) for name in one.keys() | other.keys()) / 2
        # Three standard deviations of a share of one half, above what counts as drift.
        yield far, MOST_DRIFT + 1.5 * (1 / n + 1 / m) ** 0.5


def _share(found: int, total: int, noun: str, what: str) -> Check:
    share = found / total if total else 0.0
    says = f"{found:,} of {count(total, noun)} {what}"
    return Check(share, MOST, share > MOST, says)


def _one(what: str, found: Iterable[str]) -> Check:
    """Says whether all was measured by one thing."""
    names = len(set(found))
    return Check(names, 1, names > 1, f"measured by {count(names, what)}")


def _unused(metric: str) -> Check:
    return Check(None, 1, broken=False, says=f"no guardrail rests on {metric}")


def _listed(found: Counter[str]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(sorted(found)[:SHOWN]) + more
