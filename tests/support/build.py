"""Repositories for tests, as users have them, and the command line run inside them.

    repo = RepoBuilder(tmp_path / "repo").start()
    repo.prompt("miss 3")        # the first three cases are answered wrongly from now on
    cli("commit", "-m", "worse")

The model behind the bundle is a Python function of the repository. The prompt tells it how many
cases to answer wrongly, so that a test chooses its verdict, and every call is a line in a file.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CASES = 24
PREFIXES = ("refs/llmvc", "refs/llmvc-seen", "refs/llmvc-remote")
FAILING = 20  # so many wrong answers are a fail against none
UNCLEAR = 3  # so many are too few to fail and too many to pass

CONFIG = """\
llmvc: 1
bundles: ["prompts/*/bundle.yaml"]
suites: ["evals/*/suite.yaml"]
environments:
  staging: {}
  prod: {}
providers:
  fake: {kind: python, function: "fake.py:answer", self_hosted: true}
hook: {environment: prod, max_usd: 1.0, max_seconds: 60, on_inconclusive: warn}
"""

FAKE = '''\
"""Echoes the number in the message; the prompt says how many cases to miss."""

import os
import re
import time


def answer(request):
    log = os.environ.get("FAKE_CALLS")
    if log:
        with open(log, "a") as calls:
            calls.write("call\\n")
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    system = request["messages"][0]["content"]
    miss = re.search(r"miss (\\d+)", system)
    number = int(re.search(r"\\d+", request["messages"][-1]["content"])[0])
    wrong = miss is not None and number < int(miss[1])
    output = "wrong" if wrong else str(number)
    return {"output": output, "usage": {"input_tokens": 10, "output_tokens": 1}}
'''

MANIFEST = """\
# A manifest as people write it: with comments.
llmvc: 1
kind: app
name: {name}
model:
  provider: fake  # answers from fake.py
  id: fake-1
decoding: {{temperature: 0, max_output_tokens: 8}}
messages:
  - {{role: system, file: system.md}}
  - {{role: user, content: "{{{{message}}}}"}}
variables: {{type: object, properties: {{message: {{type: string}}}}, required: [message]}}
"""

SUITE = """\
llmvc: 1
bundle: {name}
dataset: cases.jsonl
runs: 1
scorers:
  - {{name: exact, type: equals}}
metrics:
  quality: {{scorers: [exact], margin: 0.25, floor: 0.5}}
"""


@dataclass(frozen=True)
class RepoBuilder:
    """A Git repository under construction."""

    root: Path

    def git(self, *args: str, check: bool = True) -> str:
        """Runs git here and returns what it prints, both channels together."""
        done = subprocess.run(
            ["git", *args],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"git {' '.join(args)}: {done.stdout}")
        return done.stdout.rstrip("\n")

    def write(self, path: str, text: str | bytes) -> Path:
        """Writes one file."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return target

    def start(self, *options: str, name: str = "support", cases: int = CASES) -> "RepoBuilder":
        """Makes the repository with one bundle, and commits its files to Git."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *options, ".")
        self.write(".llmvc/config.yaml", CONFIG)
        self.write("fake.py", FAKE)
        self.write(".gitignore", "__pycache__/\n")
        self.bundle(name, cases=cases)
        self.save("start")
        return self

    def bundle(self, name: str, *, cases: int = CASES) -> None:
        """Writes a bundle with suite and cases."""
        self.write(f"prompts/{name}/bundle.yaml", MANIFEST.format(name=name))
        self.prompt("Repeat the number.", name=name)
        self.write(f"evals/{name}/suite.yaml", SUITE.format(name=name))
        self.cases(cases, name=name)

    def two_looks(self, *, name: str = "support") -> None:
        """Plans a look at nine tenths of the cases in the suite."""
        looks = "looks: {at: [0.9, 1]}\n"
        self.write(f"evals/{name}/suite.yaml", SUITE.format(name=name) + looks)

    def prompt(self, text: str, *, name: str = "support") -> None:
        """Writes the system prompt; `miss N` in it makes the first N cases fail."""
        self.write(f"prompts/{name}/system.md", text + "\n")

    def cases(self, count: int, *, name: str = "support") -> None:
        """Writes the dataset."""
        rows = (
            f'{{"id": "c{n:03}", "vars": {{"message": "number {n}"}}, "expected": "{n}"}}\n'
            for n in range(count)
        )
        self.write(f"evals/{name}/cases.jsonl", "".join(rows))

    def save(self, message: str = "work") -> str:
        """Commits everything to Git and returns the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "-m", message)
        return self.git("rev-parse", "HEAD")

    def copy(self, root: Path) -> "RepoBuilder":
        """Returns a copy elsewhere, refs and all."""
        shutil.copytree(self.root, root, symlinks=True)
        return RepoBuilder(root)

    def clone(self, remote: Path) -> "RepoBuilder":
        """Returns this place as a clone of a remote."""
        subprocess.run(["git", "clone", "-q", str(remote), str(self.root)], check=True)
        return self

    def refs(self) -> dict[str, str]:
        """Returns every ref of llmvc and where it stands."""
        out = self.git("for-each-ref", "--format=%(refname) %(objectname)", *PREFIXES)
        return dict(line.split() for line in out.splitlines())

    def state(self) -> tuple[dict[str, str], dict[str, bytes]]:
        """Returns refs and working files, to tell whether anything changed."""
        files = {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
            and not path.is_symlink()
            and not {".git", "__pycache__"} & set(path.relative_to(self.root).parts)
        }
        return self.refs(), files


def remote_at(path: Path) -> Path:
    """Makes a bare repository to push to."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    return path


def environ(**more: str) -> dict[str, str]:
    """Returns the environment of a child process."""
    return {**os.environ, **more}
