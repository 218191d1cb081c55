"""Fills the shipped tables of prices and models from the table that a LiteLLM release ships.

Run `python -m tests.tables.regenerate FILE RELEASE DATE` from the top of the checkout, where FILE
is the `model_prices_and_context_window_backup.json` of the package (MIT licence; facts alone are
taken), RELEASE names it and DATE is the day of the look-up. Read the diff before you commit it.

- Entries without `source` are written by hand and stay; so do those that the file lists no longer.
- Where the file contradicts itself, or OpenAI's own client, nothing is said: unknown is no limit.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmvc.evals import models, prices

Entry = Mapping[str, Any]
KEPT = (
    "litellm_provider", "input_cost_per_token", "output_cost_per_token",
    "cache_read_input_token_cost", "cache_creation_input_token_cost",
    "max_input_tokens", "max_output_tokens", "deprecation_date",
)  # fmt: skip
WANTED = {
    "openai": r"gpt-3\.5-turbo-0125|gpt-4-0613|gpt-4-turbo-2024-04-09|gpt-4(o|\.1)(-mini|-nano)?"
    r"(-20.*)?|gpt-(5|6)(\.\d)?(-(mini|nano|pro|sol|luna|terra|astra))?(-20.*)?"
    r"|o[134](-mini|-pro)?(-20.*)?",
    "anthropic": r"claude-(opus|sonnet|haiku|fable)-.*",
    "gemini": r"gemini-(2\.5-(pro|flash|flash-lite)|3\.1-(pro-preview|flash-lite)|3\.[5-9]-flash"
    r"(-lite)?|4-argon)",
    "mistral": r"(mistral-(large|medium|small)|ministral-\d+b|codestral)-2\d+|mistral-large-4-0",
    "deepseek": r"deepseek-(chat|reasoner|v4-flash|v4-pro)",
    "xai": r"grok-4\.(3|5|6|7)|grok-4\.20-0309-(non-)?reasoning",
}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LEVELS = {"models": 1, "families": 1, "rules": 2}
SAMPLING = ["decoding.temperature", "decoding.top_p", "decoding.top_k"]
THINKS = r"claude-(opus|sonnet|haiku|fable)-5"  # unless told not to: the profiles of Pydantic AI
FORCED = {"tool_choice": {"one_of": ["auto", "none"]}}


def wanted(table: Mapping[str, Entry]) -> dict[str, Entry]:
    """Returns the entries of the models that are listed, as `provider/model`, by name."""
    found: dict[str, Entry] = {}
    for provider, pattern in WANTED.items():
        for name, entry in sorted(table.items()):
            model = name.removeprefix(f"{provider}/")
            if entry.get("litellm_provider") == provider and re.fullmatch(pattern, model):
                found[f"{provider}/{model}"] = entry
    return found


def priced(entry: Entry, seen: Entry) -> Entry:
    """Returns the facts of an entry that prices are read from."""
    return {**{key: entry[key] for key in KEPT if entry.get(key) is not None}, **seen}


def families(found: Mapping[str, Entry], seen: Entry) -> Iterator[Entry]:
    """Yields what each maker's reasoning models take; one for a model and its dated snapshots."""
    for name, entry in found.items():
        provider, model = name.split("/")
        told = {"openai": of_openai, "anthropic": of_anthropic}.get(provider)
        if told is None or re.search(r"-20\d{6}$|-20\d\d-", model):
            continue
        facts = told(model, entry)
        if facts is not None:
            match = [name, f"{name}-20*"]
            yield {"name": model, "match": match, "rules": provider, **facts, **seen}


