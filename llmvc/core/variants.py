"""Spellings of a prompt that mean the same: separators, casing of labels, spacing, order, layout.

A model's score can move far when nothing but the form of its prompt changes (M. Sclar et al.,
arXiv:2310.11324), so that a suite may average over several forms and report their spread.

- Only the text between the slots of system, developer and user messages changes, and the order of
  few-shot examples. Slots, code, outputs of examples, schemas and tools stay as they are.
- A label changes everywhere or nowhere. Where an instruction speaks of the form, such as "one a
  line", that form stays, so that the instruction stays true.
- Where nothing may change, nothing does, and the caller is told.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from llmvc.core.bundle import Bundle
from llmvc.core.canon import Json
from llmvc.core.prompt import LABEL, MARKS, NAME, SLOT, Prompt, Text, respelled
from llmvc.core.request import selected
from llmvc.errors import FormatError

NAMES: Final = ("separators", "label-case", "spacing", "example-order", "field-layout")
"""All spellings, in the order in which `variants: all` uses them."""
WRITTEN: Final = "written"
"""What the prompt as its author wrote it is called beside them."""

_RULE: Final = re.compile(r"^(?P<rule>([#=*-])\2{2,})[ \t]*$", re.MULTILINE)
_FIELD: Final = re.compile(rf"^(?P<name>{NAME}): +(?P<value>\S.*)$")
_MEMBER: Final = rf'"({NAME})"\s*:\s*(?:"({SLOT})"|({SLOT}))'
_OBJECT: Final = re.compile(rf"^\{{\s*{_MEMBER}(?:\s*,\s*{_MEMBER})*\s*\}}[ \t]*$", re.MULTILINE)
_FORMATS: Final = re.compile(r"\b(?:json|ya?ml|toml|xml|csv|ini)\b", re.IGNORECASE)

# Words by which an instruction speaks of the form itself.
_OF_SEPARATORS: Final = re.compile(r"\b(?:colon|dash|hyphen|separat)", re.IGNORECASE)
_OF_CASE: Final = re.compile(r"\b(?:(?:upper|lower)[- ]?case|capital|casing)", re.IGNORECASE)
_OF_SPACING: Final = re.compile(r"\b(?:lines?|newlines?|spac(?:es?|ing))\b", re.IGNORECASE)
_OF_LAYOUT: Final = re.compile(r"\b(?:colons?|lines?|layout)\b", re.IGNORECASE)


def respell(bundle: Bundle, name: str) -> Bundle | None:
    """Returns the bundle in another spelling that means the same.

    Args:
        bundle: of kind `app` or `judge`.
        name: one of `NAMES`.

    Returns:
        A bundle of the same members, variables and model; None where the spelling finds nothing
        that it may change.

    Raises:
        FormatError: no spelling has that name.
    """
    if name not in NAMES:
        raise FormatError(f"unknown variant {name!r}", hint=f"variants are {', '.join(NAMES)}")
    members = {key: value for key, value in bundle.body.items() if key not in ("llmvc", "kind")}
    if name == "example-order" and "few_shot" in members:
        members["few_shot"] = _reordered(members["few_shot"])
    elif name in _SPELLINGS and "messages" in members:
        members["messages"] = respelled(members, _SPELLINGS[name])
    changed = Bundle.of(bundle.kind, members)
    return None if changed.digest == bundle.digest else changed


def spellings(bundle: Bundle, names: Sequence[str]) -> tuple[Bundle, ...]:
    """Returns the bundle as written, then in each spelling; as written where nothing changes."""
    return (bundle, *(respell(bundle, name) or bundle for name in names))


def unchanged(bundle: Bundle, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the spellings that leave the bundle as it is."""
    return tuple(name for name in names if respell(bundle, name) is None)


def _reordered(few_shot: Json) -> Json:
    """Returns the same examples in the opposite order."""
    if not isinstance(few_shot, Mapping) or len(selected(few_shot)) < 2:
        return few_shot
    selector = few_shot.get("selector")
    chosen = selector if isinstance(selector, Mapping) else {}
    order = "written" if chosen.get("order") == "reversed" else "reversed"
    return {**few_shot, "selector": {**chosen, "order": order}}


def _as_written(prompt: Prompt) -> list[str]:
    return [text.masked for text in prompt.texts]


def _relabelled(
    prompt: Prompt, names: frozenset[str], spell: Callable[[re.Match[str]], str]
) -> list[str]:
    """Returns the masked texts with every place of these labels spelt anew."""

    def change(found: re.Match[str]) -> str:
        return spell(found) if found["name"] in names else found[0]

    return [LABEL.sub(change, text.masked) for text in prompt.texts]


def _separators(prompt: Prompt) -> list[str]:
    """Writes `Ticket - …` for `Ticket: …`, and a line of `===` for one of `###`."""
    if prompt.speaks_of(_OF_SEPARATORS):
        return _as_written(prompt)
    # What is said to be YAML, for one, must stay that.
    data = [text for text in prompt.texts if _FORMATS.search(text.source)]
    bound = {found["name"] for text in data for found in text.labels()}

    def dash(found: re.Match[str]) -> str:
        head = f"{found['lead']}{found['name']}"
        rest = found[0][len(head) + 1 :]
        return f"{head} -{' ' if MARKS.match(rest) else ''}{rest}"

    rules = {found["rule"] for text in prompt.texts for found in _RULE.finditer(text.masked)}
    alone = {rule for rule in rules if _alone(prompt, rule)}

    def line(found: re.Match[str]) -> str:
        rule: str = found["rule"]
        other = "#" if rule[0] == "=" else "="
        return found[0].replace(rule, other * len(rule)) if rule in alone else found[0]

    changed = _relabelled(prompt, (prompt.fields | prompt.cues) - bound, dash)
    return [_RULE.sub(line, masked) for masked in changed]


