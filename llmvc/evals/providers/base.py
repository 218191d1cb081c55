"""What every provider is asked and answers.

- A failure of the network or the service is an answer with fault `provider`: it says nothing about
  the bundle. A refusal of the request, or a crash of the application, has fault `application`: it
  is an outcome, and scores 0.
- What no further call could mend (a refused key, an endpoint that is not there, a request without
  recording) is raised as ProviderError and stops the whole run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.core.canon import mapped
from llmvc.core.digest import Digest
from llmvc.core.metric import number
from llmvc.core.suite import Case
from llmvc.errors import FormatError

Fault = Literal["provider", "application"]
Mode = Literal["chat", "app"]

USAGE: Final = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
)
_APART: Final = MappingProxyType(
    {
        "cached_tokens": "cache_read_input_tokens",
        "cache_write_tokens": "cache_creation_input_tokens",
    }
)
_LISTS: Final = ("logprobs", "choices", "notes", "tool_calls", "steps", "calls")
_MEMBERS: Final = frozenset(
    {"llmvc", "output", "error", "finish_reason", "usage", "model", "fingerprint", "ttft_s"}
    | set(_LISTS)
)


@dataclass(frozen=True, slots=True)
class Call:
    """One run of one bundle on one case.

    Attributes:
        request: the canonical request; empty for a provider that runs the application itself.
        request_digest: its digest.
        case: the dataset's row.
        run: its number, from 0.
        seed: derived from the bundle's seed, the case and the run; None where it has none.
        bundle: what is measured.
        snapshot: a folder with `bundle.json` and the bundle's texts, for the application itself.
    """

    request: Mapping[str, canon.Json]
    request_digest: Digest
    case: Case
    run: int
    seed: int | None
    bundle: Bundle
    snapshot: Path | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        output: the text to score; None if the call failed.
        error: why there is no output.
        fault: whose fault that is.
        finish_reason: why the model stopped: `stop`, `length`, `tool_calls`, `content_filter` or
            `refusal`, whatever the provider calls them; other reasons in its own words.
        input_tokens: as the provider counted them, cached ones included.
        output_tokens: as the provider counted them, reasoning included.
        cached_tokens: the part of the input read from the provider's cache.
        reasoning_tokens: the part of the output spent on reasoning.
        cache_write_tokens: the part of the input written to the provider's cache.
        latency_s: seconds from call to answer, retries excluded.
        ttft_s: seconds to the first token; None if the answer was not streamed.
        cost_usd: only if the provider itself states it.
        model: the model that says it answered.
        fingerprint: the back end's configuration, if told.
        logprobs: of the output's tokens, as the provider told them.
        choices: texts of the further choices, where the bundle asks for several (`n`).
        notes: what the provider silently did otherwise than asked, each a sentence.
        tool_calls: as the model asked for them.
        steps: what the application did on the way.
        calls: the application's own model calls, each with model and usage.
        time: when it was recorded; None for an answer of this moment.
    """

    output: str | None = None
    error: str | None = None
    fault: Fault | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    latency_s: float | None = None
    ttft_s: float | None = None
    cost_usd: float | None = None
    model: str | None = None
    fingerprint: str | None = None
    logprobs: tuple[canon.Json, ...] = ()
    choices: tuple[canon.Json, ...] = ()
    notes: tuple[canon.Json, ...] = ()
    tool_calls: tuple[canon.Json, ...] = ()
    steps: tuple[canon.Json, ...] = ()
    calls: tuple[canon.Json, ...] = ()
    time: str | None = None


class Provider(Protocol):
    """Something that answers calls."""

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        ...

    @property
    def mode(self) -> Mode:
        """`chat` if it answers one request, `app` if it is the application itself."""
        ...

    @property
    def priced_as(self) -> str | None:
        """The provider whose prices hold, if not the one that bundles name."""
        ...

    @property
    def self_hosted(self) -> bool:
        """Whether its owner declares that calls cost nothing."""
        ...

    def identity(self) -> Mapping[str, canon.Json]:
        """Returns what tells this connection from others, for the run cache; no secrets."""
        ...

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns the members of a bundle that it cannot pass on, such as `decoding.seed`.

        A member that is null asks for nothing.

        Raises:
            ConfigError: the bundle lacks a member that it needs.
        """
        ...

    async def answer(self, call: Call) -> Answer:
        """Answers one call.

        Raises:
            ProviderError: no call can succeed; the run stops.
        """
        ...

    async def aclose(self) -> None:
        """Frees what the provider holds."""
        ...


def failed(
    error: str, fault: Fault, latency_s: float | None = None, *, notes: tuple[str, ...] = ()
) -> Answer:
    """Returns the answer that stands for a failed call, its text on one line."""
    return Answer(error=one_line(error), fault=fault, latency_s=latency_s, notes=notes)


def one_line(text: str, limit: int = 300) -> str:
    """Returns foreign text fit for a report: printable, on one line, not long."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def looks_like_answer(value: canon.Json) -> bool:
    """Tells an answer object from a model's own JSON: `output`, and no member unknown here."""
    return isinstance(value, Mapping) and "output" in value and _MEMBERS.issuperset(value)