def of_openai(model: str, entry: Entry) -> Entry | None:
    """Returns what a model of OpenAI takes; None for one that never reasons."""
    if entry.get("supports_reasoning") is not True:
        return None
    limits: dict[str, Any] = {}
    refuses: list[str] = []
    facts: dict[str, Any] = {}
    if entry.get("default_reasoning_effort") != "none":
        facts["reasons"] = True
    if not model.endswith("-pro"):  # of these the sources tell different efforts
        newer = bool(re.match(r"gpt-(5\.6|[6-9])", model))  # by OpenAI's own client
        flags = {one: entry.get(f"supports_{one}_reasoning_effort") is True for one in EFFORTS}
        flags |= {"low": True, "medium": True, "high": True, "max": newer}
        limits["decoding.reasoning.effort"] = {"one_of": [one for one in EFFORTS if flags[one]]}
    if model.startswith("o"):
        refuses += ["decoding.verbosity"]
        if entry.get("supports_parallel_function_calling") is not True:
            refuses += ["parallel_tool_calls"]
    else:
        limits["decoding.verbosity"] = {"one_of": ["low", "medium", "high"]}
    if entry.get("mode") == "responses":
        limits["model.api"] = {"one_of": ["responses"], "needed": True}
    elif re.match(r"gpt-(5\.[4-9]|[6-9])", model):
        facts["tools_api"] = "responses"
    return {**facts, **({"refuses": refuses} if refuses else {}), "limits": limits}


def of_anthropic(model: str, entry: Entry) -> Entry:
    """Returns what a model of Anthropic takes."""
    always = entry.get("thinking_always_on") is True
    sampling = entry.get("supports_sampling_params") is not False
    refuses = [] if sampling else list(SAMPLING)
    limits: dict[str, Any] = {}
    if always:
        refuses.append("decoding.reasoning.budget")
    elif not sampling:
        limits["decoding.reasoning.budget"] = {"most": 0}
    if entry.get("supports_output_config") is not True:
        refuses.append("decoding.reasoning.effort")
    else:
        told = [one for one in ("xhigh", "max") if entry.get(f"supports_{one}_reasoning_effort")]
        limits["decoding.reasoning.effort"] = {"one_of": ["low", "medium", "high", *told]}
    if entry.get("supports_native_structured_output") is not True:
        refuses.append("response.schema")
    if entry.get("supports_forced_tool_use") is False:
        limits |= FORCED
    facts = {
        "reasons": always or bool(re.match(THINKS, model)),
        "prefill": entry.get("supports_assistant_prefill") is not False,
        "refuses": refuses,
        "limits": limits,
        "one_of": [SAMPLING[:2]] if sampling else [],
    }
    usual = {"reasons": False, "prefill": True, "refuses": [], "limits": {}, "one_of": []}
    return {key: value for key, value in facts.items() if value != usual[key]}


def kept(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> dict[str, Entry]:
    """Returns new entries and, after them, the old ones that they do not replace."""
    return {**new, **{name: entry for name, entry in old.items() if name not in new}}


def spelt(value: Any, levels: int, indent: str) -> str:
    """Returns JSON whose outer levels have a line for each of their parts."""
    if not levels:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    if isinstance(value, list):
        rows = [inner + spelt(one, levels - 1, inner) for one in value]
        return "[\n" + ",\n".join(rows) + f"\n{indent}]"
    rows = [
        f"{inner}{json.dumps(name)}: {spelt(one, LEVELS.get(name, levels - 1), inner)}"
        for name, one in value.items()
    ]
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"


def rewrite(path: Path, date: str, **members: Any) -> None:
    """Writes a table with other members and another date."""
    old = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(spelt({**old, "date": date, **members}, 1, "") + "\n", encoding="utf-8")


def main(file: str, release: str, date: str) -> None:
    """Rewrites both tables."""
    found = wanted(json.loads(Path(file).read_text(encoding="utf-8")))
    seen = {"source": release, "source_date": date}
    old = json.loads(prices.SHIPPED.read_text(encoding="utf-8"))["models"]
    listed = kept(old, {name: priced(one, seen) for name, one in found.items()})
    rewrite(prices.SHIPPED, date, models=listed)
    told = json.loads(models.SHIPPED.read_text(encoding="utf-8"))["families"]
    made = {one["name"]: one for one in families(found, seen)}
    listed = kept({one["name"]: one for one in told}, made)
    rewrite(models.SHIPPED, date, families=list(listed.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
