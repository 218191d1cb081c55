"""Analysing a canary: the logs that services wrote in, a stored verdict out.

- What was judged is stored, about the release that it judged; what was not due, or had too few
  units, is no look and leaves nothing behind.
- The same data are the same look: asked again, the stored analysis is the answer.
- Costs are computed anew with the repository's own price table where the tokens allow it, so that a
  table that changed between two events does not look like a change of cost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmvc import __version__
from llmvc.app.canary import scene
from llmvc.app.canary.scene import Scene
from llmvc.app.judges import file
from llmvc.app.workspace import Workspace
from llmvc.core.analysis import Analysis
from llmvc.errors import LlmvcError, StoreError, UsageError
from llmvc.traces.adding import summed
from llmvc.traces.analyze import Asked, is_look
from llmvc.traces.analyze import analyze as judge
from llmvc.traces.reading import files
from llmvc.traces.sums import Priced, Scope, Sums


def analyze(
    ws: Workspace,
    where: Scene,
    *,
    logs: Iterable[str] = (),
    sums: Iterable[str] = (),
    look: int | None = None,
) -> Analysis:
    """Judges the newest release of a canary by what was logged.

    Args:
        ws: the workspace.
        where: the canary.
        logs: glob patterns of event logs.
        sums: files of sums, as `sum_up` makes them.
        look: which look it is; None for the next one, once it is due.

    Returns:
        The analysis. It is stored if it judged anything, or found the measurement broken in a way
        that the newest stored one does not say.

    Raises:
        NotFoundError: no canary is open, or a pattern matches no log.
        UsageError: neither logs nor sums are named, or that look was taken at other data.
    """
    tip, canary = where.open()
    merged = sum_up(ws, where, logs=logs, sums=sums)
    before = scene.analyses(ws, tip.release)
    same = [one for one in before if one.logs == merged.digest and look in (None, one.look)]
    if same:
        return same[-1]
    looks = [one for one in before if one.verdict != "invalid"]
    asked = _asked(ws, looks, look)
    found = judge(merged, tip.release, where.baseline().release.to, asked)
    if _repeats(found, before):
        return found  # ticks would fill the store with what it says already
    if found.verdict != "inconclusive" or is_look(found, canary, merged, asked):
        subject = (
            f"{found.bundle}@{found.env}: look {found.look} at release {found.seq}, {found.verdict}"
        )
        file(ws, found, (found.release,), subject=subject)
    return found


def is_stored(ws: Workspace, found: Analysis) -> bool:
    """Returns whether an analysis was a look, so that a step or an end may rest on it."""
    return ws.repo.versions.read(found.digest) is not None


def sum_up(
    ws: Workspace, where: Scene, *, logs: Iterable[str] = (), sums: Iterable[str] = ()
) -> Sums:
    """Adds up the events of a canary's newest release.

    Args:
        ws: the workspace.
        where: the canary.
        logs: glob patterns of event logs.
        sums: files of sums to add.

    Raises:
        NotFoundError: no canary is open, or a pattern matches no log.
        UsageError: neither logs nor sums are named.
        FormatError: a file of sums is none, or about another step.
    """
    scope = Scope.of(where.open()[0].release, where.baseline().release.to)
    patterns, stored = tuple(logs), tuple(sums)
    if not patterns and not stored:
        raise UsageError("there is nothing to analyse", hint="--logs GLOB, or --sums FILE")
    total = summed(files(patterns), scope, priced=_priced(ws)) if patterns else Sums(scope)
    for path in stored:
        try:
            data = Path(path).read_bytes()
        except OSError as err:
            raise StoreError(f"cannot read {path}: {err.strerror}") from err
        total.merge(Sums.from_bytes(data))
    return total


def _asked(ws: Workspace, looks: Sequence[Analysis], look: int | None) -> Asked:
    """Returns which look this is.

    Raises:
        UsageError: it was taken already, at other data.
    """
    last = max(looks, key=lambda one: one.look, default=None)
    asked = Asked((last.look if last else 0) + 1, ws.time, ws.actor, f"llmvc {__version__}")
    if look is None:
        return replace(asked, units=last.arms["canary"].units if last else 0)
    if look < asked.look:
        raise UsageError(
            f"look {look} was taken already, at other data",
            hint=f"the next one is {asked.look}; without --look it is taken once it is due",
        )
    return replace(asked, look=look)


def _repeats(found: Analysis, before: Sequence[Analysis]) -> bool:
    """Says whether the newest stored analysis says it already: broken in the same ways."""
    if not before or found.verdict != "invalid" or before[-1].verdict != "invalid":
        return False
    broken = [{name for name, one in it.checks.items() if one.broken} for it in (found, before[-1])]
    return broken[0] == broken[1]


def _priced(ws: Workspace) -> Priced | None:
    """Returns what a call costs by the repository's price table; None if none can be read."""
    from llmvc.evals.prices import Prices  # noqa: PLC0415 (a megabyte of prices)

    try:
        path = ws.config.prices
        prices = Prices.load(ws.root / path if path else None)
    except LlmvcError:
        return None
    table = prices.digest

    def priced(event: Mapping[str, Any]) -> tuple[float, str] | None:
        given, made = (event.get(f"gen_ai.usage.{way}_tokens") for way in ("input", "output"))
        models = [event.get(f"gen_ai.{side}.model") for side in ("response", "request")]
        named = [model for model in models if model]
        price = prices.find(str(event.get("gen_ai.provider.name")), *named)
        if price is None or given is None or made is None:
            return None
        cache = (
            event.get(f"gen_ai.usage.cache_{way}.input_tokens") for way in ("read", "creation")
        )
        return price.of(given, made, *(tokens or 0 for tokens in cache)), table

    return priced