def read_answer(value: canon.Json, latency_s: float | None = None) -> Answer:
    """Reads what a `command` or `python` provider returned.

    A string is the output. An object has `output` and may have `usage` (tokens and `cost_usd`),
    `model`, `fingerprint`, `finish_reason`, `ttft_s`, `logprobs`, `choices`, `notes`, `tool_calls`,
    `steps`, `calls`; or `error` alone.

    Raises:
        FormatError: it is neither.
    """
    if isinstance(value, str):
        return storable(Answer(output=value, latency_s=latency_s))
    if not isinstance(value, Mapping):
        raise FormatError(f"answered {type(value).__name__} instead of text or an object")
    if isinstance(value.get("error"), str) and value["error"]:
        return failed(str(value["error"]), "application", latency_s)
    output = value.get("output")
    if output is None:
        raise FormatError("the answer has neither output nor error")
    calls = _list(value, "calls")
    usage = value.get("usage")
    counted = usage if isinstance(usage, Mapping) else _summed(calls)
    answer = Answer(
        output=output if isinstance(output, str) else canon.encode(output).decode("utf-8"),
        finish_reason=text_or_none(value.get("finish_reason")),
        input_tokens=count(counted.get("input_tokens")),
        output_tokens=count(counted.get("output_tokens")),
        cached_tokens=count(counted.get("cached_tokens")),
        reasoning_tokens=count(counted.get("reasoning_tokens")),
        latency_s=latency_s,
        cache_write_tokens=count(counted.get("cache_write_tokens")),
        ttft_s=_seconds(value.get("ttft_s")),
        cost_usd=_cost(counted.get("cost_usd")),
        model=text_or_none(value.get("model")),
        fingerprint=text_or_none(value.get("fingerprint")),
        logprobs=_list(value, "logprobs"),
        choices=_list(value, "choices"),
        notes=tuple(one_line(note) for note in _list(value, "notes") if isinstance(note, str)),
        tool_calls=_list(value, "tool_calls"),
        steps=_list(value, "steps"),
        calls=calls,
    )
    return storable(answer)


def storable(answer: Answer) -> Answer:
    """Returns the answer, if the run cache can hold it.

    Raises:
        FormatError: it holds half a character, or something that is not JSON.
    """
    texts = (answer.output, answer.finish_reason, answer.model, answer.fingerprint)
    told = [text for text in texts if text is not None and not text.isascii()]
    lists = [part for name in _LISTS if (part := getattr(answer, name))]
    if told or lists:
        canon.encode([told, lists])
    return answer


def thawed(value: canon.Json) -> Any:
    """Returns a copy of a value for foreign code, which may change it as it likes."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | Mapping):  # a dict first: to ask for a Mapping takes long
        return {name: thawed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [thawed(item) for item in value]
    return value


def count(value: canon.Json) -> int | None:
    """Returns a token count; None for anything else, as for a number that no report can hold."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < canon.MAX_EXACT else None


def text_or_none(value: canon.Json) -> str | None:
    """Returns a text; None for anything else."""
    return value if isinstance(value, str) else None


def _cost(value: canon.Json) -> float | None:
    cost = number(value)
    if cost is not None and not 0 <= cost < 1e9:
        raise FormatError(f"cost_usd {cost} is not an amount of money")
    return cost


def _seconds(value: canon.Json) -> float | None:
    seconds = number(value)
    if seconds is not None and not 0 <= seconds < float("inf"):
        raise FormatError(f"ttft_s {seconds} is not a span of time")
    return seconds


def _list(value: Mapping[str, canon.Json], name: str) -> tuple[canon.Json, ...]:
    found = value.get(name)
    return tuple(found) if isinstance(found, list | tuple) else ()


def usage_of(call: canon.Json) -> dict[str, int | None]:
    """Returns what a call of the application used, by the names of `USAGE`.

    Anthropic's own usage counts apart from the input what its cache gave and took.
    """
    usage = mapped(mapped(call).get("usage", call))
    found = {name: count(usage.get(name)) for name in USAGE}
    for name, member in _APART.items():
        apart = count(usage.get(member))
        if apart is not None:
            found[name] = (found[name] or 0) + apart
            given = found["input_tokens"]
            found["input_tokens"] = None if given is None else given + apart
    return found


def _summed(calls: tuple[canon.Json, ...]) -> dict[str, canon.Json]:
    """Adds up the usage of the application's calls; a member that one of them lacks is unknown."""
    costs = (number(mapped(mapped(call).get("usage", call)).get("cost_usd")) for call in calls)
    listed = [{**usage_of(call), "cost_usd": cost} for call, cost in zip(calls, costs, strict=True)]
    total: dict[str, canon.Json] = {}
    for name in (*USAGE, "cost_usd"):
        known = [value for usage in listed if (value := usage[name]) is not None]
        if known and len(known) == len(calls):
            total[name] = sum(known)
    return total
