"""One run of the run cache, for reading."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmvc.app.history import Shown

TYPE: Final = "entry/1"
_FACTS: Final = (
    "model",
    "fingerprint",
    "time",
    "finish_reason",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "latency_s",
    "ttft_s",
    "cost_usd",
)
_LISTS: Final = ("notes", "tool_calls", "steps", "calls")


def text(found: "Shown") -> str:
    """Shows what is known of a run, then its output as it came."""
    import json  # noqa: PLC0415 (canonical JSON has no layout for people)

    body = found.value if isinstance(found.value, Mapping) else {}
    known = [(name, body.get(name)) for name in _FACTS]
    lines = [f"run  {found.digest}"]
    lines += [f"  {name:<16}  {value}" for name, value in known if value is not None]
    for name in _LISTS:
        listed = body.get(name)
        if listed:
            lines.append(f"{name}: {json.dumps(listed, indent=2, ensure_ascii=False)}")
    return "\n".join([*lines, "", str(body.get("output"))])
