"""Prices: what a model's tokens cost, from a small dated table and the user's own.

- The table knows the models' context windows too.
- A price that is not known is None and never 0. Zero is a price only where the table says so.
- The report names the digest and the date of the table that was used.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.metric import number
from llmvc.errors import FormatError
from llmvc.evals import tables
from llmvc.evals.providers.base import Answer, count, usage_of

TYPE: Final = "prices/1"
SHIPPED: Final = Path(__file__).with_name("prices.json")
_RATES: Final = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)


@dataclass(frozen=True, slots=True)
class Price:
    """USD per token of one model.

    Attributes:
        input: of a fresh input token.
        output: of an output token, reasoning included.
        cached: of an input token read from the provider's cache; None if it is not listed.
        written: of an input token written to that cache; None if it is not listed.
    """

    input: float
    output: float
    cached: float | None = None
    written: float | None = None

    @property
    def free(self) -> bool:
        """Whether no token costs anything."""
        return self.input == 0 and self.output == 0

    def cost(self, answer: Answer) -> float | None:
        """Returns what an answer cost; None if its usage was not reported."""
        if answer.input_tokens is None or answer.output_tokens is None:
            return None
        cached, written = answer.cached_tokens or 0, answer.cache_write_tokens or 0
        return self.of(answer.input_tokens, answer.output_tokens, cached, written)

    def of(
        self, input_tokens: int, output_tokens: int, cached_tokens: int = 0, written_tokens: int = 0
    ) -> float:
        """Returns the price of so many tokens.

        Args:
            input_tokens: all of the input, what the cache gave and took included.
            output_tokens: all of the output, reasoning included.
            cached_tokens: the part of the input read from the provider's cache.
            written_tokens: the part of the input written to it.
        """
        cached = min(cached_tokens, input_tokens)
        written = min(written_tokens, input_tokens - cached)
        read_rate = self.input if self.cached is None else self.cached
        write_rate = self.input if self.written is None else self.written
        fresh = (input_tokens - cached - written) * self.input
        return fresh + cached * read_rate + written * write_rate + output_tokens * self.output


FREE: Final = Price(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Prices:
    """A table of prices.

    Attributes:
        models: `provider/model` or a bare model name -> the entry in LiteLLM's field names.
        date: when the newest of its parts was written; empty if none says.
    """

    models: Mapping[str, Mapping[str, canon.Json]]
    date: str

    @classmethod
    def load(cls, user_file: Path | None = None) -> "Prices":
        """Reads the shipped table and, over it, the user's own.

        Raises:
            ConfigError: the user's file is not there.
            FormatError: it is not such a table.
        """
        models, date = _read(SHIPPED)
        if user_file is not None:
            own, own_date = _read(user_file)
            models, date = {**models, **own}, max(date, own_date)
        return cls(models, date)

    @cached_property
    def digest(self) -> Digest:
        """The table's identity."""
        return digest.of_value({"llmvc": TYPE, "date": self.date, "models": self.models})

    def describe(self) -> dict[str, canon.Json]:
        """Returns what a report says of the table."""
        return {"digest": self.digest, "date": self.date}

    def find(self, provider: str, *models: str) -> Price | None:
        """Returns the price of the first of some names that the table lists for a provider.

        A bare name counts only if its entry names the same provider: another host that serves a
        model of that name has prices of its own.
        """
        found = (_price(entry) for entry in self._entries(provider, models))
        return next((price for price in found if price is not None), None)

    def window(self, provider: str, *models: str) -> int | None:
        """Returns the context window of the first of some names whose entry tells it, in tokens."""
        found = (count(entry.get("max_input_tokens")) for entry in self._entries(provider, models))
        return next((window for window in found if window), None)

    def listed(self, field: str, provider: str, *models: str) -> canon.Json:
        """Returns what the entry of the first of some names says in a field; None if none does."""
        found = (entry.get(field) for entry in self._entries(provider, models))
        return next((value for value in found if value is not None), None)

    def dated(self, provider: str, model: str) -> tuple[str, ...] | None:
        """Returns the names with a date of a model that has none; None if it is not listed."""
        if not any(self._entries(provider, (model,))):
            return None
        names = (name.removeprefix(f"{provider}/") for name in self.models)
        found = {one for one in names if re.fullmatch(re.escape(model) + r"-20\d\d[\d-]*", one)}
        return tuple(one for one in sorted(found) if any(self._entries(provider, (one,))))

    def _entries(self, provider: str, models: Iterable[str]) -> Iterator[Mapping[str, canon.Json]]:
        for model in models:
            entry = self.models.get(f"{provider}/{model}")
            if entry is None:
                bare = self.models.get(model, {})
                entry = bare if bare.get("litellm_provider") == provider else None
            if entry is not None:
                yield entry

    def of_calls(self, provider: str, answer: Answer) -> float | None:
        """Returns what the calls of an application cost; None if that of one is not known."""
        total = 0.0
        for call in answer.calls:
            if not isinstance(call, Mapping):
                return None
            used = usage_of(call)
            model, owner = call.get("model"), call.get("provider", provider)
            price = self.find(str(owner), str(model)) if model is not None else None
            given, made = used["input_tokens"], used["output_tokens"]
            if price is None or given is None or made is None:
                return None
            total += price.of(
                given, made, used["cached_tokens"] or 0, used["cache_write_tokens"] or 0
            )
        return total if answer.calls else None


def _price(entry: Mapping[str, canon.Json]) -> Price | None:
    given, made = (
        number(entry.get("input_cost_per_token")),
        number(entry.get("output_cost_per_token")),
    )
    if given is None or made is None:
        return None
    if given == 0 and made == 0 and entry.get("self_hosted") is not True:
        # Tables list models whose price nobody looked up as zero; free must be said in words.
        return None
    return Price(
        given,
        made,
        number(entry.get("cache_read_input_token_cost")),
        number(entry.get("cache_creation_input_token_cost")),
    )


def _read(path: Path) -> tuple[dict[str, Mapping[str, canon.Json]], str]:
    body = tables.read(path, "price table", "prices")
    listed = body.get("models", body)
    if not isinstance(listed, Mapping):
        raise FormatError(f"price table {path}: models is not an object")
    models = {name: entry for name, entry in listed.items() if isinstance(entry, Mapping)}
    for name, entry in models.items():
        for field in _RATES:
            cost = entry.get(field)
            if cost is not None and (number(cost) is None or (number(cost) or 0) < 0):
                raise FormatError(f"price table {path}: {name} has {field} {cost!r}")
    date = body.get("date")
    return models, date if isinstance(date, str) else ""
