"""Reads the files that a manifest or suite names, and remembers which.

- Names are relative to the naming file's folder and may not leave it.
- Every error names the file and line of the manifest where the name stands.
- Text counts as it stands but for CRLF, which counts as LF. So does an asset, unless it holds a
  NUL byte: then it is binary and every byte counts.
"""

from collections.abc import Mapping
from typing import Final

from llmvc.core import digest
from llmvc.core.canon import Json
from llmvc.core.digest import Digest
from llmvc.errors import FormatError, NotFoundError
from llmvc.files import reading, tree
from llmvc.files.reading import Document, Path
from llmvc.files.tree import Files

MAX_TEXT: Final = 1024 * 1024
MAX_ASSET: Final = 16 * 1024 * 1024


class Sources:
    """The files beside one manifest or suite.

    Args:
        files: the tree they lie in.
        document: the manifest or suite.
        path: where it lies in the tree.
    """

    def __init__(self, files: Files, document: Document, path: str) -> None:
        self.document = document
        self.assets: dict[str, bytes] = {}
        self._files = files
        self._path = path
        self._used = {path: None}

    @property
    def used(self) -> tuple[str, ...]:
        """Paths from the repository's root, the manifest first, then as they were read."""
        return tuple(self._used)

    def read(self, name: str, at: Path, *, limit: int = MAX_TEXT) -> bytes:
        """Returns a file's bytes.

        Raises:
            NotFoundError: it is not there.
            FormatError: its name is not allowed, or it is not a regular file within the limit.
        """
        where = self.document.where(at)
        try:
            tree.check_path(name)
            path = tree.beside(self._path, name)
            data = self._files.read(path)
        except NotFoundError as err:
            raise NotFoundError(
                f"{where}: file {name} is not there", hint="create it, or correct the name"
            ) from err
        except FormatError as err:
            raise FormatError(f"{where}: {err}", hint=err.hint) from err
        if len(data) > limit:
            raise FormatError(f"{where}: file {name} is larger than {limit // 1024} KiB")
        self._used[path] = None
        return data

    def text(self, name: str, at: Path) -> str:
        """Returns a text file's text."""
        return reading.normalize_text(self.read(name, at), self.shown(name))

    def json(self, name: str, at: Path) -> Json:
        """Returns what a JSON file says."""
        return reading.read_json(self.read(name, at), self.shown(name)).value

    def asset(self, name: str, at: Path) -> Digest:
        """Returns the digest of an asset and keeps its bytes."""
        data = self.read(name, at, limit=MAX_ASSET)
        self.assets[name] = data if b"\0" in data else data.replace(b"\r\n", b"\n")
        return digest.of_bytes(self.assets[name])

    def shown(self, name: str) -> str:
        """Returns how messages call a file beside the manifest."""
        return tree.beside(self.document.name, name)

    def path_of(self, name: str) -> str:
        """Returns a file's path from the repository's root; the manifest's own for no name."""
        return tree.beside(self._path, name) if name else self._path

    def texts(self) -> dict[str, str]:
        """Returns the assets that are text, for templates to include."""
        result: dict[str, str] = {}
        for name, data in self.assets.items():
            try:
                result[name] = data.decode("utf-8")
            except UnicodeDecodeError:
                continue  # binary, or text in another encoding: no template can include it
        return {name: text for name, text in result.items() if "\0" not in text}

    def finish(self) -> None:
        """Refuses files whose names differ only in case."""
        tree.check_collisions(self._used, self.document.name)


def as_mapping(value: Json) -> Mapping[str, Json]:
    """Narrows a value that the schema has found to be a mapping."""
    if not isinstance(value, Mapping):
        raise FormatError(f"not a mapping: {value!r}")
    return value


def as_list(value: Json) -> list[Json]:
    """Narrows a value that the schema has found to be a list."""
    if not isinstance(value, list):
        raise FormatError(f"not a list: {value!r}")
    return value
