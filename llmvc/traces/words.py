"""The sentences of an analysis: short, with the numbers that they rest on."""

from llmvc.core.canary import SHARES, Guardrail
from llmvc.core.plural import count
from llmvc.stats.unpaired import Compared


def found(guardrail: Guardrail, compared: Compared) -> str:
    """Returns both arms, the estimate, its interval and the rule."""
    if compared.estimate is None:
        return compared.reason or "it was not measured"
    low, high = (_bound(guardrail, value) for value in (compared.low, compared.high))
    arms = f"{amount(guardrail, compared.baseline)} -> {amount(guardrail, compared.candidate)}"
    change = _bound(guardrail, compared.estimate)
    return f"{arms}, {change} [{low}, {high}], {rule(guardrail)}"


def rule(guardrail: Guardrail) -> str:
    """Returns the margin or limit."""
    if guardrail.margin is not None:
        return f"margin {100 * guardrail.margin:g} points"
    return f"limit x{guardrail.limit:g}"


def amount(guardrail: Guardrail, value: float | None) -> str:
    """Returns one arm's figure."""
    if value is None:
        return "-"
    if guardrail.metric in SHARES or guardrail.metric == "context":
        return f"{value:.2%}"
    if guardrail.metric == "cost":
        return f"${value:.4g}"
    return f"{value:.3g} s" if guardrail.metric == "latency" else f"{value:,.0f}"


def more_units(units: int) -> str:
    """Says how many more units would settle a guardrail."""
    return f"about {count(units, 'more unit')} in the canary, if the figures stay as they are"


def _bound(guardrail: Guardrail, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:+.2f}" if guardrail.metric in SHARES else f"x{value:.3f}"
