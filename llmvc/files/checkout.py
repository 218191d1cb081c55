"""From a bundle back to the files that describe it.

- After the returned files are written, the manifest describes exactly the target.
- Texts go into the files that the manifest names for them; the manifest itself changes only where
  the target is otherwise not reached, value by value, so that comments around stay. Where it must
  change, its path is among the returned ones.
- What is not part of a bundle (description, owners, cache_control) stays as it is.
"""

from collections.abc import Callable, Mapping, Sequence

from llmvc.core import canon, digest
from llmvc.core.bundle import MEMBERS, Bundle
from llmvc.core.canon import Json
from llmvc.core.digest import Digest
from llmvc.errors import FormatError, NotFoundError
from llmvc.files import editing, sections, tree, writing
from llmvc.files.building import Manifest
from llmvc.files.reading import read_yaml
from llmvc.files.sources import as_list, as_mapping

_Build = Callable[[Json, Json, Mapping[str, Json]], Json]


def checkout_files(
    manifest_data: bytes, manifest: Manifest, target: Bundle, assets: Mapping[Digest, bytes]
) -> dict[str, bytes]:
    """Returns the new bytes of every file that must change, by path from the repository's root.

    Args:
        manifest_data: the manifest as it is now.
        manifest: what it was read as.
        target: the bundle that the files shall describe.
        assets: bytes of the target's assets; those that the manifest already has may be left out.

    Raises:
        NotFoundError: an asset's bytes are missing.
        FormatError: the target names a file that may not be written.
    """
    document = read_yaml(manifest_data, manifest.path)
    old = as_mapping(document.value)
    plan = _Plan(manifest, target, {**manifest.assets, **assets})
    wanted: dict[str, Json] = {name: value for name, value in old.items() if name not in MEMBERS}
    if target.kind != old.get("kind", "app"):
        wanted["kind"] = target.kind
    for name in [*(n for n in old if n in target.body), *(n for n in target.body if n not in old)]:
        if name in MEMBERS and name != "assets":
            wanted[name] = plan.member(name, old.get(name))
    listed = plan.assets(old)
    if listed is not None:
        wanted["assets"] = listed
    plan.check_names()
    text = editing.patch(document, wanted)
    if text != document.text:
        plan.files[manifest.path] = editing.like(manifest_data, text)
    return plan.files


