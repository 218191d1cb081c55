"""What a migration changes beside the model: room in the window, money, judges, spellings.

- Both models are told the same: the same cases, and the same tokens where the old one was measured.
- What nobody can tell is None.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from llmvc.app import connecting, kinship
from llmvc.app.workspace import Workspace
from llmvc.core import context, digest, request, variants
from llmvc.core.bundle import Bundle
from llmvc.core.metric import number
from llmvc.core.migration import ESTIMATED, MEASURED, Amount, Cost, Judge, Room, Variants
from llmvc.core.report import Report, Run
from llmvc.core.suite import Case, Suite
from llmvc.evals import tokenizers
from llmvc.evals.budget import GUESSED_OUTPUT
from llmvc.evals.models import member
from llmvc.evals.prices import FREE, Price, Prices
from llmvc.evals.target import LIMIT, Target
from llmvc.gate import judged

if TYPE_CHECKING:
    from llmvc.app.revisions import Resolved

NOTHING: Final = Amount(None, None)


def sizes(ws: Workspace, found: "Resolved", cases: Sequence[Case]) -> dict[str, tuple[int, int]]:
    """Returns case -> about how many tokens its request has, and how many at least.

    Raises:
        FormatError: a case lacks a variable.
        NotFoundError: a part of the bundle is not in this clone.
    """
    bundle, limit = found.bundle, context.limit_of(found.bundle)
    texts = connecting.texts(bundle, connecting.needed(ws, bundle, dict(found.assets)))
    count = None if limit.tokenizer is None else tokenizers.load(limit.tokenizer)
    made: dict[str, tuple[int, int]] = {}
    for case in cases:
        sent = request.build(bundle, case.vars, texts, count)
        size = context.size(sent, count)
        made[case.id] = (size, context.least(sent) if count is None else size)
    return made


def room(bundle: Bundle, made: Mapping[str, tuple[int, int]], listed: int | None) -> Room:
    """Returns how requests fit a window.

    Args:
        bundle: what makes them.
        made: their sizes, see `sizes`.
        listed: the window of its model in the price table, if the bundle names none.
    """
    limit = context.limit_of(bundle)
    window = limit.window or listed
    most = limit.most
    if most is None and window is not None:
        most = max(0, window - limit.reserved)
    worst = max(made, key=lambda case: made[case], default=None)
    fits = None if most is None else sum(about <= most for about, _ in made.values())
    beyond = None if most is None else sum(least > most for _, least in made.values())
    return Room(window, made[worst][0] if worst else None, worst, fits, beyond, len(made))


def estimator(bundle: Bundle) -> str:
    """Names what counts the tokens of a bundle's requests."""
    return context.limit_of(bundle).tokenizer or context.ESTIMATOR


def price_of(bundle: Bundle, target: Target | None, prices: Prices) -> Price | None:
    """Returns the price of what answers for a bundle; None if it is not known."""
    if target is None:
        return None
    if target.self_hosted:
        return FREE
    several = number(member(bundle.body, "decoding.n"))
    return None if several and several > 1 else prices.find(target.listed_as, *target.names)


def cost(
    sides: tuple[tuple[Bundle, Price | None], tuple[Bundle, Price | None]],
    made: Mapping[str, tuple[int, int]],
    served: Report | None,
    prices: Prices,
    dated: str,
) -> Cost:
    """Returns about what both bundles cost, for the same tokens.

    Args:
        sides: both bundles with the price of their model.
        made: sizes of the requests, see `sizes`.
        served: the report on what is served, which knows how many tokens it really takes.
        prices: the table.
        dated: when the price of the second was known.
    """
    used = _used(served) if served is not None else None
    told = "request size by " + estimator(sides[1][0])
    told += f" in, {LIMIT} (unset: {GUESSED_OUTPUT}) out"
    if served is not None and used is not None:
        told = f"tokens of {digest.short(served.candidate)} in report {digest.short(served.digest)}"
    amounts: list[Amount] = []
    for bundle, price in sides:
        most = number(member(bundle.body, LIMIT))
        guess = (_mean(about for about, _ in made.values()), most or GUESSED_OUTPUT)
        given, written = used or guess
        if price is None or given is None:
            amounts.append(NOTHING)
            continue
        usd = given * price.input + written * price.output
        amounts.append(Amount(usd, usd * len(made)))
    before, after = amounts
    return Cost(before, after, ESTIMATED, told, prices.digest, dated)


def measured(planned: Cost, report: Report) -> Cost:
    """Returns what both arms really cost; what was planned where the report does not know."""
    amounts: list[Amount] = []
    for arm in ("baseline", "candidate"):
        usd = _mean(run.cost_usd for run in _runs(report, arm))
        amounts.append(NOTHING if usd is None else Amount(usd, usd * len(report.cases)))
    before, after = amounts
    if after == NOTHING:
        return planned
    told = f"report {digest.short(report.digest)}"
    dated = planned.prices, planned.dated
    return Cost(before, after, MEASURED, told, *dated)


def _used(report: Report) -> tuple[float, float] | None:
    """Returns the mean tokens in and out of a run of a report's candidate; None if not counted."""
    runs = _runs(report, "candidate")
    given = _mean(run.input_tokens for run in runs)
    written = _mean(run.output_tokens for run in runs)
    return None if given is None or written is None else (given, written)


def _runs(report: Report, arm: str) -> list[Run]:
    return [run for case in report.cases for run in getattr(case, arm) if run.run_id is not None]


def _mean(values: Iterable[float | None]) -> float | None:
    """Returns the mean; None if there is no value, or one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known and len(known) == len(found) else None


def judges(
    ws: Workspace,
    suite: Suite,
    arms: tuple[Bundle, Bundle | None],
    writers: Collection[str],
) -> tuple[Judge, ...]:
    """Returns the suite's judges beside the models that they compare.

    Args:
        ws: the workspace, which remembers the judges of a suite that was loaded.
        suite: names them.
        arms: candidate and baseline.
        writers: the models that wrote its cases.
    """
    candidate, baseline = arms
    found = [ws.judges[one] for one in suite.judges]
    prompted = [kinship.prompted(one.bundle) for one in found]
    texts = [kinship.text(arm) for arm in arms if arm is not None]
    told: list[Judge] = []
    for one, judge in zip(found, prompted, strict=True):
        kin = kinship.kin(judge.family, *arms)
        codes = judged.lint(
            judge,
            prompted,
            kin=kin,
            migrating=kinship.migrates(baseline, candidate),
            prompts=texts,
            writers=writers,
        )
        told.append(Judge(one.name, one.bundle.digest, judge.family, kin, None, codes))
    return tuple(told)


def writers(cases: Iterable[Case]) -> frozenset[str]:
    """Returns the models that wrote cases, as their tags say."""
    tags = {tag for case in cases for tag in case.tags}
    mark = judged.WRITTEN_BY
    return frozenset(tag.removeprefix(mark) for tag in tags if tag.startswith(mark))


def spellings(suite: Suite, candidate: Bundle) -> Variants:
    """Returns the spellings that the suite names, and those that leave the candidate as it is."""
    names = tuple(suite.variants)
    return Variants(names, variants.unchanged(candidate, names))
