"""Context windows: how much of one a run used; provider usage is the truth.

A window that nobody names is None, and so is every share of it.
"""

from typing import TYPE_CHECKING

from llmvc.core import context
from llmvc.evals.providers.base import Answer, usage_of

if TYPE_CHECKING:
    from llmvc.evals.plan import Arm, ArmCase
    from llmvc.evals.prices import Prices


def window_of(arm: "Arm", prices: "Prices") -> int | None:
    """Returns an arm's context window in tokens: the bundle's own, else the price table's."""
    own = context.limit_of(arm.bundle).window
    provider, models = arm.model
    return own or prices.window(arm.provider.priced_as or provider, *models)


def share(answer: Answer, window: int | None) -> float | None:
    """Returns the share of the window that input and output used; of the largest call, if several.

    It is above 1 where the window that was named is smaller than the model's.
    """
    if not window:
        return None
    if not answer.calls:
        used = _used(answer.input_tokens, answer.output_tokens)
        return None if used is None else used / window
    listed = [usage_of(call) for call in answer.calls]
    sizes = [_used(usage["input_tokens"], usage["output_tokens"]) for usage in listed]
    known = [size for size in sizes if size is not None]
    return max(known) / window if known and len(known) == len(sizes) else None


def notes(one: "ArmCase", answer: Answer) -> tuple[str, ...]:
    """Returns a sentence if a request that was made to fit has more tokens than was assumed."""
    given = answer.input_tokens
    if one.size is None or given is None:
        return ()
    most = context.limit_of(one.arm.bundle).most
    if most is None or given <= max(one.size, most):
        return ()
    told = f"the request was taken for {one.size:,} tokens and made to fit {most:,}; the provider"
    return (f"{told} counted {given:,}: name a context.tokenizer, or reserve more",)


def _used(given: int | None, made: int | None) -> int | None:
    return None if given is None or made is None else given + made