class _Plan:
    """Collects what is to be written, and sees to it that no file gets two contents."""

    def __init__(self, manifest: Manifest, target: Bundle, known: Mapping[Digest, bytes]) -> None:
        self.files: dict[str, bytes] = {}
        self._path = manifest.path
        self._old = manifest.bundle.body
        self._new = target.body
        self._claims: dict[str, Json] = {}
        self._place_assets(known)

    def member(self, name: str, old: Json) -> Json:
        """Returns how the manifest describes a member of the target."""
        new, was = self._new[name], self._old.get(name)
        if name == "messages":
            return self._each(old, was, new, self._message)
        if name == "few_shot":
            return self._few_shot(old, was, new)
        if name == "tools":
            new = self._each(old, was, new, self._tool)
        if name == "members" and old is not None and _same(was, new):
            return old
        for pattern, kind in sections.REFERENCES:
            if pattern[0] == name and pattern[0] != "tools":
                new = self._reference(old, was, new, pattern[1:], kind)
        return new

    def assets(self, old: Mapping[str, Json]) -> Json:
        """Returns the manifest's list of assets; None if it has none."""
        if "assets" not in self._new:
            return None
        names = list(as_mapping(self._new["assets"]))
        code = {name for name, _ in sections.transform_files(self._new)}
        listed = [str(item) for item in as_list(old.get("assets", []))]
        kept: list[Json] = [name for name in listed if name in names]
        kept += [name for name in names if name not in kept and name not in code]
        return kept if kept or "assets" in old or not code else None

    def check_names(self) -> None:
        """Refuses files that would be one where case does not count.

        Raises:
            FormatError: there are such files.
        """
        named = [tree.beside(self._path, name) for name in self._claims]
        tree.check_collisions([self._path, *named], self._path)

    def _place_assets(self, known: Mapping[Digest, bytes]) -> None:
        before = as_mapping(self._old.get("assets", {}))
        for name, key in as_mapping(self._new.get("assets", {})).items():
            tree.check_path(name)
            wanted = digest.parse(key)
            if wanted not in known:
                raise NotFoundError(
                    f"asset {name} {digest.short(wanted)} is not stored here",
                    hint="run llmvc fetch",
                )
            self._claims[name] = wanted
            if before.get(name) != wanted:
                self.files[tree.beside(self._path, name)] = known[wanted]
        if self._path in self.files:
            raise FormatError(f"asset {self._path} would replace the manifest itself")

    def _claim(self, name: Json, data: bytes, *, changed: bool) -> bool:
        """Tells whether a file may hold these bytes; if they are new, plans to write them."""
        if not isinstance(name, str):
            return False
        wanted = digest.of_bytes(data)
        if self._claims.setdefault(name, wanted) != wanted:
            return False
        if changed:
            self.files[tree.beside(self._path, name)] = data
        return True

    def _each(self, old: Json, was: Json, new: Json, build: _Build) -> Json:
        return [
            build(_at(old, n), _at(was, n), as_mapping(item)) for n, item in enumerate(as_list(new))
        ]

    def _message(self, old: Json, was: Json, new: Mapping[str, Json]) -> Json:
        result = _with_dropped(old, new)
        content = new.get("content")
        if isinstance(content, list):
            parts = self._each(_get(old, "parts"), _get(was, "content"), content, self._part)
            return _renamed(result, "content", "parts", parts)
        return self._in_file(old, was, result, "content")

    def _part(self, old: Json, was: Json, new: Mapping[str, Json]) -> Json:
        return self._in_file(old, was, _with_dropped(old, new), "text")

    def _tool(self, old: Json, was: Json, new: Mapping[str, Json]) -> Json:
        return self._reference(old, was, _with_dropped(old, new), ("input_schema",), "json")

    def _in_file(self, old: Json, was: Json, new: Mapping[str, Json], member: str) -> Json:
        """Returns the value with one text in the file that the manifest names for it."""
        text, name = new.get(member), _get(old, "file")
        if isinstance(text, str) and name is not None:
            changed = _get(was, member) != text
            if self._claim(name, text.encode("utf-8"), changed=changed):
                return _renamed(new, member, "file", name)
        return new

    def _few_shot(self, old: Json, was: Json, new: Json) -> Json:
        examples, name = _get(new, "examples"), _get(old, "file")
        if isinstance(examples, list) and name is not None:
            data = "".join(writing.json_line(row) for row in examples).encode("utf-8")
            if self._claim(name, data, changed=not _same(_get(was, "examples"), examples)):
                return _renamed(as_mapping(new), "examples", "file", name)
        return new

    def _reference(self, old: Json, was: Json, new: Json, steps: Sequence[str], kind: str) -> Json:
        """Returns the value with what the steps lead to in the file that the manifest names."""
        if steps:
            if not isinstance(new, Mapping) or steps[0] not in new:
                return new
            step = steps[0]
            inner = self._reference(_get(old, step), _get(was, step), new[step], steps[1:], kind)
            return {**new, step: inner}
        if not sections.is_reference(old):
            return new
        data = str(new).encode("utf-8") if kind == "text" else writing.pretty_json(new)
        return old if self._claim(_get(old, "file"), data, changed=not _same(was, new)) else new


def _at(value: Json, at: int) -> Json:
    return value[at] if isinstance(value, list) and at < len(value) else None


def _get(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, Mapping) else None


def _same(value: Json, other: Json) -> bool:
    return canon.encode(value) == canon.encode(other)


def _with_dropped(old: Json, new: Mapping[str, Json]) -> dict[str, Json]:
    kept = as_mapping(old) if isinstance(old, Mapping) else {}
    return {**new, **{name: kept[name] for name in sections.DROPPED if name in kept}}


def _renamed(value: Mapping[str, Json], old: str, new: str, item: Json) -> dict[str, Json]:
    return {
        (new if name == old else name): (item if name == old else value[name]) for name in value
    }
