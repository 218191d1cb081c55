"""A record of a migration, with something in each of its members."""

from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.migration import (
    Amount,
    Context,
    Cost,
    Finding,
    Judge,
    Known,
    Migration,
    Models,
    Parameter,
    Room,
    Variants,
)


def named(text: str) -> Digest:
    """Returns a digest."""
    return digest.of_bytes(text.encode())


RECORD = Migration(
    bundle="support",
    env="prod",
    from_=named("old"),
    to=named("new"),
    suite=named("suite"),
    models=Models("openai/gpt-4o", "openai/gpt-5"),
    parameters=(Parameter("decoding.seed", 7, None, "dropped", "no place"),),
    findings=(Finding("tools", "warning", "tools.look", "long"),),
    unknown=("a price",),
    context=Context(None, Room(100, 12, "c1", 3, 0, 4), "bytes"),
    cost=Cost(Amount(None, None), Amount(0.5, 2), "measured", "report", named("prices"), ""),
    judges=(
        Judge("help", named("judge"), "gpt", kin=True, state="TRUSTED", warnings=("one-judge",)),
    ),
    variants=Variants(("spacing",), ()),
    known=Known(named("models"), "gpt-5", "2026-11-20"),
    report=named("report"),
    verdict="pass",
    made="2026-11-20T12:00:00Z",
    actor="ada",
    tool="llmvc 0",
)
