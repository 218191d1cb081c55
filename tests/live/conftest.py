"""A real model on loopback, for tests that are asked for: pytest -m live."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import llmvc

# As it was before any test took the home folder away: the model is kept in the user's cache.
ENVIRON = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(
        (str(Path(llmvc.__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    ),
}


def _fetched() -> None:
    """Skips with the reason where the model or its engine cannot be had."""
    if find_spec("xllamacpp") is None:
        pytest.skip("no engine: pip install 'llmvc[local]'")
    command = [sys.executable, "-m", "llmvc", "local", "fetch"]
    done = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=False)
    if done.returncode:
        assert done.returncode == 4, done.stderr
        pytest.skip(f"no model: {done.stderr.splitlines()[-2]}")


@pytest.fixture(scope="session")
def served() -> Iterator[dict[str, str]]:
    """What `llmvc local serve --json` says; the server ends with the tests."""
    _fetched()
    command = [sys.executable, "-m", "llmvc", "local", "serve", "--json"]
    process = subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = ""
    while not said.endswith("}\n"):
        line = process.stdout.readline()
        assert line, f"the server ended with {process.wait()}"
        said += line
    yield json.loads(said)
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=20) == 130
