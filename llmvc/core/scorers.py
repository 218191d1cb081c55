"""The names of the scorers that a suite may use; what they do stands in `llmvc.evals.scorers`.

- Readers of suite files check names here, so that they need not load the scorers themselves.
- `not-<type>` negates. The names that promptfoo writes in a row's `assert` are understood too.
"""

from collections.abc import Mapping
from typing import Final

from llmvc.errors import FormatError

SET: Final = "assert-set"
"""A group of checks, scored by their weighted mean."""
JUDGE: Final = "judge"
"""Scored by a judge bundle, not by a rule."""

TYPES: Final = frozenset(
    {
        # text
        "equals",
        "contains",
        "icontains",
        "contains-any",
        "contains-all",
        "icontains-any",
        "icontains-all",
        "starts-with",
        "ends-with",
        "regex",
        "word-count",
        "char-count",
        "choice",
        "is-refusal",
        # likeness
        "levenshtein",
        "rouge-n",
        "rouge-l",
        "bleu",
        "gleu",
        "similar",
        # structure
        "json-valid",
        "contains-json",
        "json-schema",
        "json-field",
        "numeric",
        "is-xml",
        "contains-xml",
        "is-html",
        "contains-html",
        "is-sql",
        "contains-sql",
        # tool calls
        "tool-calls-valid",
        "tool-used",
        "tool-call-f1",
        "tool-args-match",
        "tool-sequence",
        "step-count",
        # operations
        "finish-reason",
        "latency",
        "cost",
        "tokens",
        "context-fit",
        "perplexity",
        # composed
        SET,
        "checks",
        "python",
        JUDGE,
    }
)

# Types with a rule of their own. They may stand in a row's checks and in a set; code and judges
# there would escape the suite's digest.
CHECK_TYPES: Final = TYPES - {"python", "checks", SET, JUDGE}

ALIASES: Final[Mapping[str, str]] = {
    "is-json": "json-valid",
    "is-valid-json": "json-valid",
    "is-valid-function-call": "tool-calls-valid",
    "is-valid-openai-function-call": "tool-calls-valid",
    "is-valid-openai-tools-call": "tool-calls-valid",
    "similar:cosine": "similar",
    "tokens-used": "tokens",
    "trajectory:step-count": "step-count",
    "trajectory:tool-args-match": "tool-args-match",
    "trajectory:tool-sequence": "tool-sequence",
    "trajectory:tool-used": "tool-used",
}

# Types whose threshold is a bound on what they measure, not on the score.
OWN_THRESHOLD: Final = frozenset({"levenshtein", "latency", "cost", "perplexity"})

# What promptfoo calls the types that a model grades.
JUDGED: Final = frozenset(
    {
        "agent-rubric",
        "answer-relevance",
        "context-faithfulness",
        "context-recall",
        "context-relevance",
        "conversation-relevance",
        "factuality",
        "g-eval",
        "llm-rubric",
        "model-graded-closedqa",
        "model-graded-factuality",
        "pi",
        "search-rubric",
        "select-best",
        "trajectory:goal-success",
    }
)


def base_type(text: str, known: frozenset[str] = TYPES) -> tuple[str, bool]:
    """Returns the type behind a written name, and whether it is negated.

    Raises:
        FormatError: no such type is known.
    """
    negated = text.startswith("not-")
    name = text.removeprefix("not-")
    name = ALIASES.get(name, name)
    if name in known:
        return name, negated
    if name in JUDGED or name == JUDGE:
        raise FormatError(
            f"scorer type {text!r} needs a judge",
            hint="make a judge bundle and give the suite a scorer of `type: judge`, "
            "see docs/judges.md",
        )
    raise FormatError(f"unknown scorer type {text!r}", hint=f"types are {', '.join(sorted(known))}")
