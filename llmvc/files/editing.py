"""Changes values in a YAML file and leaves the rest, comments and order, as they are.

- `patch` is checked by reading its result: where an edit in place does not lead to the wanted
  value, the whole file is written anew, and its comments are lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from llmvc.core import canon
from llmvc.core.canon import Json
from llmvc.errors import FormatError
from llmvc.files import writing
from llmvc.files.reading import Document, Node, read_yaml

# The order in which a manifest is shown; what is not listed follows by name.
_ORDER = (
    "llmvc",
    "name",
    "kind",
    "description",
    "owners",
    "labels",
    "suite",
    "role",
    "type",
    "provider",
    "id",
    "snapshot",
    "messages",
    "variables",
    "few_shot",
    "model",
    "decoding",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "mcp",
    "response",
    "context",
    "retrieval",
    "guardrails",
    "post",
    "assets",
    "judge",
    "members",
)


@dataclass(frozen=True, slots=True)
class _Cut:
    """One replacement of a part of the text."""

    start: int
    end: int
    text: str


def edit_model(
    data: bytes,
    name: str,
    *,
    provider: str,
    model_id: str,
    changes: Mapping[str, Json] = MappingProxyType({}),
) -> bytes:
    """Returns the manifest with another model; only the model's lines and those changed differ.

    What belonged to the old model alone goes: its snapshot and what was expected of its answers.

    Args:
        data: the manifest.
        name: its path, for messages.
        provider: the connection of the new model.
        model_id: its id.
        changes: dotted name of a member, such as `decoding.seed` -> its new value; None takes it
            away, and its section too where nothing else is left in it.

    Raises:
        FormatError: the manifest cannot be read, or has no model.
    """
    document = read_yaml(data, name)
    body = document.value
    model = body.get("model") if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(model, Mapping):
        raise FormatError(f"{name}: there is no model to change", hint="write model: first")
    wanted: Mapping[str, Json] = body
    if (model.get("provider"), model.get("id")) != (provider, model_id):
        kept = {key: item for key, item in model.items() if key not in ("snapshot", "expect")}
        wanted = {**body, "model": {**kept, "provider": provider, "id": model_id}}
    for path, value in changes.items():
        wanted = _with(wanted, path.split("."), value)
    return data if _equal(body, wanted) else like(data, patch(document, wanted))


def _with(body: Mapping[str, Json], steps: Sequence[str], value: Json) -> dict[str, Json]:
    """Returns a mapping with one member of it, or within it, set; None takes it away."""
    first, *rest = steps
    old = body.get(first)
    inner = _with(old if isinstance(old, Mapping) else {}, rest, value) if rest else value
    if inner is None or (rest and not inner):
        return {key: item for key, item in body.items() if key != first}
    return {**body, first: inner}


def canonical_yaml(data: bytes, name: str) -> str:
    """Returns a manifest in one fixed order and style, for `git diff`.

    A pure function of the bytes; what cannot be read is returned as text, as it is.
    """
    try:
        value = read_yaml(data, name).value
    except FormatError:
        return data.decode("utf-8", errors="replace")
    if not isinstance(value, Mapping):
        return data.decode("utf-8")
    return writing.document(_ordered(value))


def like(data: bytes, text: str) -> bytes:
    """Returns text as bytes with the line ends that the old bytes have."""
    newlines = data.count(b"\n")
    if newlines and data.count(b"\r\n") == newlines:
        text = text.replace("\n", "\r\n")
    return text.encode("utf-8")


def patch(document: Document, wanted: Json) -> str:
    """Returns the text of a document changed so that it says something else."""
    if document.root is None or _equal(document.value, wanted):
        return document.text
    cuts = _cuts(document, document.root, document.value, wanted, 0)
    text = document.text
    # From the end; at one place a removal before an insertion, which it would else remove.
    for cut in sorted(cuts, key=lambda cut: (cut.start, cut.end), reverse=True):
        text = text[: cut.start] + cut.text + text[cut.end :]
    try:
        reached = _equal(read_yaml(text.encode("utf-8"), document.name).value, wanted)
    except FormatError:
        reached = False
    return text if reached else writing.document(wanted)


def _cuts(document: Document, node: Node, old: Json, new: Json, indent: int) -> list[_Cut]:
    if _equal(old, new):
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.keys() & new.keys():
        return _mapping_cuts(document, node, old, new)
    if isinstance(old, list) and isinstance(new, list) and old and new:
        return _list_cuts(document, node, old, new)
    return [_replaced(document, node, new, indent)]


def _mapping_cuts(
    document: Document, node: Node, old: Mapping[str, Json], new: Mapping[str, Json]
) -> list[_Cut]:
    indent = _column(document, node)
    cuts: list[_Cut] = []
    gone: list[int] = []
    for at, entry in enumerate(node.entries):
        key = str(entry.step)
        if key not in new:
            gone.append(at)
            continue
        cuts += _removed(document, node, gone)
        gone = []
        cuts += _cuts(document, entry.node, old[key], new[key], indent)
    cuts += _removed(document, node, gone)
    added = [key for key in new if key not in old]
    if added:
        last = node.entries[-1].node
        if node.flow:
            text = "".join(f", {writing.key(key)}: {writing.flow(new[key])}" for key in added)
            cuts.append(_Cut(last.end, last.end, text))
        else:
            end = _line_end(document.text, _content_end(document, last))
            members = writing.block({key: new[key] for key in added}, indent).removeprefix("\n")
            start = "" if document.text[end - 1 : end] == "\n" else "\n"
            cuts.append(_Cut(end, end, start + members))
    return cuts


def _list_cuts(document: Document, node: Node, old: list[Json], new: list[Json]) -> list[_Cut]:
    indent, common = _column(document, node), min(len(old), len(new))
    cuts = [
        cut
        for entry, before, after in zip(node.entries, old[:common], new[:common], strict=False)
        for cut in _cuts(document, entry.node, before, after, indent)
    ]
    end = node.entries[-1].node.end
    line_end = _line_end(document.text, _content_end(document, node.entries[-1].node))
    if len(old) > common and node.flow:
        cuts.append(_Cut(node.entries[common - 1].node.end, end, ""))
    elif len(old) > common:
        line = document.text.rfind("\n", 0, node.entries[common].start) + 1
        cuts.append(_Cut(line, line_end, ""))
    elif len(new) > common and node.flow:
        cuts.append(_Cut(end, end, "".join(f", {writing.flow(item)}" for item in new[common:])))
    elif len(new) > common:
        start = "" if document.text[line_end - 1 : line_end] == "\n" else "\n"
        items = writing.block(new[common:], indent).removeprefix("\n")
        cuts.append(_Cut(line_end, line_end, start + items))
    return cuts


def _replaced(document: Document, node: Node, new: Json, indent: int) -> _Cut:
    """Returns the replacement of a whole value."""
    end = _content_end(document, node)
    in_line = not isinstance(new, Mapping | list) or not new
    text = document.text
    if in_line and not node.literal and not node.entries:
        lead = " " if text[node.start - 1 : node.start] in (":", "-") else ""
        return _Cut(node.start, max(end, node.start), lead + writing.scalar(new))
    if node.flow or _inside_flow(document, node):
        return _Cut(node.start, node.end, writing.flow(new))
    start = len(text[: node.start].rstrip(" \n"))
    # A comment between the key and a block collection would swallow the new value.
    newline = text.find("\n", start, node.start)
    body = writing.block(new, indent + 2)
    if newline >= 0 and body.startswith("\n"):
        start = newline
    return _Cut(start, _line_end(text, end), body)


def _removed(document: Document, node: Node, gone: list[int]) -> list[_Cut]:
    """Returns the cut of neighbouring members; at least one other member stays."""
    if not gone:
        return []
    first, last = node.entries[gone[0]], node.entries[gone[-1]]
    after = node.entries[gone[-1] + 1 : gone[-1] + 2]
    if node.flow and not after:
        return [_Cut(node.entries[gone[0] - 1].node.end, last.node.end, "")]
    line = document.text.rfind("\n", 0, first.start) + 1
    if after and (node.flow or document.text[line : first.start].strip()):
        # The first key of a mapping in a list stands after "- ", which the next key takes over.
        return [_Cut(first.start, after[0].start, "")]
    end = max(_content_end(document, last.node), last.start)
    return [_Cut(line, _line_end(document.text, end), "")]


def _content_end(document: Document, node: Node) -> int:
    """Returns the offset after the last character of a value, trailing space left out."""
    return max(node.start, len(document.text[: node.end].rstrip()))


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _column(document: Document, node: Node) -> int:
    return node.start - (document.text.rfind("\n", 0, node.start) + 1)


def _inside_flow(document: Document, node: Node) -> bool:
    found: Node | None = document.root
    while found is not None:
        if found.flow:
            return True
        found = next(
            (e.node for e in found.entries if e.node.start <= node.start < max(e.node.end, 1)),
            None,
        )
        if found is node:
            return node.flow
    return False


def _equal(value: Json, other: Json) -> bool:
    return canon.encode(value) == canon.encode(other)


def _ordered(value: Json) -> Json:
    if isinstance(value, Mapping):
        order = {name: at for at, name in enumerate(_ORDER)}
        keys = sorted(value, key=lambda key: (order.get(key, len(order)), key))
        return {key: _ordered(value[key]) for key in keys}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value
