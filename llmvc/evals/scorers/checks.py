"""The scorer `checks`: what a dataset's row demands of its own output.

- A check is an object with `type`, mostly `value`, and perhaps `weight` and `threshold`, as
  promptfoo writes them under `assert`; `not-<type>` negates, `assert-set` groups.
- The score is the weighted mean of the checks; one with a threshold counts as 1 or 0.
"""

from collections.abc import Callable, Mapping, Sequence

from llmvc.core import canon, scorers
from llmvc.core.suite import Case
from llmvc.errors import FormatError
from llmvc.evals.scorers.options import Options

Rule = Callable[[Options, str], float]


def score(case: Case, output: str, rules: Mapping[str, Rule]) -> float:
    """Scores one output by its case's own checks.

    Raises:
        FormatError: the case has none, or one that is not known or not complete.
    """
    if not case.checks:
        raise FormatError("the case has no checks", hint="give its row an assert")
    return _mean(case.checks, case, output, rules)


def _mean(
    checks: Sequence[canon.Json], case: Case, output: str, rules: Mapping[str, Rule]
) -> float:
    total = weights = 0.0
    for check in checks:
        if not isinstance(check, Mapping):
            raise FormatError("a check is not an object")
        options = Options(check, case)
        weight = options.number("weight")
        weight = 1.0 if weight is None else weight
        if weight < 0:
            raise FormatError("a check has a weight below 0")
        total += weight * _one(check, options, case, output, rules)
        weights += weight
    if weights <= 0:
        raise FormatError("all checks have weight 0")
    return total / weights


def _one(
    check: Mapping[str, canon.Json],
    options: Options,
    case: Case,
    output: str,
    rules: Mapping[str, Rule],
) -> float:
    kind = check.get("type")
    if not isinstance(kind, str):
        raise FormatError("a check has no type")
    if kind == "assert-set":
        members = check.get("assert")
        if not isinstance(members, Sequence) or isinstance(members, str) or not members:
            raise FormatError("an assert-set has no list of checks")
        found, negated = _mean(members, case, output, rules), False
    else:
        name, negated = scorers.base_type(kind, scorers.CHECK_TYPES)
        found = rules[name](options, output)
    threshold = options.number("threshold")
    if threshold is not None:
        found = float(found >= threshold)
    return 1.0 - found if negated else found
