"""What a person should know of a migration beyond its numbers, from the worst to the least."""

import re
from collections.abc import Iterator
from typing import Final

from llmvc.app.migrating.candidate import decidable
from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.core.migration import Finding, Migration, Part
from llmvc.core.plural import count
from llmvc.core.release import MIGRATION_SECTIONS
from llmvc.evals.models import Broken, member
from llmvc.evals.target import LIMIT, Target
from llmvc.gate import judged

_DATED: Final = re.compile(r"\d{4}-\d\d-\d\d|(?<!\d)\d{8}(?!\d)|[-@]\d{3,4}\Z")
_PARTS: Final[dict[str, Part]] = {"tools": "tools", "messages": "messages", "response": "response"}
_ORDER: Final = ("refused", "warning", "note")


def noticed(
    record: Migration,
    bundles: tuple[Bundle, Bundle, Bundle],
    targets: tuple[Target | None, Target],
    *,
    broken: tuple[Broken, ...],
    retires: canon.Json,
    dated: tuple[str, ...] | None,
    sliced: bool,
) -> tuple[Finding, ...]:
    """Returns the findings, refused ones first.

    Args:
        record: what is known so far.
        bundles: what is served, else the manifest as it was; that manifest; and the candidate.
        targets: what answers for both.
        broken: what the target does not take of the candidate.
        retires: the date of the model's end in the price table, if it has one.
        dated: names of the model with a date; None if the price table does not list it.
        sliced: whether the suite looks at any slice of its cases.
    """
    (old, written, new), (before, after) = bundles, targets
    found = [
        *_refused(broken),
        *after.shapes(new.body),
        *_alias(new, after, dated),
        *_model(record, new, retires),
        *_beside(record, old, written, new),
        *_more(before, after),
        *_thinking((old, before), (new, after)),
        *_room(record),
        *_judges(record),
        *_suite(record, sliced=sliced),
    ]
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.level)))


def _refused(broken: tuple[Broken, ...]) -> Iterator[Finding]:
    """Yields what the target does not take and no decision on a parameter mends."""
    for one in broken:
        if not decidable(one.name):
            part = _PARTS.get(one.name.split(".")[0], "model")
            yield Finding(part, "refused", one.name, one.why)


def _alias(new: Bundle, target: Target, dated: tuple[str, ...] | None) -> Iterator[Finding]:
    """Says that a name without a date may come to mean another model."""
    name = target.names[0]
    if target.dialect is None or target.self_hosted or _DATED.search(name):
        return
    pinned = member(new.body, "model.alias_policy") != "floating"
    says = f"{name} is an alias without a date: what answers may change unseen"
    if dated == ():
        says = f"{name} has no date, and the price table knows no name of it that has one"
        yield Finding("model", "note", "model.id", says)
    elif pinned:
        better = dated[-1] if dated else "one with a date"
        says += f"; name {better}, or say --set model.alias_policy=floating"
        yield Finding("model", "warning", "model.id", says)
    else:
        yield Finding("model", "note", "model.id", says)


def _model(record: Migration, new: Bundle, retires: canon.Json) -> Iterator[Finding]:
    if retires:
        when = "retired" if str(retires) <= record.made[:10] else "retires"
        says = f"its maker {when} it on {retires}, by the price table"
        yield Finding("model", "warning", "model.id", says)
    if member(new.body, "model.fallback"):
        yield Finding("model", "note", "model.fallback", "it stays as it is, and is not checked")


def _beside(record: Migration, old: Bundle, written: Bundle, new: Bundle) -> Iterator[Finding]:
    """Says what differs beside the model: edits that the verdict will be about, and decisions."""
    if edited := _sections(old, written):
        says = f"it differs from what {record.env} serves in {edited}, too"
        says += ": the verdict is about all of it, and the release a promote"
        yield Finding("model", "warning", edited, says)
    if decided := _sections(written, new):
        says = f"{decided} had to change with the model: the release is a promote"
        yield Finding("model", "note", decided, says)


def _sections(one: Bundle, other: Bundle) -> str:
    """Returns the sections that differ, those that change with a model left out."""
    before, after = one.section_digests(), other.section_digests()
    differ = (name for name in after if before[name] != after[name])
    return ", ".join(name for name in differ if name not in MIGRATION_SECTIONS)


def _more(before: Target | None, after: Target) -> Iterator[Finding]:
    """Says what the target takes that the old model did not."""
    if before is None or before.dialect is None or after.family is None:
        return
    gained = sorted(after.takes() - before.takes())
    if gained:
        says = f"it also takes {', '.join(gained)}; unset, its maker's default holds"
        yield Finding("model", "note", "model.id", says)


def _thinking(
    served: tuple[Bundle, Target | None], wanted: tuple[Bundle, Target]
) -> Iterator[Finding]:
    """Says that thinking costs, and uses up the limit, where the old model did none."""
    (old, before), (new, after) = served, wanted
    if not _thinks(new, after) or _thinks(old, before):
        return
    most = member(new.body, LIMIT)
    says = "the model thinks before it answers, in output tokens that no estimate of cost knows"
    says += f", and that count towards these {most}" if most is not None else ""
    yield Finding("model", "warning", LIMIT, says)


def _thinks(bundle: Bundle, target: Target | None) -> bool:
    """Says whether a model thinks before it answers; False where nobody knows."""
    family = target.family if target else None
    return family is not None and family.reasons_at(bundle.body)


def _room(record: Migration) -> Iterator[Finding]:
    room = record.context.to if record.context else None
    if room is None or room.fits is None or room.beyond is None or room.fits == room.of:
        return
    unsure = room.of - room.fits - room.beyond
    if room.beyond:
        says = f"{room.beyond} of {count(room.of, 'request')} surely do not fit"
        yield Finding("context", "warning", "context.window", says)
    if unsure:
        says = f"{unsure} of {count(room.of, 'request')} may not fit"
        yield Finding("context", "warning", "context.window", says)


def _judges(record: Migration) -> Iterator[Finding]:
    for judge in record.judges:
        if judged.MIGRATING in judge.warnings:
            says = f"judge {judge.name} is of the family of a model that it compares"
            says += f" ({judge.family}): what rests on it is inconclusive; {judged.MORE_LABELS}"
            yield Finding("judges", "warning", judge.name, says)
        others = [code for code in judge.warnings if code != judged.MIGRATING]
        if others:
            yield Finding("judges", "warning", judge.name, ", ".join(others))


def _suite(record: Migration, *, sliced: bool) -> Iterator[Finding]:
    spelt = record.variants
    if not sliced:
        says = "no slice is measured: a drop on one kind of case can hide in the mean"
        yield Finding("suite", "note", "metrics", says)
    if not spelt.names:
        says = "the prompt is measured in one spelling, and models differ in which they like; "
        says += "variants: all measures several"
        yield Finding("suite", "note", "variants", says)
    elif spelt.unchanged:
        says = f"{', '.join(spelt.unchanged)} find nothing to change in the candidate"
        yield Finding("suite", "note", "variants", says)