def _alone(prompt: Prompt, rule: str) -> bool:
    """Says whether a line of marks stands nowhere but alone in its line."""
    marks = re.compile(rf"(?<!{re.escape(rule[0])}){re.escape(rule)}(?!{re.escape(rule[0])})")
    for text in prompt.texts:
        lines = [found["rule"] for found in _RULE.finditer(text.masked)]
        if len(marks.findall(text.source)) != lines.count(rule):
            return False
    return not any(rule in text for text in prompt.held)


def _label_case(prompt: Prompt) -> list[str]:
    """Writes `TICKET:` for `Ticket:`, and `Ticket:` for `TICKET:`."""
    if prompt.speaks_of(_OF_CASE):
        return _as_written(prompt)
    names = frozenset(
        name for name in prompt.fields | prompt.cues if len(name) > 1 and not prompt.named(name)
    )

    def recased(found: re.Match[str]) -> str:
        name: str = found["name"]
        return found[0].replace(name, name.capitalize() if name.isupper() else name.upper(), 1)

    return _relabelled(prompt, names, recased)


def _spacing(prompt: Prompt) -> list[str]:
    """Puts the value under its label instead of beside it, and two blank lines for one."""
    if prompt.speaks_of(_OF_SPACING):
        return _as_written(prompt)

    def below(found: re.Match[str]) -> str:
        head = f"{found['lead']}{found['name']}:"
        rest = found[0][len(head) :]
        return head + (" " if "\n" in rest else "\n") + rest.lstrip(" \n")

    return [_airy(text) for text in _relabelled(prompt, prompt.fields - prompt.cues, below)]


def _airy(masked: str) -> str:
    """Doubles the blank lines between lines that are not indented, which code may be."""
    lines = masked.split("\n")
    made: list[str] = []
    for at, line in enumerate(lines):
        made.append(line)
        between = 0 < at < len(lines) - 1 and not line.strip()
        if between and all(beside[:1].strip() for beside in (lines[at - 1], lines[at + 1])):
            made.append(line)
    return "\n".join(made)


def _field_layout(prompt: Prompt) -> list[str]:
    """Writes two fields or more, a line each, as a JSON object; or such an object as lines.

    Values are inserted as they are, so that one with a quotation mark makes no strict JSON.
    """
    if prompt.speaks_of(_OF_LAYOUT):
        return _as_written(prompt)
    if any(_OBJECT.search(text.masked) for text in prompt.texts):
        return _as_lines(prompt)
    names = frozenset(
        name for name in prompt.fields - prompt.cues if all(_fits(t, name) for t in prompt.texts)
    )
    if len(names) < 2:  # one alone may be an instruction, such as `Translate this: {{text}}`
        return _as_written(prompt)
    return [_as_objects(text.masked, names) for text in prompt.texts]


def _fits(text: Text, name: str) -> bool:
    """Says whether each place of a label is a line that a JSON member can stand for."""
    places = [found["name"] for found in text.labels()].count(name)
    lines = [found for line in text.masked.split("\n") if (found := _FIELD.match(line))]
    own = [found["value"].rstrip() for found in lines if found["name"] == name]
    plain = all(re.fullmatch(SLOT, value) or not MARKS.search(value) for value in own)
    return len(own) == places and plain and not (own and _FORMATS.search(text.source))


def _as_objects(masked: str, names: frozenset[str]) -> str:
    made: list[str] = []
    members: dict[str, str] = {}

    def close() -> None:
        if members:
            made.append(json.dumps(members, ensure_ascii=False))
            members.clear()

    for line in masked.split("\n"):
        found = _FIELD.match(line)
        if found is None or found["name"] not in names:
            close()
            made.append(line)
            continue
        if found["name"] in members:
            close()
        members[found["name"]] = found["value"].rstrip()
    close()
    return "\n".join(made)


def _as_lines(prompt: Prompt) -> list[str]:
    """Writes JSON objects whose values are slots as lines, unless an instruction speaks of JSON."""
    objects = [found[0] for text in prompt.texts for found in _OBJECT.finditer(text.masked)]
    keys = {found[1] for whole in objects for found in re.finditer(_MEMBER, whole)}
    inside = "".join(objects)
    everywhere = "".join(text.masked for text in prompt.texts)
    named = any(everywhere.count(f'"{key}"') > inside.count(f'"{key}"') for key in keys)
    held = any(key in text for key in keys for text in prompt.held)
    if named or held or prompt.speaks_of(_FORMATS):
        return _as_written(prompt)

    def lines(whole: re.Match[str]) -> str:
        listed = re.findall(_MEMBER, whole[0])
        return "\n".join(f"{name}: {text or bare}" for name, text, bare in listed)

    return [_OBJECT.sub(lines, text.masked) for text in prompt.texts]


_SPELLINGS: Final[Mapping[str, Callable[[Prompt], list[str]]]] = {
    "separators": _separators,
    "label-case": _label_case,
    "spacing": _spacing,
    "field-layout": _field_layout,
}
