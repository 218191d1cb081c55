"""Whether the files that an eval measures by stay as they were read while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.errors import ConfigError

if TYPE_CHECKING:
    from llmvc.files.suite import LoadedSuite


@dataclass(frozen=True, slots=True)
class Watched:
    """The files of a suite as they were before the first call.

    Attributes:
        root: the top of the working tree.
        files: path -> digest of its bytes; None if it is not there.
    """

    root: Path
    files: Mapping[str, Digest | None]

    @classmethod
    def of(cls, ws: Workspace, loaded: "LoadedSuite") -> "Watched":
        """Returns the suite's file and its datasets, as far as they lie in the working tree."""
        paths = [loaded.path, *(str(place["path"]) for place in loaded.data if "path" in place)]
        return cls(ws.root, {path: _digest(ws.root / path) for path in paths})

    def check(self) -> None:
        """Checks that no file has other bytes now.

        Raises:
            ConfigError: one has; what was measured is not what lies there.
        """
        for path, before in self.files.items():
            if _digest(self.root / path) != before:
                raise ConfigError(
                    f"{path} was changed while the eval ran",
                    hint="finished runs are kept: run it again, only cases that changed are called",
                )


def _digest(path: Path) -> Digest | None:
    try:
        return digest.of_bytes(path.read_bytes())
    except OSError:
        return None
