"""promptfoo's output, as one JSON document or as JSON lines.

- One file is one arm: results of one prompt at one provider. More than one is refused, for which
  of them is meant nobody can tell.
- With `--repeat` each repeat gets a `testIdx` of its own, and nothing says that it is a repeat.
  Results are therefore one case where variables and assertions are equal, never by `testIdx`.
- A case is called by its description, else by its variables, so that it has one id in both files.
- A result without an answer is an error, not a score of 0; a failed assertion is a score.
- An answer from promptfoo's cache has no cost and no latency of its own.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmvc.core import digest
from llmvc.errors import FormatError
from llmvc.files import outcomes
from llmvc.files.outcomes import ResultCase, Row

_ERROR: Final = 2
_Key = tuple[str, str]


def is_output(value: Any) -> bool:
    """Tells whether a JSON document is an output of promptfoo."""
    results = value.get("results") if isinstance(value, dict) else None
    return isinstance(results, dict) and isinstance(results.get("results"), list)


def is_result(value: Any) -> bool:
    """Tells whether a JSON value is one result of promptfoo."""
    return isinstance(value, dict) and "testCase" in value and "provider" in value


def read(
    results: Sequence[tuple[int, Any]], name: str, place: str, group_by: str | None
) -> Mapping[str, ResultCase]:
    """Reads the results of one prompt at one provider.

    Args:
        results: where each stands, from 1, and the result.
        name: how messages call the file.
        place: how they call a result's place, with `{}` for the number.
        group_by: the member that says which cases belong together; None for none.

    Raises:
        FormatError: there is no result, there are several arms, or one is malformed.
    """
    arms: dict[tuple[str, str], str] = {}
    keys: dict[int, _Key] = {}
    described: dict[_Key, str] = {}
    for at, result in results:
        try:
            arm, label = _arm(result)
            key = keys[at] = _key(result)
            description = result["testCase"].get("description")
        except FormatError as err:
            raise FormatError(f"{place.format(at)}: {err}", hint=err.hint) from err
        arms.setdefault(arm, label)
        described.setdefault(key, description if _is_name(description) else "")
    if not arms:
        raise FormatError(f"{name} holds no result")
    if len(arms) > 1:
        raise FormatError(
            f"{name} holds {len(arms)} arms: {'; '.join(sorted(arms.values()))}",
            hint="one file is one arm: run promptfoo with --filter-providers and "
            "--filter-prompts, once for each",
        )
    ids = _ids(described)
    return outcomes.collect(
        ((at, (ids[keys[at]], result)) for at, result in results),
        lambda item: _row(item[0], item[1], group_by),
        place,
    )


def _row(case: str, result: Mapping[str, Any], group_by: str | None) -> Row:
    failed = result.get("failureReason") == _ERROR
    response = result.get("response")
    cached = isinstance(response, dict) and response.get("cached") is True
    latency = None if failed or cached else outcomes.amount(result.get("latencyMs"), "latencyMs")
    error = str(result.get("error") or "no answer") if failed else None
    return Row(
        case,
        {} if failed else _scores(result),
        error=error,
        cost_usd=None if failed or cached else outcomes.amount(result.get("cost"), "cost"),
        latency_s=None if latency is None else latency / 1000,
        group=None if group_by is None else outcomes.member(result, group_by),
    )


def _scores(result: Mapping[str, Any]) -> dict[str, float | None]:
    """Returns `pass`, `score` and the scores that the user named, which win."""
    own = {"pass": result.get("success"), "score": result.get("score")}
    return outcomes.scores({**own, **(result.get("namedScores") or {})})


def _arm(result: Any) -> tuple[tuple[str, str], str]:
    """Returns the identity of the prompt and provider behind a result, and their names."""
    if not is_result(result) or not isinstance(result["testCase"], dict):
        raise FormatError("this is no result of promptfoo")
    prompt, provider = result.get("prompt"), result["provider"]
    called = provider if isinstance(provider, str) else _text(provider, "label", "id")
    label = _text(prompt, "label", "raw").replace("\n", " ")
    label = label if len(label) <= 60 else label[:59] + "…"
    identity = str(result.get("promptId") or label), _canonical(provider)
    return identity, f"[{called}] {label}"


def _key(result: Mapping[str, Any]) -> _Key:
    """Returns what makes a case: its variables and its assertions."""
    test = result["testCase"]
    variables = result.get("vars", test.get("vars"))
    return _canonical(variables or {}), _canonical(test.get("assert") or [])


def _ids(described: Mapping[_Key, str]) -> dict[_Key, str]:
    """Returns an id a case: its description if no other has it, else made of its variables."""
    descriptions = Counter(described.values())
    variables = Counter(key[0] for key in described)
    ids: dict[_Key, str] = {}
    for key, description in described.items():
        if description and descriptions[description] == 1:
            ids[key] = description
        else:
            ids[key] = _hash(key[0] if variables[key[0]] == 1 else "\n".join(key))
    return ids


def _hash(text: str) -> str:
    return "c-" + digest.hex_of(digest.of_bytes(text.encode("utf-8", "surrogatepass")))[:12]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _is_name(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(outcomes.case_id(value))
    except FormatError:
        return False


def _text(value: Any, *members: str) -> str:
    found = [value.get(member) for member in members] if isinstance(value, dict) else []
    return next((str(item) for item in found if item), "unnamed")
