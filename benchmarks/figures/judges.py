"""Goals 7 and 8: a judge that errs, and a judge that has changed."""

from benchmarks.figures.lab import Figure, Lab, at_least, at_most, note, true
from llmvc.stats.judges import drift
from tests.stats.simulations import judged, rates

DROPS = (0.0, 0.05, 0.10)
LEAST_COVERAGE, MOST_ERRORS, MOST_ALARMS = 0.88, 0.065, 0.02


def goal_7(lab: Lab) -> list[Figure]:
    """Measures coverage with a judge that is 30 points more lenient on the candidate."""
    found = lab.run("judge", [(judged.covered, (drop,), {}) for drop in DROPS])
    figures: list[Figure] = []
    for drop, seen in zip(DROPS, found, strict=True):
        error = rates.error(seen.corrected, seen.replications)
        where = f"judge lenient by 30 points, true drop {drop:g}"
        label = f"coverage of the corrected interval, {where}"
        figures.append(at_least("7", label, LEAST_COVERAGE, seen.corrected, error))
        error = rates.error(seen.passes, seen.replications)
        label = f"false pass at the true drop, {where}"
        figures.append(at_most("7", label, MOST_ERRORS, seen.passes, error))
        label = f"coverage by the judge alone, {where}"
        figures.append(note("7", label, f"{seen.judge_alone:.0%}"))
    return figures


def goal_8(lab: Lab) -> list[Figure]:
    """Asks for drift on verdicts rebuilt from the published figures of two judges."""
    old, new = judged.anchors()
    changed, same = drift(old, new), drift(old, old)
    (alarms,) = lab.run("alarms", [(judged.alarms, (), {})])
    error = rates.error(alarms, lab.replications)
    return [
        true(
            "8",
            "ChatGPT-0301 to ChatGPT on 419 anchors",
            "drift",
            changed.state,
            held=changed.state == "drift",
        ),
        true("8", "a judge with itself", "not drift", same.state, held=same.state != "drift"),
        at_most("8", "alarm for a judge that flips 10% either way", MOST_ALARMS, alarms, error),
    ]
