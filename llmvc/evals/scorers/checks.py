"""The scorers `checks` and `assert-set`: several checks of one output, as one score.

- `checks` are what a dataset's row demands of its own output, `assert-set` stands in the suite. A
  check is an object with `type`, mostly `value`, and perhaps `weight` and `threshold`, as
  promptfoo writes them; `not-<type>` negates, `assert-set` groups.
- The score is the weighted mean of the checks; one with a threshold counts as 1 or 0.
- A group in which one check cannot tell cannot tell either, unless that check has weight 0.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from llmvc.core import canon, scorers
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.options import Options, Rule, UntoldError

Rules = Mapping[str, Rule]


def row(options: Options, answer: Answer, rules: Rules) -> float:
    """Scores one output by its case's own checks.

    Raises:
        FormatError: the case has none, or one that is not known or not complete.
    """
    if not options.checks:
        raise FormatError("the case has no checks", hint="give its row an assert")
    return _mean(options.checks, options, answer, rules)


def group(options: Options, answer: Answer, rules: Rules) -> float:
    """Scores one output by the checks under `assert`.

    Raises:
        FormatError: there are none, or one is not known or not complete.
    """
    members = options.raw("assert")
    if not isinstance(members, list | tuple) or not members:
        raise FormatError("an assert-set has no list of checks")
    return _mean(members, options, answer, rules)


def judged(kind: str, found: float, options: Options) -> float:
    """Returns a score, or whether it reaches the threshold that a check of that type may have."""
    if kind in scorers.OWN_THRESHOLD:
        return found
    threshold = options.number("threshold")
    # Weighted means are rounded: three thirds are not always 1.
    return found if threshold is None else float(found >= threshold - 1e-12)


def _mean(checks: Sequence[canon.Json], options: Options, answer: Answer, rules: Rules) -> float:
    total = weights = 0.0
    untold: UntoldError | None = None
    for check in checks:
        if not isinstance(check, Mapping):
            raise FormatError("a check is not an object")
        weight = options.of(check).number("weight")
        weight = 1.0 if weight is None else weight
        if weight < 0:
            raise FormatError("a check has a weight below 0")
        try:
            total += weight * _one(check, options, answer, rules)
        except UntoldError as err:  # go on: what is wrong with the others must be found as well
            untold = err if weight else untold
        weights += weight
    if weights <= 0:
        raise FormatError("all checks have weight 0")
    if untold is not None:
        raise untold
    return total / weights


def _one(check: Mapping[str, canon.Json], options: Options, answer: Answer, rules: Rules) -> float:
    written = check.get("type")
    if not isinstance(written, str):
        raise FormatError("a check has no type")
    kind, negated = scorers.base_type(written, scorers.CHECK_TYPES | {scorers.SET})
    rule = partial(group, rules=rules) if kind == scorers.SET else rules[kind]
    inner = options.of(check, negated=negated)
    found = judged(kind, rule(inner, answer), inner)
    return 1.0 - found if negated else found
