"""Builders for tests of judges: bundles, a provider that grades by a function, a grader."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llmvc.core.bundle import Bundle
from llmvc.evals.budget import Budget
from llmvc.evals.judging.grader import Grader
from llmvc.evals.judging.grades import Grade, Item
from llmvc.evals.judging.judge import Judge
from llmvc.evals.prices import Prices
from llmvc.evals.providers.base import Answer, Call
from llmvc.evals.runs import RunCache
from tests.unit.evals.world import Clock, Fake

SHOWN = re.compile(
    r"<<<output(?: [AB])? (\w+)>>>\n(.*?)\n<<<end of output(?: [AB])? \1>>>", re.DOTALL
)

Say = Callable[[list[str], Call], str | Answer]


def judge_bundle(*, text: str | None = None, **section: object) -> Bundle:
    pairwise = section.get("protocol") == "pairwise-swap"
    slots = "{{output_a}}\n{{output_b}}" if pairwise else "{{output}}"
    grades = {} if pairwise else {"grades": ["bad", "good"]}
    rules = {"family": "fake-1", "rubric": "Is it kind?", "protocol": "pointwise"}
    return Bundle.of(
        "judge",
        {
            "messages": [
                {"role": "system", "content": "You grade."},
                {"role": "user", "content": text or f"{{{{rubric}}}}\n{{{{question}}}}\n{slots}"},
            ],
            "model": {"provider": "fake", "id": "j-1"},
            "decoding": {"seed": 7},
            "judge": {**rules, **grades, **section},
        },
    )


def shown(call: Call) -> list[str]:
    """Returns the outputs that a call shows, without their fences."""
    return [found[2] for found in SHOWN.finditer(call.request["messages"][-1]["content"])]


def kind(texts: list[str], _call: Call) -> str:
    return "good" if "kind" in texts[0] else "bad"


def longer(texts: list[str], _call: Call) -> str:
    """Compares as a judge without position bias does."""
    first, second = (len(text) for text in texts)
    return "tie" if first == second else "A" if first > second else "B"


def speaking(say: Say) -> Fake:
    def reply(call: Call) -> Answer:
        said = say(shown(call), call)
        return said if isinstance(said, Answer) else Answer(output=said, model="j-1")

    return Fake(reply, name="judge")


def judge(say: Say = kind, **section: object) -> Judge:
    return Judge(judge_bundle(**section), "tone", speaking(say))


def item(output: str, other: str | None = None, key: str | None = None, **more: object) -> Item:
    return Item(key or output, {"question": "q", **more}, output, other)


def grade(
    some: Judge,
    items: Sequence[Item],
    store: Path,
    *,
    repeat: int = 0,
    on_grade: Callable[[Item, Grade], None] | None = None,
    **options: object,
) -> tuple[Mapping[str, Grade], Grader]:
    """Grades with a grader of its own, as a new process would."""
    with RunCache(store / "runs") as cache:
        grader = Grader(
            some,
            cache,
            prices=options.pop("prices", None) or Prices.load(),
            now=options.pop("now", None) or Clock(),
            budget=options.pop("budget", None) or Budget(None),
            **options,
        )
        found = asyncio.run(grader.grade(items, repeat=repeat, on_grade=on_grade))
    return found, grader


def one(some: Judge, thing: Item, store: Path, **options: object) -> Grade:
    return grade(some, [thing], store, **options)[0][thing.key]
