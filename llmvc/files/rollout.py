"""The plan of a canary, as `environments.<name>.canary` of the configuration says it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from llmvc.core.canary import UNLIMITED, WHOLE, Budget, Guardrail, Plan, check_distinct
from llmvc.errors import FormatError
from llmvc.files.reading import Document, Path

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_OWN: Final = frozenset({"of", "unit", "steps", "min_duration", "guardrails", "budget"})


@dataclass(frozen=True, slots=True)
class Rollout:
    """What every canary of one environment follows; see `core.canary.Canary` for the members."""

    of: str
    unit: str
    plan: Plan
    guardrails: tuple[Guardrail, ...]
    budget: Budget = UNLIMITED


def read_rollout(document: Document, path: Path, values: Any) -> Rollout:
    """Reads an environment's canary, which the schema has found well-formed.

    Args:
        document: the configuration, for the lines of what is wrong.
        path: where the canary stands in it.
        values: what stands there.

    Raises:
        FormatError: steps do not rise, or a guardrail lacks its bound or stands twice.
    """
    plan = {name: value for name, value in values.items() if name not in _OWN}
    lasts = str(values.get("min_duration", "1h"))
    guardrails: list[Guardrail] = []
    at: Path = (*path, "steps")
    try:
        steps = tuple(_ppm(step) for step in values["steps"])
        made = Plan(steps, min_seconds=int(lasts[:-1]) * _SECONDS[lasts[-1]], **plan)
        for number, item in enumerate(values["guardrails"]):
            at = (*path, "guardrails", number)
            guardrails.append(Guardrail(**item))
            check_distinct(guardrails)
    except FormatError as err:
        raise document.error(at, str(err), hint=err.hint) from err
    return Rollout(
        str(values.get("of", "prod")),
        str(values.get("unit", "conversation")),
        made,
        tuple(guardrails),
        Budget(**values.get("budget", {})),
    )


def _ppm(share: str) -> int:
    """Returns a share such as `5%` in ppm; its four decimals are the finest that it can say."""
    return int(Decimal(share.removesuffix("%")) * WHOLE / 100)
