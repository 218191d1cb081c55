"""From a manifest and the files beside it to a bundle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from llmvc.core import digest
from llmvc.core.bundle import Bundle
from llmvc.core.canon import Json
from llmvc.core.digest import Digest
from llmvc.core.names import is_name
from llmvc.errors import ConfigError, FormatError, LlmvcError, NotFoundError
from llmvc.files import sections, soundness
from llmvc.files.check import check
from llmvc.files.config import Config, matching
from llmvc.files.reading import Document, read_yaml
from llmvc.files.sources import Sources, as_mapping
from llmvc.files.tree import Files

MAX_BUNDLE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read, and the bundle that it describes.

    Attributes:
        path: where it lies, from the repository's root.
        name: the bundle's name.
        bundle: the bundle.
        files: every file that it was built from, the manifest first.
        assets: normalized bytes of the assets by their digest.
        texts: the assets that are text by their path, for templates to include.
    """

    path: str
    name: str
    bundle: Bundle
    files: tuple[str, ...]
    assets: Mapping[Digest, bytes]
    texts: Mapping[str, str]


def find_manifests(files: Files, config: Config) -> dict[str, str]:
    """Returns the path of each bundle's manifest by the bundle's name, sorted.

    A manifest that cannot be read is there under its folder's name, so that it does not stand in
    the way of the others; loading it says what is wrong.

    Raises:
        ConfigError: two manifests describe a bundle of the same name.
        FormatError: a manifest cannot be read, and its folder's name is none either.
    """
    found: dict[str, str] = {}
    unread: dict[str, LlmvcError] = {}
    for path in matching(files, config.bundles):
        try:
            name = bundle_name(read_yaml(files.read(path), shown(files, path)), path)
        except LlmvcError as err:
            name = _folder(path)
            if not is_name(name):
                raise
            unread[path] = err
        other = found.setdefault(name, path)
        if other != path:
            if problem := unread.get(path) or unread.get(other):
                raise problem
            raise ConfigError(
                f"{other} and {path} both describe bundle {name!r}",
                hint="rename one, or narrow bundles in .llmvc/config.yaml",
            )
    return dict(sorted(found.items()))


def load_manifest(
    files: Files, path: str, *, members: Callable[[str], Digest] | None = None
) -> Manifest:
    """Reads a manifest and builds its bundle.

    Args:
        files: the tree it lies in.
        path: where it lies, from the repository's root.
        members: finds the digest of another bundle by its name, for kind `set`.

    Raises:
        NotFoundError: the manifest or a file that it names is not there.
        FormatError: the manifest or one of its files is not valid.
    """
    try:
        data = files.read(path)
    except NotFoundError as err:
        raise NotFoundError(f"{shown(files, path)} is not there") from err
    document = read_yaml(data, shown(files, path))
    check(document, "bundle")
    name = bundle_name(document, path)
    sources = Sources(files, document, path)
    body = sections.members(sources, members)
    sources.finish()
    soundness.check_bundle(sources, body)
    bundle = _bundle(document, body)
    return Manifest(
        path=path,
        name=name,
        bundle=bundle,
        files=sources.used,
        assets={digest.of_bytes(item): item for item in sources.assets.values()},
        texts=sources.texts(),
    )


def shown(files: Files, path: str) -> str:
    """Returns how messages call a file of a tree."""
    return f"{files.label}:{path}" if files.label else path


def bundle_name(document: Document, path: str) -> str:
    """Returns the name that a manifest gives its bundle, else that of its folder.

    Raises:
        FormatError: it is not a name.
    """
    body = document.value
    if not isinstance(body, Mapping):
        raise FormatError(f"{document.name} is empty", hint="write llmvc: 1, messages and model")
    name = body.get("name", _folder(path))
    if not isinstance(name, str) or not is_name(name):
        raise document.error(
            ("name",),
            f"name {name!r} is not a name",
            hint="write name: and 1 to 40 lower-case letters, digits and hyphens",
        )
    return name


def _folder(path: str) -> str:
    return path.rpartition("/")[0].rpartition("/")[2]


def _bundle(document: Document, body: dict[str, Json]) -> Bundle:
    kind = str(as_mapping(document.value).get("kind", "app"))
    try:
        bundle = Bundle.of(kind, body)
    except FormatError as err:
        raise FormatError(f"{document.name}: {err}", hint=err.hint) from err
    if len(bundle.data) > MAX_BUNDLE:
        raise FormatError(
            f"{document.name}: the bundle takes {len(bundle.data) // 1024} KiB, more than "
            f"{MAX_BUNDLE // 1024}",
            hint="move large texts to assets",
        )
    return bundle
