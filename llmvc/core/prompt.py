"""The texts of a bundle's prompt, with what may change between their slots and what may not.

- Slots and code are masked: whatever is done to the masked text, they come back as they were.
- A label, such as `Ticket:` before a slot or `Answer:` at the end, is free where no other text
  names it: no instruction, output, schema, tool or stop sequence.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from llmvc.core.canon import Json

_OURS: Final = frozenset({"system", "developer", "user"})
_HELD: Final = ("response", "tools", "tool_choice", "guardrails", "post")

# Characters of the private use area stand for what must not be touched.
SLOT: Final = "\ue000[0-9]+\ue001"
MARKS: Final = re.compile("[\ue000-\ue003]")
_MASK: Final = re.compile("[\ue000\ue002]([0-9]+)[\ue001\ue003]")

_FENCED: Final = r"^ {0,3}(?P<fence>```+|~~~+)[^\n]*\n(?:.*?^ {0,3}(?P=fence)[`~]*[ \t]*$|.*\Z)"
_QUOTED: Final = r"`[^`\n]+`"
_SLOTS: Final = {
    "simple": r"\\\{\{|\{\{[ \t\n\r]*[A-Za-z_][A-Za-z0-9_]*[ \t\n\r]*\}\}",
    "jinja2": r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}",
}
NAME: Final = r"[A-Za-z][A-Za-z0-9_]*(?: [A-Za-z0-9_]+){0,2}"
LABEL: Final = re.compile(
    rf"^(?P<lead> {{0,3}})(?P<name>{NAME}):"
    rf"(?:(?P<gap> *\n?)(?P<slot>{SLOT})|(?P<cue>\s*\Z)|(?P<text>[ \n]))",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Text:
    """A template whose slots and code are masked.

    Attributes:
        source: the template.
        masked: the same, with a mark for each piece that must not change.
        pieces: what the marks stand for.
    """

    source: str
    masked: str
    pieces: tuple[str, ...]

    @classmethod
    def of(cls, source: str, engine: str) -> "Text":
        """Masks a template."""
        kept = "|".join(filter(None, (_FENCED, _QUOTED, _SLOTS.get(engine))))
        pieces: list[str] = []

        def mask(found: re.Match[str]) -> str:
            pieces.append(found[0])
            marks = "\ue000{}\ue001" if found[0].startswith("{{") else "\ue002{}\ue003"
            return marks.format(len(pieces) - 1)

        masked = re.sub(kept, mask, source, flags=re.MULTILINE | re.DOTALL)
        return cls(source, masked, tuple(pieces))

    def restored(self, masked: str) -> str:
        """Returns a template with its pieces put back."""
        return _MASK.sub(lambda mark: self.pieces[int(mark[1])], masked)

    def labels(self) -> tuple[re.Match[str], ...]:
        """Returns the places of labels in the masked text."""
        return tuple(LABEL.finditer(self.masked))


@dataclass(frozen=True)
class Prompt:
    """All texts of a bundle that may be respelled, and those that tell what may not.

    Attributes:
        texts: the templates.
        held: texts that the model writes or is held to.
    """

    texts: tuple[Text, ...]
    held: tuple[str, ...]

    def speaks_of(self, words: re.Pattern[str]) -> bool:
        """Says whether an instruction holds one of the words."""
        return any(words.search(text.source) for text in self.texts)

    @cached_property
    def fields(self) -> frozenset[str]:
        """Free labels that stand before a slot."""
        return frozenset(name for name in self._names("slot") if self._free(name))

    @cached_property
    def cues(self) -> frozenset[str]:
        """Free labels at the end of a text, which the answer follows."""
        return frozenset(name for name in self._names("cue") if self._free(name))

    def named(self, name: str) -> bool:
        """Says whether a label's word stands anywhere beside the label itself, in its case."""
        return self._count(rf"(?<!\w){re.escape(name)}(?!\w)") > self._places(name)

    def _names(self, kind: str) -> set[str]:
        return {
            found["name"]
            for text in self.texts
            for found in text.labels()
            if found[kind] is not None
        }

    def _places(self, name: str) -> int:
        return [found["name"] for text in self.texts for found in text.labels()].count(name)

    def _count(self, pattern: str, flags: int = 0) -> int:
        return sum(len(re.findall(pattern, text.source, flags)) for text in self.texts)

    def _free(self, name: str) -> bool:
        word = re.escape(name)
        spelt = rf"(?<!\w){word}:"
        quoted = rf"""["'`*<\[]{word}["'`*>\]]"""
        if self._count(spelt, re.IGNORECASE) != self._places(name) or self._count(quoted):
            return False
        held = re.compile(rf"(?<!\w){word}(?!\w)|(?i:{spelt})")
        return not any(held.search(text) for text in self.held)


def respelled(members: Mapping[str, Json], spell: Callable[[Prompt], list[str]]) -> Json:
    """Returns a bundle's messages with the texts between their slots spelt anew.

    Args:
        members: of the bundle.
        spell: returns the new masked text of each text of the prompt, in their order.
    """
    messages = members.get("messages")
    found: dict[tuple[str, str], Text] = {}

    def collect(source: str, engine: str) -> str:
        found[source, engine] = Text.of(source, engine)
        return source

    _mapped(messages, collect)
    if any(MARKS.search(text.source) for text in found.values()):
        return messages
    prompt = Prompt(tuple(found.values()), tuple(_held(members)))
    spelt = dict(zip(found, spell(prompt), strict=True))

    def put_back(source: str, engine: str) -> str:
        return found[source, engine].restored(spelt[source, engine])

    return _mapped(messages, put_back)


def _held(members: Mapping[str, Json]) -> Iterator[str]:
    """Yields what the model writes or is held to."""
    messages, few_shot, decoding = map(members.get, ("messages", "few_shot", "decoding"))
    for message in messages if isinstance(messages, Sequence) else ():
        if isinstance(message, Mapping) and message.get("role") not in _OURS:
            yield from _strings(message.get("content"))
    examples = few_shot.get("examples") if isinstance(few_shot, Mapping) else None
    for example in examples if isinstance(examples, Sequence) else ():
        if isinstance(example, Mapping):
            yield from _strings(example.get("output"))
    if isinstance(decoding, Mapping):
        yield from _strings(decoding.get("stop"))
    for key in _HELD:
        yield from _strings(members.get(key))


def _strings(value: Json) -> Iterator[str]:
    """Yields every text in a value, names of members too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _strings(inner)


def _mapped(messages: Json, edit: Callable[[str, str], str]) -> Json:
    """Returns the messages with every text of ours edited, given its engine."""

    def of_part(part: Json, engine: str) -> Json:
        text = part.get("text") if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping) or not isinstance(text, str):
            return part
        return {**part, "text": edit(text, engine)}

    def of(message: Json) -> Json:
        if not isinstance(message, Mapping) or message.get("role") not in _OURS:
            return message
        content, engine = message.get("content"), str(message.get("engine", "simple"))
        if isinstance(content, str):
            return {**message, "content": edit(content, engine)}
        if isinstance(content, Sequence):
            return {**message, "content": [of_part(part, engine) for part in content]}
        return message

    return [of(message) for message in messages] if isinstance(messages, Sequence) else messages
