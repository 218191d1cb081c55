"""Loads a function of the user's from a file, and tells which code it was.

- What runs is compiled from the very bytes whose digest is told, never from a stale cache.
- Loading writes no bytecode: a `__pycache__` in the working tree would make it unclean.
"""

import importlib.util
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.errors import FormatError
from llmvc.evals.providers.base import one_line


def load_function(path: Path, name: str) -> tuple[Callable[..., Any], Digest]:
    """Loads a file as a module of its own, its folder importable for it.

    Returns:
        The function, and the digest of the file's LF bytes.

    Raises:
        FormatError: the file cannot be read or run, or has no such function.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise FormatError(f"cannot read {path}: {err.strerror}") from err
    code = digest.of_bytes(data.replace(b"\r\n", b"\n"))
    module_name = f"llmvc_user_{digest.hex_of(digest.of_bytes(str(path).encode()))[:16]}"
    if path.suffix != ".py":
        raise FormatError(f"{path} is not a Python file", hint="its name must end in .py")
    loader = _Loader(module_name, path, data)
    spec = importlib.util.spec_from_file_location(module_name, path, loader=loader)
    if spec is None:
        raise FormatError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        # Last, so that a file beside it can never hide a module of the standard library.
        sys.path.append(folder)
    try:
        with _no_bytecode():
            loader.exec_module(module)
    except (Exception, SystemExit) as err:  # foreign code may raise anything, or call exit
        raise FormatError(
            one_line(f"{path} cannot be loaded: {type(err).__name__}: {err}")
        ) from err
    function = getattr(module, name, None)
    if not callable(function):
        raise FormatError(
            f"{path} has no function {name!r}", hint="define it there, or correct the name"
        )
    return function, code


class _Loader(SourceFileLoader):
    """Compiles the bytes that were hashed."""

    def __init__(self, name: str, path: Path, data: bytes) -> None:
        super().__init__(name, str(path))
        self._data = data

    def get_code(self, fullname: str) -> CodeType:
        """Compiles them; a cached file could be of another edit within the same second."""
        return self.source_to_code(self._data, self.get_filename(fullname))


@contextmanager
def _no_bytecode() -> Generator[None]:
    """Keeps files that the code imports from leaving bytecode behind."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
