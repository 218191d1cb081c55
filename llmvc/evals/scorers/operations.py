"""Scorers of what a run took: how it ended, time, money, tokens, context.

- What the provider did not tell cannot be scored: that is neither a pass nor a failure.
- Finish reasons are compared in one spelling: `end_turn` of one provider is `stop` of another.
- A gate on time, money or tokens belongs in a metric of that kind, which compares with the
  baseline; these scorers are for bounds that hold whatever the baseline did.
"""

from collections.abc import Mapping
from math import exp
from typing import Final, TypeVar

from llmvc.core.metric import number
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.options import Options, Rule, UntoldError, as_text

_T = TypeVar("_T")

# The providers' spellings, after case and `_` are gone.
_SAME: Final[Mapping[str, str]] = {
    "end-turn": "stop",
    "stop-sequence": "stop",
    "completed": "stop",
    "eos": "stop",
    "max-tokens": "length",
    "max-output-tokens": "length",
    "model-context-window-exceeded": "length",
    "incomplete": "length",
    "tool-use": "tool-calls",
    "function-call": "tool-calls",
    "refusal": "content-filter",
    "safety": "content-filter",
    "content-filtered": "content-filter",
}


def finish(answer: Answer) -> str | None:
    """Returns why the model stopped, in one spelling; None if nobody told."""
    return None if answer.finish_reason is None else _spelt(answer.finish_reason)


def finish_reason(options: Options, answer: Answer) -> float:
    """Scores 1 if the model stopped for the reason, or one of several."""
    wanted = options.get("value")
    if wanted is None:
        raise FormatError("there is no finish reason to look for", hint="write value: stop")
    listed = wanted if isinstance(wanted, list | tuple) else (wanted,)
    names = {_spelt(as_text(item)) for item in listed}
    return float(_told(finish(answer), "why the model stopped") in names)


def latency(options: Options, answer: Answer) -> float:
    """Scores 1 if the answer came within `max_s` seconds, or `threshold` milliseconds."""
    limit, milliseconds = options.number("max_s"), options.number("threshold")
    if limit is None:
        limit = _set(milliseconds, "max_s, in seconds") / 1000
    return float(_told(answer.latency_s, "how long it took") <= limit)


def cost(options: Options, answer: Answer) -> float:
    """Scores 1 if the run cost at most `threshold` USD."""
    limit = _set(options.number("threshold"), "threshold, in USD")
    known = options.setting.cost_usd
    return float(_told(answer.cost_usd if known is None else known, "what it cost") <= limit)


def tokens(options: Options, answer: Answer) -> float:
    """Scores 1 if the number of tokens is within the bounds: of the input, the output, or both."""
    part = options.one_of("of", ("total", "input", "output"))
    given = 0 if part == "output" else answer.input_tokens
    made = 0 if part == "input" else answer.output_tokens
    options.within(0)
    return options.within(_told(given, "its tokens") + _told(made, "its tokens"))


def context_fit(options: Options, answer: Answer) -> float:
    """Scores 1 if the answer was not cut off; with `max`, if so much of the window was used.

    `max` is the largest share of the window that input and output may fill, in (0, 1].
    """
    most = options.number("max")
    if most is not None and not 0 < most <= 1:
        raise FormatError(f"max is {most:g}, not a share of the window above 0 and up to 1")
    reason = finish(answer)
    if reason == "length":
        return 0.0
    if most is None:
        _told(reason, "why the model stopped")
        return 1.0
    window = _told(options.setting.window, "how large the model's window is")
    used = _told(answer.input_tokens, "its tokens") + _told(answer.output_tokens, "its tokens")
    return float(used <= most * window)


def perplexity(options: Options, answer: Answer) -> float:
    """Scores 1 if the output's perplexity is at most `threshold`; without it, 1 / perplexity."""
    limit = options.number("threshold")
    told = [number(one.get("logprob")) for one in answer.logprobs if isinstance(one, Mapping)]
    known = [one for one in told if one is not None]
    if not known or len(known) < len(answer.logprobs):
        raise UntoldError("the answer has no logprobs", hint="set decoding.logprobs in the bundle")
    inverse = min(1.0, exp(sum(known) / len(known)))
    return inverse if limit is None else float(inverse * limit >= 1)


def _spelt(reason: str) -> str:
    name = reason.strip().lower().replace("_", "-").replace(" ", "-")
    return _SAME.get(name, name)


def _set(value: float | None, what: str) -> float:
    if value is None:
        raise FormatError(f"there is no {what}")
    return value


def _told(value: _T | None, what: str) -> _T:
    if value is None:
        raise UntoldError(f"the answer does not say {what}")
    return value


RULES: Final[Mapping[str, Rule]] = {
    "finish-reason": finish_reason,
    "latency": latency,
    "cost": cost,
    "tokens": tokens,
    "context-fit": context_fit,
    "perplexity": perplexity,
}
