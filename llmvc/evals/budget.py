"""Money and time: what an eval will cost, whether it may start, and when it must stop.

- Tokens are not counted before a call but bounded by bytes; the estimator is named beside the sum.
- What is spent is counted as answers come in; a call starts only if its share still fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llmvc.core import canon
from llmvc.core.metric import number
from llmvc.core.plural import count
from llmvc.errors import ConfigError, LlmvcError, ProviderError, UsageError
from llmvc.evals.plan import Arm, ArmCase, Plan
from llmvc.evals.prices import FREE, Price, Prices
from llmvc.evals.providers.base import Answer
from llmvc.evals.reuse import Reuse

BYTES_PER_TOKEN: Final = 3
GUESSED_OUTPUT: Final = 512
ESTIMATOR: Final = (
    f"mean cost of earlier runs, else request bytes / {BYTES_PER_TOKEN} in and "
    f"max_output_tokens (unset: {GUESSED_OUTPUT}) out"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an eval may use.

    Attributes:
        concurrency: calls under way at once.
        max_usd: what new calls may cost; None for no limit.
        max_seconds: how long they may take; None for no limit.
        allow_unpriced: whether calls of unknown price may be made.
        max_judge_usd: what new calls of judges may cost; None for no limit.
    """

    concurrency: int = 8
    max_usd: float | None = None
    max_seconds: float | None = None
    allow_unpriced: bool = False
    max_judge_usd: float | None = None


@dataclass(frozen=True, slots=True)
class CallEstimate:
    """What an eval is about to do.

    Attributes:
        total: runs that the report will rest on.
        cached: how many of them are there already.
        usd: what the rest will cost, about; None if a price is not known.
        estimator: how tokens were estimated.
    """

    total: int
    cached: int
    usd: float | None
    estimator: str

    @property
    def calls(self) -> int:
        """How many calls will be made."""
        return self.total - self.cached


def price_of(arm: Arm, prices: Prices) -> Price | None:
    """Returns the price of an arm's model; None if it is not known."""
    if arm.provider.self_hosted:
        return FREE
    provider, models = arm.model
    found = prices.find(arm.provider.priced_as or provider, *models)
    decoding = arm.bundle.body.get("decoding")
    several = number(decoding.get("n")) if isinstance(decoding, Mapping) else None
    if found is not None and several is not None and several > 1 and found.output > 0:
        # Some servers count the tokens of one choice only, so usage says nothing of the bill.
        return None
    return found


def check_priced(arms: Sequence[Arm], prices: Prices, *, capped: str | None = None) -> None:
    """Refuses a plain model call whose price is not known.

    Applications and commands may state their cost in the answer, so they are judged by that.

    Args:
        arms: whose calls they are.
        prices: the table.
        capped: see `unpriced`.

    Raises:
        ProviderError: a model is not in the table, or the bundle asks for several choices.
        UsageError: the same, and only a limit in USD stands against it.
    """
    for arm in arms:
        by_usage = arm.provider.kind in ("openai", "anthropic", "recorded")
        if by_usage and price_of(arm, prices) is None:
            raise unpriced(arm, capped=capped)


def unpriced(arm: Arm, *, capped: str | None = None) -> LlmvcError:
    """Returns the error that says whose price is not known.

    Args:
        arm: whose it is.
        capped: the option whose limit in USD alone stands against such calls; None if none does.
    """
    provider, models = arm.model
    name = "/".join((provider, *models[-1:]))
    what = f"no price is known for the calls of {arm.name}, {name}"
    hint = (
        "add the model to the file under `prices:` in .llmvc/config.yaml, set "
        "self_hosted: true on the provider if calls are free, or "
    )
    if capped:
        return UsageError(f"{capped} cannot hold: {what}", hint=f"{hint}leave out {capped}")
    return ProviderError(what, hint=f"{hint}pass --allow-unpriced")


def cost_of(arm: Arm, answer: Answer, price: Price | None, prices: Prices) -> float | None:
    """Returns what an answer cost: as stated, by its own calls, or by its usage."""
    if arm.provider.self_hosted:
        return 0.0
    if answer.cost_usd is not None:
        return answer.cost_usd
    if answer.calls:
        return prices.of_calls(arm.provider.priced_as or arm.model[0], answer)
    return price.cost(answer) if price is not None else None


