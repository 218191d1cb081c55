"""How far the form of a prompt moves a metric, in words."""

from typing import TYPE_CHECKING

from llmvc.core.variants import NAMES, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llmvc.core.estimate import Estimate


def told(item: "Estimate") -> list[tuple[str, str]]:
    """Returns the mean under each spelling and their spread, a line for each arm."""
    facts: list[tuple[str, str]] = []
    for group, label in (("variants", "variants"), ("variants_baseline", "baseline's")):
        figures = item.details.get(group)
        if not figures:
            continue
        means = [
            f"{'not known' if figures[name] is None else f'{figures[name]:.3f}'} {_name(name)}"
            for name in (WRITTEN, *NAMES)
            if name in figures
        ]
        facts.append((label, f"{', '.join(means)}; spread {_spread(figures)}"))
    warning = _warning(item)
    return [*facts, ("warning", warning)] if warning else facts


def warnings(estimates: "Iterable[Estimate]") -> list[str]:
    """Returns a sentence for each metric that the form of the prompt moves beyond its margin."""
    return [warning for item in estimates if (warning := _warning(item))]


def _warning(item: "Estimate") -> str | None:
    """Warns where the spread is surely more than none, and more than the margin as it seems."""
    figures = item.details.get("variants", {})
    spread, low, margin = (figures.get(name) for name in ("spread", "spread_low", "margin"))
    if not spread or not low or margin is None or spread <= margin:
        return None
    return (
        f"the form of the prompt alone moves {item.metric} by {_spread(figures)}, "
        f"more than the margin of {margin:g}"
    )


def _spread(figures: "Mapping[str, float | None]") -> str:
    spread, low, high = (figures.get(name) for name in ("spread", "spread_low", "spread_high"))
    if spread is None or low is None or high is None:
        return "not known"
    return f"{spread:.3f} [{low:.3f}, {high:.3f}]"


def _name(variant: str) -> str:
    return "as written" if variant == WRITTEN else f"with {variant}"
