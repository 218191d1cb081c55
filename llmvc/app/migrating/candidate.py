"""The candidate of a migration: the manifest with another model, and what becomes of parameters.

- The edit happens in memory: no file changes before a plan is accepted.
- A parameter that the target does not take is never left out by itself: a person drops or sets it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmvc.app.workspace import Workspace
from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.core.canon import mapped
from llmvc.core.migration import Parameter
from llmvc.errors import FormatError, UsageError
from llmvc.evals.models import Broken, member
from llmvc.evals.target import Target

if TYPE_CHECKING:
    from llmvc.files.manifest import Manifest
    from llmvc.files.tree import Files

_SECTIONS: Final = ("model", "decoding", "response", "context")
_ALONE: Final = ("tool_choice", "parallel_tool_calls")
_NESTED: Final = ("decoding.reasoning", "decoding.extra", "context.truncation", "context.history")
_OLD: Final = ("model.snapshot", "model.expect")
_NEVER: Final = ("model.provider", "model.id", "response.schema", "response.repair")
EDIT: Final = "a migration changes the model and its parameters alone: edit and commit it first"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants.

    Attributes:
        bundle: its name; None for the only one.
        model: the target, PROVIDER/ID.
        env: the environment to compare with; None for the default one.
        changes: dotted name of a parameter -> its new value; None drops it.
        release: whether that environment is to serve it if it passes.
    """

    bundle: str | None
    model: str
    env: str | None = None
    changes: Mapping[str, canon.Json] = field(default_factory=dict[str, canon.Json])
    release: bool = False

    @property
    def target(self) -> tuple[str, str]:
        """The connection's name and the model's id.

        Raises:
            UsageError: the model is not PROVIDER/ID.
        """
        provider, slash, model_id = self.model.partition("/")
        if not (provider and slash and model_id):
            raise UsageError(
                f"{self.model!r} is not PROVIDER/ID", hint="for one: openai/gpt-5-mini-2025-08-07"
            )
        return provider, model_id


@dataclass(frozen=True, slots=True)
class Candidate:
    """A manifest before and after.

    Attributes:
        before: as it lies in the working tree.
        after: as it will be read.
        old: the bytes that it has.
        new: the bytes that it will have.
    """

    before: "Manifest"
    after: "Manifest"
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class _Edited:
    """A tree of files of which one was edited."""

    files: "Files"
    path: str
    data: bytes

    @property
    def label(self) -> str:
        return self.files.label

    def read(self, path: str) -> bytes:
        return self.data if path == self.path else self.files.read(path)

    def names(self) -> tuple[str, ...]:
        return self.files.names()

    def root(self) -> Path | None:
        return self.files.root()


def decisions(dropped: tuple[str, ...], given: tuple[str, ...]) -> dict[str, canon.Json]:
    """Reads what `--drop NAME` and `--set NAME=VALUE` decide.

    Args:
        dropped: names.
        given: names with values; a value that is no JSON is text.

    Raises:
        UsageError: a name is no parameter, has two decisions, or lacks its value.
    """
    found: dict[str, canon.Json] = {}
    for name in dropped:
        _decide(found, name, None)
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not text:
            raise UsageError(
                f"--set {one} has no value", hint="for one: --set decoding.max_output_tokens=400"
            )
        try:
            value = canon.decode(text.encode("utf-8"))
        except FormatError:
            value = text
        if value is None:
            raise UsageError(f"--set {one}: null asks for nothing", hint=f"write --drop {name}")
        _decide(found, name, value)
    return found


def _decide(found: dict[str, canon.Json], name: str, value: canon.Json) -> None:
    if not decidable(name):
        raise UsageError(f"{name} is no parameter that a migration decides", hint=EDIT)
    if name in found:
        raise UsageError(f"{name} has two decisions", hint="name it once: --drop or --set")
    found[name] = value


def decidable(name: str) -> bool:
    """Says whether a migration may change a member of a bundle."""
    section, dot, rest = name.partition(".")
    if not dot:
        return name in _ALONE
    return section in _SECTIONS and bool(rest) and not name.startswith(_NEVER)


def edit(ws: Workspace, manifest: "Manifest", asked: Asked) -> Candidate:
    """Returns a manifest with the target's model and what was decided.

    Raises:
        FormatError: the manifest has no model, or a value is not one that it may hold.
    """
    from llmvc.files.manifest import edit_model  # noqa: PLC0415 (with YAML, when it is needed)

    provider, model_id = asked.target
    before = ws.files.read(manifest.path)
    after = edit_model(
        before, manifest.path, provider=provider, model_id=model_id, changes=asked.changes
    )
    edited = ws.manifest_of(manifest.name, files=_Edited(ws.files, manifest.path, after))
    return Candidate(manifest, edited, before, after)


def check_known(asked: Asked, *bundles: Bundle) -> None:
    """Checks that what is dropped is there.

    Raises:
        UsageError: no bundle has a parameter of that name.
    """
    for name, value in asked.changes.items():
        if value is None and all(member(one.body, name) is None for one in bundles):
            known = sorted({own for one in bundles for own in _names(one.body)} - set(_OLD))
            raise UsageError(
                f"--drop {name}: the bundle has no such parameter",
                hint=f"it has {', '.join(known)}",
            )


def parameters(
    old: Bundle,
    new: Bundle,
    targets: tuple[Target | None, Target],
    *,
    broken: Mapping[str, Broken],
    reasons: Mapping[str, Broken],
    decided: Mapping[str, canon.Json],
) -> Iterator[Parameter]:
    """Yields what became of each parameter that either bundle has, by name.

    Args:
        old: what is served, else the manifest as it was.
        new: the candidate, as it was decided on so far.
        targets: what answers for both; None for an old one that nobody knows.
        broken: what the target does not take of the candidate.
        reasons: what it would not take of the old bundle, or of the manifest as it was.
        decided: name of what a person decided on -> its value in the manifest before.
    """
    before, after = targets
    for name in sorted({*_names(old.body), *_names(new.body), *broken, *decided}):
        if not decidable(name):
            continue
        was, now = member(old.body, name), member(new.body, name)
        was = decided.get(name) if was is None else was
        if name in broken:
            yield Parameter(name, was, now, "undecided", broken[name].why)
        elif was != now:
            why = reasons[name].why if name in reasons else ""
            if name in _OLD and now is None:
                why = f"it belonged to {before.label if before else 'the old model'}"
            yield Parameter(name, was, now, "dropped" if now is None else "set", why)
        else:
            spelt = (before.spelling(name) if before else None, after.spelling(name))
            differ = None not in spelt and spelt[0] != spelt[1]
            said = f"{spelt[0]} -> {spelt[1]}" if differ else ""
            yield Parameter(name, was, now, "respelt" if differ else "kept", said)


def _names(body: Mapping[str, canon.Json]) -> Iterator[str]:
    """Yields the dotted names of a bundle's parameters that say something."""
    for name in _ALONE:
        if body.get(name) is not None:
            yield name
    for section in _SECTIONS:
        for name in _inner(section, mapped(body.get(section))):
            if not name.startswith(_NEVER):
                yield name


def _inner(prefix: str, values: Mapping[str, canon.Json]) -> Iterator[str]:
    for key, value in values.items():
        name = f"{prefix}.{key}"
        if name in _NESTED:
            yield from _inner(name, mapped(value))
        elif value is not None:
            yield name
