"""Writes the vectors of serving, resolve.json and render.json, from the worlds described here.

Run `python -m tests.vectors.serving` from the top of the checkout; read the diff before you commit
it: an answer that changed is a format that changed.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.core.digest import hex_of
from llmvc.errors import LlmvcError
from llmvc.runtime import Assignment, Client
from llmvc.runtime.refresh import Refresher
from llmvc.runtime.render import Served
from llmvc.runtime.snapshot import load
from tests.support.snapshots import NEARLY_ALL, World, simple

HERE = Path(__file__).parent
SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
OPTIONS = ("age_s", "max_age_s", "on_stale", "on_no_unit")
UNITS = ("conversation-62", "conversation-80", "conversation-11", "J\u00fcrgen", "\U0001f642")
"""The first is in a canary of 5%, the second in one of 25%."""


def asked(**call: object) -> dict:
    """Returns one call of resolve; what it leaves out is null."""
    names = ("unit", "pin", *OPTIONS)
    return {"bundle": "support", "env": "prod", **dict.fromkeys(names), **call}


def answered(source: World, call: dict) -> dict:
    """Returns what a client says to a call."""
    now = [0.0]
    refresher = Refresher(source, every_s=1, clock=lambda: now[0])
    now[0] += call["age_s"] or 0
    client = Client(
        refresher,
        max_age_s=call["max_age_s"],
        on_stale=call["on_stale"],
        on_no_unit=call["on_no_unit"] or "baseline",
        clock=lambda: now[0],
    )
    try:
        found = client.resolve(call["bundle"], call["env"], call["unit"], call["pin"])
    except LlmvcError as err:
        return {"error": err.code}
    left_out = ("bundle", "unit", "stale_s")
    return {name: getattr(found, name) for name in Assignment._fields if name not in left_out}


def scenarios() -> Iterator[tuple[str, World, bytes | None, list[dict]]]:
    """Yields what a scenario is about, its world, the pointer before, and the calls."""
    plain = [asked(unit=unit) for unit in (None, *UNITS)]
    world, old, new = simple()
    yield "no canary: everybody gets the environment", world, None, [
        *plain, asked(env="staging"), asked(bundle="other"), asked(unit=""), asked(unit="", pin="x"),
    ]  # fmt: skip
    for share_ppm in (50_000, 250_000, NEARLY_ALL):
        world, old, new = simple()
        world.canary("support", new, share_ppm=share_ppm)
        pins = [f"p1:prod:1:{old}", f"p1:canary:1:{new}", f"p1:canary:9:{new}"]
        yield (
            f"a canary of {share_ppm / 10_000:g}%: a unit is in if its bucket is below",
            world,
            None,
            [
                *plain,
                asked(env="canary", unit=UNITS[0]),
                asked(on_no_unit="raise"),
                *(asked(unit=UNITS[0], pin=pin) for pin in pins),
            ],
        )
    world.release("support", "prod", world.bundle("third"))
    yield "a canary whose baseline is no longer served is void", world, None, plain
    world, old, new = simple()
    world.canary("support", new, share_ppm=NEARLY_ALL)
    world.canary("support", world.bundle("third"), share_ppm=NEARLY_ALL, env="second")
    yield "two open canaries beside one environment are both void", world, None, plain
    world, old, new = simple()
    world.release("support", "prod", new)
    world.rollback("support", old)
    pin = asked(unit=UNITS[0], pin=f"p1:prod:2:{new}")
    yield "a rollback revokes the pins of what it leaves", world, None, [pin]
    world, old, new = simple()
    world.release("support", "prod", new)
    world.rollback("support", old, drain=True)
    yield "a draining rollback does not", world, None, [pin, asked(unit=UNITS[0])]
    world, old, new = simple()
    world.canary("support", new, share_ppm=NEARLY_ALL)
    world.release("support", "canary", old, "abort", rolled_back=(new,))
    world.pinnable["support"].add(new)
    yield (
        "an abort revokes the candidate's pins, even if the pointer still names it",
        world,
        None,
        [
            asked(unit=UNITS[0], pin=f"p1:canary:1:{new}"),
            asked(unit=UNITS[0], pin=f"p1:canary:1:{old}"),
        ],
    )
    world, old, new = simple()
    wrong = [
        "",
        "p1",
        f"p2:prod:1:{old}",
        f"p1:prod:0:{old}",
        f"p1:prod:1:{new}",
        f"p1:prod:1:{old} ",
    ]
    calls = [asked(pin=pin) for pin in wrong]
    yield "a pin that cannot be read, or names what may not be served, is none", world, None, calls
    world, old, new = simple()
    world.canary("support", new, share_ppm=NEARLY_ALL)
    yield (
        "a client that is stale: no canary by default, or what its owner chose",
        world,
        None,
        [
            asked(unit="u", age_s=age_s, max_age_s=30, on_stale=on_stale, pin=pin)
            for age_s in (30, 31)
            for on_stale in (None, "serve", "baseline_only", "raise")
            for pin in (None, f"p1:prod:1:{old}")
        ],
    )
    yield from successions()
    yield from damages()


def successions() -> Iterator[tuple[str, World, bytes | None, list[dict]]]:
    """Yields what may follow a pointer that was served, and what may not."""
    world, _, new = simple()
    before = world.data()
    world.release("support", "prod", new)
    after = world.data()
    yield "a release after the one that was served is taken", world, before, [asked()]
    world.chains["support", "prod"].pop()
    yield "a lower seq is refused", world, after, []
    world.release("support", "prod", new, reason="another")
    yield "another release of the same seq is a fork", world, after, []
    world.release("support", "prod", world.bundle("third"))
    yield "a fork further back is found by walking `previous`", world, after, []
    world.release("support", "staging", new)
    both = world.data()
    del world.chains["support", "staging"]
    yield "an environment that is gone is refused", world, both, []


def damages() -> Iterator[tuple[str, World, bytes | None, list[dict]]]:
    """Yields snapshots that are not what they say, or say what a reader of today cannot know."""
    world, _, _ = simple()
    before = world.data()
    lost = world.bundle("a bundle that is missing")
    world.release("support", "prod", lost)
    del world.objects[hex_of(lost)]
    yield "a missing object refuses the whole snapshot", world, before, []
    world, _, _ = simple()
    damaged = world.bundle("a bundle that is damaged")
    world.release("support", "prod", damaged)
    world.objects[hex_of(damaged)] = world.objects[hex_of(damaged)].replace(b"damaged", b"DAMAGED")
    yield "an object with another digest refuses the whole snapshot", world, before, []
    spelt: list[tuple[str, str, bytes, bytes]] = [
        ("a release with a member that is not known is refused", "more", b"{", b'{"hurry":true,'),
        ("a release of a kind that is not known is refused", "kind", b'"start"', b'"hurry"'),
        ("a name that is there twice is refused", "twice", b"{", b'{"reason":"another",'),
        ("a canary of another bucketing is refused", "rule", b'"b3-1"', b'"b4-1"'),
    ]
    for about, text, old, by in spelt:
        world, _, _ = simple()
        tip = world.canary("support", world.bundle(text), share_ppm=50_000)
        found = world.add(world.objects.pop(hex_of(tip.digest)).replace(old, by, 1))
        yield about, _told(world, tip.digest, found), None, []
    world, old_, _ = simple()
    yield (
        "a pointer with a member that is not known is refused",
        _told(world, "{", '{"a":1,'),
        None,
        [],
    )
    double = f'{{"bundles":{{"support":["{old_}"]}},'
    yield "a pointer that says something twice is refused", _told(world, "{", double), None, []


def _told(world: World, old: str, by: str) -> World:
    """Returns a world whose pointer has another text in one place."""
    data = world.data().replace(old.encode(), by.encode(), 1)
    world.data = lambda: data
    return world


def resolving() -> dict:
    """Returns the value of resolve.json."""
    objects: dict[str, str] = {}
    rows: list[dict] = []
    for about, world, before, calls in scenarios():
        objects |= {name: data.decode() for name, data in world.objects.items()}
        row = {
            "about": about,
            "before": before and before.decode(),
            "pointer": world.data().decode(),
        }
        last = load(before, world.object) if before else None
        try:
            load(world.data(), world.object, last=last)
        except LlmvcError as err:
            rows.append({**row, "refused": err.code, "calls": []})
            continue
        told = [{**call, "expect": answered(world, call)} for call in calls]
        rows.append({**row, "refused": None, "calls": told})
    about = (
        "what a reader of a snapshot serves; `objects` holds the objects of all scenarios by name"
    )
    return {"about": about, "objects": dict(sorted(objects.items())), "scenarios": rows}


def bundles() -> Iterator[tuple[str, dict, dict, list[str | None]]]:
    """Yields what a row is about, a bundle's members, variables, and the APIs to ask."""
    model = {"provider": "openai", "id": "gpt-5-mini"}
    text: Callable[[str], dict] = lambda content: {  # noqa: E731
        "messages": [{"role": "user", "content": content}],
        "model": model,
    }
    templates = {
        "{{name}} {{ name }} {{\tname\n}}": {"name": "Ada"},
        "\\{{name}} {name} }}": {"name": "Ada"},
        "{{text}}": {"text": "{{other}} stays", "other": "no"},
        "{{number}} {{list}} {{nothing}} {{yes}}": {
            "number": 1e-7, "list": [1, {"b": 2, "a": "\u00fc"}], "nothing": None, "yes": True,
        },
        "{{missing}}": {},
        "{{\r\nname\t}}": {"name": "Ada"},
        "{{\u00a0name}}": {"name": "Ada"},
        "{{\x0bname}}": {"name": "Ada"},
        "{{ 1st }}": {},
        "{{open": {"open": "x"},
    }  # fmt: skip
    for template, variables in templates.items():
        yield f"the template {template!r}", text(template), variables, ["chat"]
    full = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "{{question}}"},
        ],
        "few_shot": {"examples": [{"vars": {"question": "1+1?"}, "output": "2"}]},
        "variables": {"type": "object", "properties": {"question": {"default": "why?"}}},
        "model": {**model, "snapshot": "gpt-5-mini-2026-01-01"},
        "decoding": {
            "max_output_tokens": 64, "temperature": 0, "seed": 7, "stop": ["END"],
            "extra": {"user": "u"},
        },
        "tools": [{"name": "find", "description": "finds", "input_schema": SCHEMA}],
        "tool_choice": {"name": "find"},
        "parallel_tool_calls": False,
        "response": {"format": "json_schema", "schema": SCHEMA},
    }  # fmt: skip
    yield (
        "every API spells one bundle its own way",
        full,
        {},
        [None, "chat", "responses", "messages", "x"],
    )
    for provider, api in (("anthropic", None), ("local", None), ("openai", "responses")):
        named = {"provider": provider, "id": "m-1", **({"api": api} if api else {})}
        yield (
            f"the API of provider {provider}, model.api {api}",
            {**full, "model": named},
            {},
            [None],
        )
    history = [
        {"role": role, "content": f"turn {at}"} for at in range(3) for role in ("user", "assistant")
    ]
    short = {**text("{{question}}"), "context": {"history": {"turns": 2}}}
    yield "the last turns of a conversation", short, {"question": "q", "history": history}, ["chat"]
    context = {"history": {}, "max_input_tokens": 30, "truncation": {"policy": "drop_oldest"}}
    tight = {**text("{{question}}"), "context": context}
    yield (
        "turns that do not fit are left out",
        tight,
        {"question": "q", "history": history},
        ["chat"],
    )
    results = [{"type": "tool_result", "tool_use_id": "c", "content": "found"}]
    long = [
        *history[:2],
        {"role": "user", "content": results},
        *history[2:4],
        {"role": "tool", "content": "found", "tool_call_id": "c"},
    ]
    yield (
        "results of tools, from either role, belong to the turn before",
        short,
        {"question": "q", "history": long},
        ["chat"],
    )
    canned = {"provider": "canned", "id": "sorry"}
    said = [{"role": "assistant", "content": "Sorry, {{name}}."}]
    yield (
        "a canned answer",
        {"messages": said, "model": canned},
        {"name": "Ada"},
        [None, "messages"],
    )


def rendering() -> dict:
    """Returns the value of render.json."""
    rows: list[dict] = []
    for about, members, variables, apis in bundles():
        served = Served.of(Bundle.of("app", members), {})
        for api in apis:
            row = {"about": about, "bundle": served.bundle.data.decode(), "variables": variables}
            try:
                body = canon.encode(served.render(variables, api=api)).decode()
            except LlmvcError as err:
                rows.append({**row, "api": api, "error": err.code})
            else:
                rows.append({**row, "api": api, "body": body})
    about = "the body of a provider's request, in canonical form; `error` where there is none"
    return {"about": about, "rows": rows}


def main() -> None:
    """Writes both files."""
    for name, value in (("resolve", resolving()), ("render", rendering())):
        text = json.dumps(value, indent=1, ensure_ascii=True)
        (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write("vectors rewritten; read the diff\n")


if __name__ == "__main__":
    main()
