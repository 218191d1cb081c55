"""Fills in what each vector expects from its inputs, which are written by hand.

Run `python -m tests.vectors.regenerate` from the top of the checkout; read the diff before you
commit it: a changed digest is a changed format.
"""

import base64
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from llmvc.core import canon, digest
from llmvc.core.suite import Dataset
from llmvc.errors import LlmvcError
from llmvc.files.manifest import load_manifest
from llmvc.files.suite import load_suite
from tests.unit.files.memory import MemoryFiles

HERE = Path(__file__).parent
KINDS = ("bundle", "suite", "invalid")


def paths() -> Iterator[Path]:
    """Returns the files that hold one vector each."""
    for kind in KINDS:
        yield from sorted((HERE / kind).glob("*.json"))


def read(path: Path) -> dict:
    """Returns one vector."""
    return json.loads(path.read_text(encoding="utf-8"))


def inputs(vector: dict) -> MemoryFiles:
    """Returns the files that a vector is computed from."""
    raw = {name: base64.b64decode(text) for name, text in vector.get("base64", {}).items()}
    return MemoryFiles({**vector["files"], **raw})


def expected(kind: str, vector: dict) -> dict:
    """Returns what a vector must expect."""
    files = inputs(vector)
    if kind == "bundle":
        manifest = load_manifest(files, "bundle.yaml", members=lambda name: vector["members"][name])
        bundle = manifest.bundle
        return {
            "canonical": bundle.data.decode("utf-8"),
            "digest": bundle.digest,
            "sections": {name: key for name, key in bundle.section_digests().items() if key},
        }
    if kind == "suite":
        loaded = load_suite(
            files,
            "suite.yaml",
            resolve_judge=lambda name: load_manifest(files, f"{name}/bundle.yaml").bundle,
        )
        return {
            "canonical": loaded.suite.to_bytes().decode("utf-8"),
            "digest": loaded.suite.digest,
            "cases": [canon.encode(case.to_dict()).decode("utf-8") for case in loaded.cases],
            "datasets": [Dataset.to_bytes(item).decode("utf-8") for item in loaded.datasets],
        }
    return {"message": refusal(files)}


def refusal(files: MemoryFiles) -> str:
    """Returns the message with which a manifest or suite is refused."""
    try:
        if "suite.yaml" in files.names():
            load_suite(files, "suite.yaml")
        else:
            load_manifest(files, "bundle.yaml")
    except LlmvcError as err:
        return str(err)
    raise AssertionError("an invalid vector was accepted")


def canonical(text: str) -> dict[str, str]:
    """Returns the canonical form and digest of a JSON text, or that it is refused."""
    try:
        data = canon.encode(canon.decode(text.encode("utf-8", "surrogatepass")))
    except LlmvcError:
        return {"refused": "yes"}
    return {"canonical": data.decode("utf-8"), "digest": digest.of_bytes(data)}


def number(bits: str) -> str | None:
    """Returns the canonical form of an IEEE 754 double; None if it is refused."""
    try:
        return canon.encode(struct.unpack(">d", bytes.fromhex(bits))[0]).decode("ascii")
    except LlmvcError:
        return None


def write(path: Path, value: object) -> None:
    """Writes a vector file."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=True) + "\n", encoding="utf-8")


def main() -> None:
    """Rewrites every vector's expectation."""
    for path in paths():
        vector = read(path)
        write(path, {**vector, "expect": expected(path.parent.name, vector)})
    path = HERE / "canon.json"
    values = read(path)
    values["json"] = [{"text": row["text"], **canonical(row["text"])} for row in values["json"]]
    values["numbers"] = [[bits, number(bits)] for bits, _ in values["numbers"]]
    write(path, values)
    sys.stdout.write("vectors rewritten; read the diff\n")


if __name__ == "__main__":
    main()
