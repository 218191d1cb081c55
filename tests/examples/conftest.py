"""The reader in TypeScript as a process that answers; skipped where Node cannot run it."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from llmvc.files.shipped import shipped
from tests.support.build import environ

EXAMPLE = shipped("examples", "typescript")
ERASES_TYPES = (22, 18)

# What answers questions, one JSON value a line; `asked` says what is asked.
SERVE = """
import {{ createInterface }} from "node:readline";
import {{ blake3 }} from "{top}/blake3.ts";
import {{ Client, bucket, load, resolve }} from "{top}/llmvc.ts";
import {{ rendered }} from "{top}/request.ts";
import {{ directory }} from "{top}/sources.ts";

async function world(place) {{
  const read = directory(place);
  return load((await read("snapshot.json")).data, read);
}}
async function scenario({{ before, pointer, objects, calls }}) {{
  const read = async (path) => {{
    const text = objects[path.slice("objects/".length)];
    if (text === undefined) throw Object.assign(new Error(path), {{ code: "not-found" }});
    return {{ data: Buffer.from(text), tag: "" }};
  }};
  const last = before === null ? undefined : await load(Buffer.from(before), read);
  const taken = await load(Buffer.from(pointer), read, last);
  return calls.map((call) => {{
    const stale = call.age_s > (call.max_age_s ?? Infinity);
    const how = {{ stale: stale ? (call.on_stale ?? "baseline_only") : null, onNoUnit: call.on_no_unit }};
    try {{
      const {{ unit, ...told }} = resolve(taken, call.bundle, call, how);
      return told;
    }} catch (err) {{
      return {{ error: err.code ?? String(err.stack) }};
    }}
  }});
}}
async function patience(now, before) {{
  let [place, at] = [now, 0];
  performance.now = () => at;
  const client = new Client((...asked) => directory(place)(...asked), {{ everyS: 1e6 }});
  await client.start();
  client.close();
  place = before;
  const told = [];
  for (at of [1, 60000, 60001]) {{
    await client.refresh();
    told.push([client.resolve("support").seq, client.problem]);
  }}
  return told;
}}
const ACTS = {{
  blake3: (data) => Buffer.from(blake3(Buffer.from(data, "hex"))).toString("hex"),
  bucket: (salt, unit) => bucket(salt, unit),
  resolve: async (place, bundle, asked) => resolve(await world(place), bundle, asked),
  render: (...given) => rendered(...given),
  scenario,
  patience,
}};
for await (const line of createInterface({{ input: process.stdin }})) {{
  const [act, ...given] = JSON.parse(line);
  try {{
    console.log(JSON.stringify({{ told: await ACTS[act](...given) }}));
  }} catch (err) {{
    console.log(JSON.stringify({{ code: err.code ?? String(err.stack) }}));
  }}
}}
"""


@cache
def node() -> tuple[str, ...]:
    """Returns how Node runs TypeScript here; skips the test where it cannot."""
    try:
        told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        pytest.skip("there is no node on PATH")
    found = re.match(r"v(\d+)\.(\d+)", told.stdout)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < (20, 6):
        pytest.skip(f"node {told.stdout.strip()} is older than 20.6, which the example needs")
    if version >= ERASES_TYPES:
        return ("node",)
    return ("node", "--import", str(EXAMPLE / "strip.mjs"))


class Talk:
    """A process that answers each line with a line of JSON."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [*node(), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ(),
            encoding="utf-8",
        )

    def __call__(self, asked: object) -> dict:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def told() -> Iterator[Callable[..., object]]:
    """Asks the reader's functions and returns what they return, or the code of a refusal."""
    talk = Talk("--input-type=module", "-e", SERVE.format(top=EXAMPLE))

    def ask(*asked: object) -> object:
        answer = talk(asked)
        return answer["told"] if "told" in answer else answer["code"]

    yield ask
    talk.close()


@pytest.fixture
def following() -> Iterator[Callable[[object], Talk]]:
    """Starts clients that look at a place before each answer."""
    started: list[Talk] = []

    def start(place: object) -> Talk:
        started.append(Talk(str(EXAMPLE / "ask.ts"), str(place)))
        return started[-1]

    yield start
    for one in started:
        one.close()
