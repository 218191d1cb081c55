"""Reads what people write, strictly: YAML, JSON, JSON lines and plain text.

- UTF-8 without byte order mark; CRLF counts as LF.
- YAML is read event by event: one document, no anchors, aliases, tags, merge keys or duplicate
  keys, and plain scalars only where every reader agrees on their value (see `scalars`).
- Every error names the file and, where there is one, the line.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from llmvc.core import canon
from llmvc.core.canon import Json
from llmvc.errors import FormatError
from llmvc.files import scalars

MAX_YAML_BYTES: Final = 1024 * 1024
MAX_NODES: Final = 100_000

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """Where a YAML value stands.

    Attributes:
        line: first line of the value, from 1.
        start: offset of its first character in the document's text.
        end: offset after its last character; for block collections, that of the last value.
        flow: whether it is written in flow style (`[...]`, `{...}`).
        literal: whether it is a block scalar (`|` or `>`).
        entries: the members of a collection, in order.
    """

    line: int
    start: int
    end: int
    flow: bool = False
    literal: bool = False
    entries: tuple["Entry", ...] = ()

    def entry(self, step: str | int) -> "Entry | None":
        """Returns the member with this key or position."""
        return next((entry for entry in self.entries if entry.step == step), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a YAML collection: its key or position, where that stands, and its value."""

    step: str | int
    line: int
    start: int
    node: Node


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read.

    Attributes:
        name: how messages call it.
        value: what it says.
        text: the text it was read from, with LF line ends; empty for JSON.
        root: where its values stand; None for JSON.
    """

    name: str
    value: Json
    text: str = ""
    root: Node | None = None

    def line_of(self, path: Path) -> int | None:
        """Returns the line where a value, or the nearest one around it, is written."""
        if self.root is None:
            return None
        node, line = self.root, self.root.line
        for step in path:
            found = node.entry(step)
            if found is None:
                break
            node, line = found.node, found.line
        return line

    def error(self, path: Path, what: str, *, hint: str = "") -> FormatError:
        """Returns an error that names the file and the line of a value."""
        return FormatError(f"{self.where(path)}: {what}", hint=hint)

    def where(self, path: Path) -> str:
        """Returns `file:line`, or the file alone where no line is known."""
        line = self.line_of(path)
        return self.name if line is None else f"{self.name}:{line}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a JSON lines file."""

    line: int
    value: Json


def dotted(path: Path) -> str:
    """Returns a path as people write it: `messages[0].content`."""
    text = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step if step.isprintable() else repr(step)}"
        for step in path
    )
    return text.removeprefix(".")


