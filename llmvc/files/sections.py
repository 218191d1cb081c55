"""From what a manifest says to the members of a bundle.

- Texts, schemas and examples from files stand inline in the bundle, so that moving a text into a
  file does not change the digest; code and other assets stand as digests.
- What is not written is not there; a written null or default is.
- Only `cache_control` is left out: it changes what a call costs, not what it says.
"""

from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from llmvc.core import digest
from llmvc.core.canon import Json
from llmvc.core.digest import Digest
from llmvc.errors import FormatError, NotFoundError
from llmvc.files import reading
from llmvc.files.reading import Path
from llmvc.files.sources import Sources, as_list, as_mapping

ABOUT: Final = frozenset({"llmvc", "name", "kind", "description", "owners", "labels", "suite"})
DROPPED: Final = frozenset({"cache_control"})

# Values that may be `{file: path}` instead, and how the file is read.
REFERENCES: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("variables",), "json"),
    (("tools", "*", "input_schema"), "json"),
    (("response", "schema"), "json"),
    (("retrieval", "template"), "text"),
    (("judge", "rubric"), "text"),
)


def members(sources: Sources, resolve: Callable[[str], Digest] | None = None) -> dict[str, Json]:
    """Returns the bundle members that a checked manifest describes.

    Args:
        sources: the files beside it.
        resolve: finds the digest of another bundle by its name, for kind `set`.

    Raises:
        FormatError: a file does not hold what it should.
        NotFoundError: a file is not there.
    """
    body = as_mapping(sources.document.value)
    special: Mapping[str, Callable[[Json, Path], Json]] = {
        "messages": lambda value, at: _each(sources, value, at, _message),
        "few_shot": lambda value, at: _few_shot(sources, value, at),
        "tools": lambda value, at: _each(sources, value, at, _kept),
        "members": lambda value, at: _members(sources, value, at, resolve),
    }
    result: dict[str, Json] = {}
    for name, value in body.items():
        if name not in ABOUT and name != "assets":
            result[name] = special[name](value, (name,)) if name in special else value
    for pattern, kind in REFERENCES:
        if pattern[0] in result:
            result[pattern[0]] = _replace(sources, result[pattern[0]], pattern, kind, pattern[:1])
    files = _assets(sources, body)
    if files or "assets" in body:
        result["assets"] = dict(files)
    return result


def is_reference(value: Json) -> bool:
    """Tells whether a value is `{file: path}`."""
    return isinstance(value, Mapping) and list(value) == ["file"] and isinstance(value["file"], str)


def transform_files(body: Mapping[str, Json]) -> list[tuple[str, Path]]:
    """Returns the code files that post-processing names, and where."""
    post = body.get("post")
    listed = post.get("transforms") if isinstance(post, Mapping) else None
    return [
        (str(item["file"]), ("post", "transforms", at, "file"))
        for at, item in enumerate(listed if isinstance(listed, list) else [])
        if isinstance(item, Mapping) and "file" in item
    ]


def _each(
    sources: Sources,
    value: Json,
    at: Path,
    build: Callable[[Sources, Mapping[str, Json], Path], Json],
) -> Json:
    return [build(sources, as_mapping(item), (*at, n)) for n, item in enumerate(as_list(value))]


def _kept(_: Sources, value: Mapping[str, Json], _at: Path) -> dict[str, Json]:
    return {name: item for name, item in value.items() if name not in DROPPED}


def _message(sources: Sources, value: Mapping[str, Json], at: Path) -> Json:
    result = _kept(sources, value, at)
    if "file" in result:
        result["content"] = sources.text(str(result.pop("file")), (*at, "file"))
    elif "parts" in result:
        result["content"] = _each(sources, result.pop("parts"), (*at, "parts"), _part)
    return result


def _part(sources: Sources, value: Mapping[str, Json], at: Path) -> Json:
    result = _kept(sources, value, at)
    if "file" in result:
        result["text"] = sources.text(str(result.pop("file")), (*at, "file"))
    return result


def _few_shot(sources: Sources, value: Json, at: Path) -> Json:
    result = dict(as_mapping(value))
    if "file" in result:
        name = str(result.pop("file"))
        data = sources.read(name, (*at, "file"))
        shown = sources.shown(name)
        result["examples"] = [_example(row, shown) for row in reading.read_jsonl(data, shown)]
    return result


def _example(row: reading.Row, name: str) -> Json:
    value = row.value
    if (
        not isinstance(value, Mapping)
        or sorted(value) != ["output", "vars"]
        or not isinstance(value["vars"], Mapping)
        or not isinstance(value["output"], str)
    ):
        raise FormatError(
            f"{name}:{row.line}: not an example", hint='write {"vars": {...}, "output": "..."}'
        )
    return value


def _members(
    sources: Sources, value: Json, at: Path, resolve: Callable[[str], Digest] | None
) -> Json:
    find = resolve or _unknown_bundle
    result: dict[str, Json] = {}
    for name, wanted in as_mapping(value).items():
        text = str(wanted)
        try:
            result[name] = digest.parse(text) if text.startswith("b3:") else find(text)
        except (FormatError, NotFoundError) as err:
            where = f"{sources.document.where((*at, name))}: members.{name}"
            raise type(err)(f"{where}: {err}", hint=err.hint) from err
    return result


def _unknown_bundle(name: str) -> NoReturn:
    raise NotFoundError(f"bundle {name!r} is not known here", hint="write its digest, b3:…")


def _replace(sources: Sources, value: Json, pattern: tuple[str, ...], kind: str, at: Path) -> Json:
    """Returns the value with the reference that the pattern leads to read from its file."""
    rest = pattern[len(at) :]
    if not rest:
        if not is_reference(value):
            return value
        name, here = str(as_mapping(value)["file"]), (*at, "file")
        if kind == "text":
            return sources.text(name, here)
        found = sources.json(name, here)
        if not isinstance(found, Mapping):
            raise FormatError(f"{sources.shown(name)}: a JSON Schema is a JSON object")
        return found
    if rest[0] == "*":
        return [
            _replace(sources, item, pattern, kind, (*at, n))
            for n, item in enumerate(as_list(value))
        ]
    if isinstance(value, Mapping) and rest[0] in value:
        inner = _replace(sources, value[rest[0]], pattern, kind, (*at, rest[0]))
        return {**value, rest[0]: inner}
    return value


def _assets(sources: Sources, body: Mapping[str, Json]) -> dict[str, Digest]:
    named = transform_files(body)
    listed = body.get("assets")
    if isinstance(listed, list):
        named = [(str(name), ("assets", n)) for n, name in enumerate(listed)] + named
    return {name: sources.asset(name, at) for name, at in named}
