"""Records what a served model answers to every case of this example.

Start the model with serve.py, then record one prompt on it, for instance

    python serve.py --model smollm2 --port 8080
    python record.py --base-url http://127.0.0.1:8080/v1 --variant better

Answers are appended to recordings.jsonl, keyed by canonical request and run number; those that are
there already are kept, so it can be stopped and started again.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from llmvc.core import digest, request
from llmvc.core.suite import Case
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Call
from llmvc.evals.providers.recorded import record_line
from llmvc.files.manifest import Manifest, edit_model, load_manifest
from llmvc.files.suite import load_suite
from llmvc.files.tree import WorkTree

HERE = Path(__file__).resolve().parent
PROMPT = "prompts/support"
RECORDINGS = HERE / "recordings.jsonl"


def manifest_of(variant: str, model: str | None) -> Manifest:
    """Returns the bundle of a variant: the base prompt with the variant's files over it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(HERE / PROMPT, root / PROMPT)
        if variant != "base":
            shutil.copytree(HERE / "variants" / variant, root / PROMPT, dirs_exist_ok=True)
        path = root / PROMPT / "bundle.yaml"
        if model is not None:
            edited = edit_model(path.read_bytes(), path.name, provider="local", model_id=model)
            path.write_bytes(edited)
        return load_manifest(WorkTree(root), f"{PROMPT}/bundle.yaml")


def calls(manifest: Manifest, cases: Iterable[Case], runs: int) -> Iterable[Call]:
    """Yields every call, with the seed that `llmvc eval` would send."""
    decoding = manifest.bundle.body["decoding"]
    for case in cases:
        built = request.build(manifest.bundle, case.vars)
        key = digest.of_value(built)
        for run in range(runs):
            yield Call(
                request=built,
                request_digest=key,
                case=case,
                run=run,
                seed=request.call_seed(decoding["seed"], case.id, run),
                bundle=manifest.bundle,
                snapshot=None,
            )


async def record(manifest: Manifest, base_url: str) -> int:
    """Asks for every answer that is not recorded yet; returns how many came."""
    loaded = load_suite(WorkTree(HERE), "evals/support/suite.yaml")
    lines = RECORDINGS.read_text(encoding="utf-8").splitlines() if RECORDINGS.exists() else []
    known = {(row["request"], row["run"]) for row in map(json.loads, lines)}
    options = {"base_url": base_url}
    provider = connect("local", "openai", options, mode="chat", folder=HERE, environ=os.environ)
    came = 0
    with RECORDINGS.open("ab") as file:
        for call in calls(manifest, loaded.cases, loaded.suite.runs):
            if (call.request_digest, call.run) in known:
                continue
            answer = await provider.answer(call)
            if answer.output is None:
                sys.exit(f"case {call.case.id} run {call.run}: {answer.error}")
            now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            file.write(record_line(call.request_digest, call.run, answer, time=now) + b"\n")
            came += 1
    await provider.aclose()
    return came


def main() -> None:
    """Reads the command line and records."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--variant", default="base", help="base, wording, worse or better")
    parser.add_argument("--model", help="another model id for the manifest, for a migration")
    given = parser.parse_args()
    manifest = manifest_of(given.variant, given.model)
    print(f"{manifest.bundle.digest}: {asyncio.run(record(manifest, given.base_url))} answers")


if __name__ == "__main__":
    main()