def expected_usd(one: ArmCase, price: Price | None, mean_usd: float | None) -> float | None:
    """Returns about what one call will cost; None if nothing is known of it.

    Args:
        one: the case on its arm.
        price: of the arm's model.
        mean_usd: mean cost of the arm's earlier runs.
    """
    if mean_usd is not None:
        return mean_usd
    if price is not None and price.free:
        return 0.0
    messages = one.request.get("messages")
    if price is None or not isinstance(messages, Sequence):
        return None
    given = -(-len(str(messages).encode("utf-8")) // BYTES_PER_TOKEN)
    decoding = one.arm.bundle.body.get("decoding")
    most = number(decoding.get("max_output_tokens")) if isinstance(decoding, Mapping) else None
    return price.of(given, GUESSED_OUTPUT if most is None else int(most))


def check_affordable(estimate: CallEstimate, limits: Limits) -> None:
    """Refuses an eval whose estimate is over the limit.

    Raises:
        ConfigError: it is.
    """
    if limits.max_usd is not None and estimate.usd is not None and estimate.usd > limits.max_usd:
        raise ConfigError(
            f"{count(estimate.calls, 'call')} would cost about {dollars(estimate.usd)}, "
            f"over the limit of {dollars(limits.max_usd)}",
            hint="raise --max-usd, or lower runs or cases in the suite",
        )


def dollars(amount: float) -> str:
    """Returns an amount for people; small ones keep the digits that tell them from nothing."""
    return f"${amount:.2f}" if amount == 0 or amount >= 0.1 else f"${amount:.4f}"


class Budget:
    """Counts money while calls are under way.

    Args:
        max_usd: what they may cost; None for no limit.
    """

    def __init__(self, max_usd: float | None) -> None:
        self._max_usd = max_usd
        self._promised = 0.0
        self._under_way = self._settled = 0
        self.spent = 0.0

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self._max_usd is not None

    def share(self, expected: float) -> float:
        """Returns what a call may cost: as expected, or as the calls so far if they cost more."""
        return max(expected, self.spent / self._settled) if self._settled else expected

    def admit(self, expected: float, calls: int = 1) -> str | None:
        """Sets aside what calls will cost; returns why they may not start, or None.

        Those under way may have been promised too little, before anyone knew what a call costs.
        """
        promised = max(self._promised, self._under_way * self.share(0.0))
        if self._max_usd is not None and self.spent + promised + expected > self._max_usd:
            waiting = f", {count(self._under_way, 'call')} under way" if self._under_way else ""
            return f"{dollars(self.spent)} of {dollars(self._max_usd)} are spent{waiting}"
        self._promised += expected
        self._under_way += calls
        return None

    def settle(self, expected: float, actual: float | None) -> None:
        """Replaces what was set aside for a call by what it cost, if that is known."""
        self._promised -= expected
        self._under_way -= 1
        self._settled += 1
        self.spent += expected if actual is None else actual


@dataclass(slots=True)
class Money:
    """Prices as they apply to the arms of one eval.

    Attributes:
        arms: arm name -> price of its model; None if it is not known.
        prices: the table.
        allow_unpriced: whether calls of unknown price may be made.
        table: what a report says of the table, once a cost rests on it.
        capped: the option whose limit in USD could not hold, so that they may not after all.
    """

    arms: Mapping[str, Price | None]
    prices: Prices
    allow_unpriced: bool
    table: Mapping[str, canon.Json] | None = None
    capped: str | None = None

    @classmethod
    def of(
        cls,
        arms: Sequence[Arm],
        prices: Prices,
        *,
        allow_unpriced: bool = False,
        limit: str | None = None,
    ) -> "Money":
        """Looks up the arms' prices.

        Args:
            arms: whose calls are made.
            prices: the table.
            allow_unpriced: whether calls of unknown price may be made, if no limit stands.
            limit: the option that limits what they cost; None for no limit.

        Raises:
            ProviderError: one is not known, and must be.
            UsageError: the same, and only a limit in USD stands against it.
        """
        capped = limit if allow_unpriced else None
        allowed = allow_unpriced and capped is None
        if not allowed:
            check_priced(arms, prices, capped=capped)
        found: dict[str, Price | None] = {arm.name: price_of(arm, prices) for arm in arms}
        return cls(found, prices, allowed, capped=capped)

    def cost(self, arm: Arm, answer: Answer) -> float | None:
        """Returns what an answer cost.

        Raises:
            ProviderError: it has a usage of unknown price, and that is not allowed.
            UsageError: the same, and only a limit in USD stands against it.
        """
        cost = cost_of(arm, answer, self.arms[arm.name], self.prices)
        counted = answer.input_tokens is not None or bool(answer.calls)
        if cost is None and counted and not self.allow_unpriced:
            raise unpriced(arm, capped=self.capped)
        if cost is not None and answer.cost_usd is None and not arm.provider.self_hosted:
            self.table = self.table or self.prices.describe()
        return cost

    def means(self, reuse: Reuse) -> dict[str, float | None]:
        """Returns the mean cost of each arm's earlier runs; None where there is none."""
        result: dict[str, float | None] = {}
        for name, price in self.arms.items():
            costs = [
                price.cost(answer) if price and answer.cost_usd is None else answer.cost_usd
                for answer in reuse.answers(name)
            ]
            known = [cost for cost in costs if cost is not None]
            result[name] = sum(known) / len(known) if known else None
        return result

    def expected(self, one: ArmCase, means: Mapping[str, float | None]) -> float | None:
        """Returns about what one call will cost; None if nothing is known of it."""
        return expected_usd(one, self.arms[one.arm.name], means[one.arm.name])

    def estimate(self, whole: Plan, reuse: Reuse) -> CallEstimate:
        """Returns what the calls that are missing will cost."""
        means = self.means(reuse)
        total = sum(len(arms) for arms in whole.cases) * whole.runs
        expected = [self.expected(one, means) for one, _ in reuse.missing()]
        known = [usd for usd in expected if usd is not None]
        usd = sum(known) if len(known) == len(expected) else None
        return CallEstimate(total, reuse.count(), usd, ESTIMATOR)