def normalize_text(data: bytes, name: str) -> str:
    """Returns a text file's text with LF line ends; nothing else is changed.

    Raises:
        FormatError: it is not UTF-8, starts with a byte order mark, or holds a NUL.
    """
    if data.startswith(b"\xef\xbb\xbf"):
        raise FormatError(
            f"{name} starts with a byte order mark", hint="save it as UTF-8 without BOM"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise FormatError(
            f"{name} is not UTF-8 at byte {err.start}", hint="save it as UTF-8 without BOM"
        ) from err
    if "\0" in text:
        raise FormatError(f"{name} holds a NUL byte, so it is not text")
    return text.replace("\r\n", "\n")


def read_json(data: bytes, name: str) -> Document:
    """Reads a JSON file.

    Raises:
        FormatError: it is not strict JSON (see `core.canon`).
    """
    return Document(name, _json(normalize_text(data, name), name, 1))


def read_jsonl(data: bytes, name: str) -> Iterator[Row]:
    """Reads a JSON lines file row by row; blank lines are skipped.

    Raises:
        FormatError: a line is not strict JSON.
    """
    lines = normalize_text(data, name).split("\n")
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield Row(number, _json(line, name, number))


def read_yaml(data: bytes, name: str) -> Document:
    """Reads a YAML file of the strict subset.

    Raises:
        FormatError: it is not YAML, not of the subset, or beyond the limits.
    """
    if len(data) > MAX_YAML_BYTES:
        raise FormatError(
            f"{name} is larger than {MAX_YAML_BYTES // 1024} KiB",
            hint="move long texts into files of their own, which it names",
        )
    text = normalize_text(data, name)
    _refuse_odd_breaks(text, name)
    composer = _Composer(text, name)
    value, root = composer.document()
    return Document(name, value, text, root)


def _json(text: str, name: str, line: int) -> Json:
    try:
        return canon.decode(text.encode("utf-8"))
    except FormatError as err:
        cause = err.__cause__
        if isinstance(cause, json.JSONDecodeError):
            line += cause.lineno - 1
            raise FormatError(f"{name}:{line}: not JSON: {cause.msg}") from err
        raise FormatError(f"{name}:{line}: {err}") from err


def _refuse_odd_breaks(text: str, name: str) -> None:
    # YAML 1.1 reads these as line breaks, YAML 1.2 as characters.
    for char in "\x85\u2028\u2029":
        if char in text:
            line = text.count("\n", 0, text.index(char)) + 1
            raise FormatError(
                f"{name}:{line}: holds U+{ord(char):04X}, a line break to some readers only",
                hint=f'write "\\u{ord(char):04x}" in double quotes, or move the text to a file',
            )


class _Composer:
    """Builds the value and the places of one document from the parser's events."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._events = _events(text, name)
        self._nodes = 0

    def document(self) -> tuple[Json, Node]:
        import yaml  # noqa: PLC0415 (a command that reads no YAML does not pay for it)

        next(self._events)  # stream start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None, Node(1, 0, 0)
        if event.version or event.tags:
            raise self._error(event, "YAML directives are not allowed", "remove the line with %")
        value, node = self._value(next(self._events), 0)
        next(self._events)  # document end
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, "a second document starts here", "keep one document a file")
        return value, node

    def _value(self, event: Any, depth: int) -> tuple[Json, Node]:
        import yaml  # noqa: PLC0415

        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise FormatError(f"{self._name} holds more than {MAX_NODES} values")
        if depth > canon.MAX_DEPTH:
            raise self._error(event, f"nested deeper than {canon.MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            raise self._error(event, "aliases are not allowed", "write the value out")
        if event.anchor is not None:
            raise self._error(event, "anchors are not allowed", f"remove &{event.anchor}")
        if event.tag is not None:
            raise self._error(event, "tags are not allowed", f"remove {event.tag}")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        return self._scalar(event)

    def _scalar(self, event: Any) -> tuple[Json, Node]:
        node = Node(
            event.start_mark.line + 1,
            event.start_mark.index,
            event.end_mark.index,
            literal=event.style in ("|", ">"),
        )
        if event.style:
            return str(event.value), node
        try:
            return scalars.resolve(event.value), node
        except FormatError as err:
            raise self._error(event, str(err), err.hint) from err

    def _mapping(self, start: Any, depth: int) -> tuple[Json, Node]:
        import yaml  # noqa: PLC0415

        value: dict[str, Json] = {}
        entries: list[Entry] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event)
            if key in value:
                raise self._error(event, f"duplicate key {key!r}", "keep one of the two")
            value[key], node = self._value(next(self._events), depth + 1)
            line = event.start_mark.line + 1
            entries.append(Entry(key, line, event.start_mark.index, node))
        return value, _collection(start, event, entries)

    def _sequence(self, start: Any, depth: int) -> tuple[Json, Node]:
        import yaml  # noqa: PLC0415

        value: list[Json] = []
        entries: list[Entry] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item, node = self._value(event, depth + 1)
            entries.append(Entry(len(value), node.line, node.start, node))
            value.append(item)
        return value, _collection(start, event, entries)

    def _key(self, event: Any) -> str:
        import yaml  # noqa: PLC0415

        self._nodes += 1
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, "a key must be text")
        if event.anchor is not None or event.tag is not None:
            raise self._error(event, "anchors and tags are not allowed")
        if event.style:
            return str(event.value)
        if event.value == "<<":
            raise self._error(event, "merge keys are not allowed", "write the members out")
        try:
            return scalars.key(event.value)
        except FormatError as err:
            raise self._error(event, str(err), err.hint) from err

    def _error(self, event: Any, what: str, hint: str = "") -> FormatError:
        return FormatError(f"{self._name}:{event.start_mark.line + 1}: {what}", hint=hint)


def _collection(start: Any, stop: Any, entries: list[Entry]) -> Node:
    flow = bool(start.flow_style)
    end = stop.end_mark.index
    if not flow and entries:
        # The parser ends a block where the next token starts, past comments and blank lines.
        end = entries[-1].node.end
    return Node(
        start.start_mark.line + 1, start.start_mark.index, end, flow=flow, entries=tuple(entries)
    )


def _events(text: str, name: str) -> Iterator[Any]:
    import yaml  # noqa: PLC0415

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        # At the end of a file the parser points past its last line.
        line = min(1 if mark is None else mark.line + 1, text.rstrip("\n").count("\n") + 1)
        raise FormatError(f"{name}:{line}: not YAML: {err.problem or err.context}") from err
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise FormatError(f"{name}:{line}: not YAML: {err.reason}") from err
    except yaml.YAMLError as err:
        raise FormatError(f"{name}: not YAML: {err}") from err
