"""What an endpoint means by a request that it refuses.

- A parameter that it does not take stops the run: no call can succeed, and none is at fault.
- A request that does not fit the model's context is an outcome of the bundle.
- What it says is foreign text: it is read for its meaning, and never trusted to be JSON.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

_PARAMETER_CODES: Final = frozenset(
    {"unsupported_parameter", "unknown_parameter", "unsupported_value"}
)
# One group: the parameter, in whichever way a server names it.
_PARAMETER: Final = re.compile(
    r"unsupported (?:parameter|value): '([\w.\[\]]+)'"
    r"|unknown parameter: '([\w.\[\]]+)'"
    r"|unrecognized request arguments? supplied: ([\w.]+)"
    r"|^([\w.]+): extra inputs are not permitted"
    r"|extra_forbidden.*?['\"]body['\"], ['\"](\w+)['\"]"
    r"|additional properties are not allowed \('(\w+)'"
    r"|`(\w+)` (?:is deprecated|is not supported|may only be set|and `\w+` cannot both)"
    r"|^(max_tokens): \d+ > \d+"
    r"|^field '(\w+)': value must be",
    re.IGNORECASE,
)
_CONTEXT_CODES: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_CONTEXT: Final = re.compile(
    r"prompt is too long|input is too long|maximum context length|context (?:length|window|size)"
    r".{0,40}exceed|exceeds? .{0,40}context|exceed context limit",
    re.IGNORECASE,
)
_UNPAID_CODES: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}
)
_UNPAID: Final = re.compile(
    r"credit balance is too low|insufficient (?:balance|credits)", re.IGNORECASE
)
_OVERLOADED: Final = ("overloaded", "rate_limit")
_WHY: Final = {
    401: "refused the key",
    402: "has no quota left for this key",
    403: "forbids it",
    404: "knows no such model or path",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an endpoint said instead of an answer.

    Attributes:
        status: of HTTP; 200 for an error within a stream.
        message: for people.
        codes: what it calls the error for programs.
        param: the parameter that it names.
    """

    status: int
    message: str
    codes: frozenset[str] = frozenset()
    param: str | None = None

    @property
    def parameter(self) -> str | None:
        """The parameter that it does not take; None if it complains of something else."""
        if self.status not in (400, 422):
            return None
        if self.codes & _PARAMETER_CODES and self.param:
            return self.param
        found = _PARAMETER.search(self.message)
        return next((name for name in found.groups() if name), None) if found else None

    @property
    def too_long(self) -> bool:
        """Whether the request does not fit the model's context."""
        return bool(self.codes & _CONTEXT_CODES) or bool(_CONTEXT.search(self.message))

    @property
    def busy(self) -> bool:
        """Whether it asks to come back later."""
        if self.status == 200:
            return any(word in code for code in self.codes for word in _OVERLOADED)
        return self.status in (429, 503, 529)

    @property
    def hopeless(self) -> str | None:
        """Why no call can succeed; None if one may."""
        if 300 <= self.status < 400:
            return "answers with a redirect"
        unpaid = self.codes & _UNPAID_CODES or _UNPAID.search(self.message)
        if self.status >= 400 and unpaid:
            return _WHY[402]
        return _WHY.get(404 if "model_not_found" in self.codes else self.status)


def refusal_of(status: int, content: bytes) -> Refusal:
    """Reads the body of an error, in whichever of the usual shapes it has."""
    try:
        body: Any = json.loads(content)
        error = body.get("error", body.get("detail", body.get("message")))
        inner = error if isinstance(error, dict) else body
        message = inner.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        return Refusal(status, content[:200].decode("utf-8", "replace"))
    told = (inner.get("code"), inner.get("type"))
    param = inner.get("param")
    return Refusal(
        status,
        message if isinstance(message, str) else json.dumps(message),
        frozenset(code for code in told if isinstance(code, str)),
        param if isinstance(param, str) else None,
    )
