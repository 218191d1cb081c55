"""The calls of a judge: each is kept in the run cache, paid from a budget, and never made twice.

- A reply in the cache counts unless it is too old or everything is asked for again.
- A call that fails at the provider is not kept, so that the next grading makes it again.
- A call starts only if its share of the money still fits; after that none does.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.suite import Case
from llmvc.core.times import rfc3339
from llmvc.errors import ConfigError, ProviderError
from llmvc.evals.budget import Budget, Money
from llmvc.evals.plan import Arm, ArmCase, check_measurable
from llmvc.evals.prices import Prices
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import Ledger

# Calls that fail one after another before nobody waits for more of them.
_ENOUGH: Final = 20
# How long providers that never wait may keep the loop from looking at ^C and the clock.
_BREATH_S: Final = 0.01


class CallFailedError(Exception):
    """The provider failed; a later call may succeed."""


class StoppedError(Exception):
    """No further call may be made."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call.

    Attributes:
        key: what its reply is kept under.
        about: what it is about, for messages.
        number: among the calls about this.
        seed: what it sends.
    """

    key: Digest
    about: str
    number: int
    seed: int | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What grading takes, if every new reply is in form.

    Attributes:
        calls: that are to be made.
        to_come: how many of them are about outputs that are not there yet: so many at most, for
            equal outputs are judged once, and failed ones not at all.
        kept: replies that are there already.
        usd: about what the calls cost; None if that is not known.
    """

    calls: int = 0
    to_come: int = 0
    kept: int = 0
    usd: float | None = 0.0

    def __add__(self, other: "Forecast") -> "Forecast":
        """Returns what both take."""
        return Forecast(
            self.calls + other.calls,
            self.to_come + other.to_come,
            self.kept + other.kept,
            total((self.usd, other.usd)),
        )


class Calls:
    """What asks a judge.

    Args:
        name: the judge's, for messages.
        arm: its bundle and provider.
        ledger: where replies are kept.
        prices: what tokens cost.
        now: the clock.
        budget: what new calls may cost.
        allow_unpriced: whether calls of unknown price may be made.
        fresh: whether to make every call again.
        max_age_s: how old a kept reply may be, in seconds; None for no limit.

    Raises:
        ConfigError: the calls would leave out a part of the bundle.
        ProviderError: the price of the calls is not known, and must be.
        UsageError: the same, and only the budget's limit stands against it.
    """

    def __init__(
        self,
        name: str,
        arm: Arm,
        ledger: Ledger,
        *,
        prices: Prices,
        now: Callable[[], datetime],
        budget: Budget,
        allow_unpriced: bool = False,
        fresh: bool = False,
        max_age_s: int | None = None,
    ) -> None:
        if arm.provider.mode == "app":
            raise ConfigError(
                f"judge {name} is asked by a provider of mode app, "
                "which would leave out the fence around the output",
                hint="use a provider that answers one request: mode: chat",
            )
        check_measurable(arm)
        self.stopped: str | None = None
        self._name = name
        self._arm = arm
        self._ledger = ledger
        self._money = Money.of(
            (arm,),
            prices,
            allow_unpriced=allow_unpriced,
            limit="--max-judge-usd" if budget.limited else None,
        )
        self._now = now
        self._budget = budget
        self._fresh = fresh
        self._oldest = None if max_age_s is None else now() - timedelta(seconds=max_age_s)
        self._made: set[Digest] = set()
        self._works = False
        self._failed_in_a_row = 0
        self._breathed = perf_counter()

    def load(self, keys: frozenset[Digest]) -> None:
        """Reads the kept replies under some keys.

        Raises:
            StoreError: they are there but cannot be read.
        """
        if not self._fresh:
            self._ledger.load(keys)

    def cost(self, answer: Answer) -> float | None:
        """Returns what a reply cost in USD; None if that is not known.

        Raises:
            ProviderError: it has a usage of unknown price, and that is not allowed.
            UsageError: the same, and only the budget's limit stands against it.
        """
        return self._money.cost(self._arm, answer)

    def expected(self, about: str, request: Mapping[str, canon.Json]) -> float | None:
        """Returns about what one call will cost in USD; None if nothing is known of it."""
        return self._expected(self._one(about, request))

    async def answer(self, asked: Asked, request: Callable[[], Mapping[str, canon.Json]]) -> Answer:
        """Returns the reply to one call, kept or new.

        Args:
            asked: which call.
            request: builds its canonical request; not called if the reply is kept.

        Raises:
            CallFailedError: the provider failed.
            StoppedError: the call may not be made; `stopped` says why.
            ProviderError: no call can succeed.
        """
        kept = self.kept(asked.key)
        if kept is not None:
            return kept
        one = self._one(asked.about, request())
        expected = self._budget.share(self._expected(one) or 0.0)
        self.stopped = self.stopped or self._budget.admit(expected)
        if self.stopped:
            raise StoppedError
        call = replace(one.call(asked.number, None), seed=asked.seed)
        answer = await self._arm.provider.answer(call)
        self._check(answer)
        if answer.fault != "provider":
            answer = replace(answer, time=answer.time or rfc3339(self._now()))
            self._ledger.add(asked.key, answer)
            self._made.add(asked.key)
        self._budget.settle(expected, self.cost(answer))
        if perf_counter() - self._breathed > _BREATH_S:
            await asyncio.sleep(0)
            self._breathed = perf_counter()
        if answer.fault == "provider":
            raise CallFailedError(answer.error)
        return answer

    def kept(self, key: Digest) -> Answer | None:
        """Returns the reply that is kept under a key, if it still counts."""
        entry = self._ledger.find(key)
        if entry is None or key in self._made:
            return None if entry is None else entry.answer
        time = entry.answer.time
        old = self._oldest and (time is None or datetime.fromisoformat(time) < self._oldest)
        return None if self._fresh or old else entry.answer

    def _one(self, about: str, request: Mapping[str, canon.Json]) -> ArmCase:
        return ArmCase(self._arm, Case(about, {}), request, digest.of_value(request), ())

    def _expected(self, one: ArmCase) -> float | None:
        return self._money.expected(one, {self._arm.name: None})

    def _check(self, answer: Answer) -> None:
        """Ends the grading if somebody else answers, or nobody does.

        Raises:
            ProviderError: it does.
        """
        wrong = self._arm.unexpected(answer)
        if wrong:
            raise ProviderError(wrong, hint="correct model.expect in the manifest, or the provider")
        self._works = self._works or answer.fault is None
        harmless = answer.fault is None or (answer.fault == "application" and self._works)
        self._failed_in_a_row = 0 if harmless else self._failed_in_a_row + 1
        if self._failed_in_a_row >= _ENOUGH:
            raise ProviderError(
                f"{_ENOUGH} calls of judge {self._name} in a row failed, "
                f"the last one: {answer.error}",
                hint="finished votes are kept: run it again when that is mended",
            )


def total(costs: Sequence[float | None]) -> float | None:
    """Returns a sum of costs; None if one of them is not known."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
