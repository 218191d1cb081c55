"""README's first screen is the demo's real output, line by line."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _shown() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```demo\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line.strip()]


def _fits(shown: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in re.split("…", shown))
    return re.fullmatch(pattern, printed.rstrip()) is not None


def test_the_first_screen_is_what_the_demo_prints_in_that_order(tmp_path):
    command = [sys.executable, "-m", "llmvc", "demo", str(tmp_path / "demo")]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    printed = iter(done.stdout.splitlines())
    missing = [line for line in _shown() if not any(_fits(line, other) for other in printed)]
    assert missing == [], done.stdout
    assert (tmp_path / "demo" / ".git").is_dir()
