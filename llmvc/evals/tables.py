"""Reading the tables of prices and models: JSON files, shipped and the user's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from llmvc.core import canon
from llmvc.errors import ConfigError, FormatError

MAX_BYTES: Final = 16 * 1024 * 1024


def read(path: Path, what: str, setting: str) -> Mapping[str, canon.Json]:
    """Returns the object that a table's file holds.

    Args:
        path: of the file.
        what: names the table for people.
        setting: of the configuration, which names the file.

    Raises:
        ConfigError: it cannot be read.
        FormatError: it is no object, or larger than `MAX_BYTES`.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise ConfigError(
            f"cannot read {what} {path}: {err.strerror}",
            hint=f"correct `{setting}:` in .llmvc/config.yaml",
        ) from err
    if len(data) > MAX_BYTES:
        raise FormatError(f"{what} {path} is over {MAX_BYTES // 2**20} MiB")
    try:
        body = canon.decode(data)
    except FormatError as err:
        raise FormatError(f"{what} {path}: {err}") from err
    if not isinstance(body, Mapping):
        raise FormatError(f"{what} {path} is not an object")
    return body
