"""An endpoint: where it is, what opens it, and how patient callers are with it.

- The key comes from an environment variable, is sent to `base_url` alone, and never stands in an
  error, an identity or a report.
- Every request asks caches on the way for a new answer: llmvc has a cache of its own, so a call
  that is made is one whose answer is not known.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.errors import ConfigError, ProviderError
from llmvc.evals.providers.base import one_line
from llmvc.evals.providers.options import Options

KNOWN: Final = (
    "base_url",
    "api_key_env",
    "headers",
    "timeout_s",
    "tries",
    "backoff_s",
    "longest_wait_s",
    "patience_s",
    "requests_per_minute",
    "tokens_per_minute",
    "stream",
    "priced_as",
    "self_hosted",
)
_ALWAYS: Final = {"content-type": "application/json", "cache-control": "no-cache"}
_NEVER_SET: Final = frozenset(
    {"authorization", "x-api-key", "content-type", "host", "content-length"}
)
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Home:
    """Where a kind of provider is at home.

    Attributes:
        base_url: its own endpoint.
        key_env: the variable that holds the key there.
        key_header: the header that carries the key.
        key_prefix: what stands before the key in it.
        headers: what every request carries.
    """

    base_url: str
    key_env: str
    key_header: str
    key_prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint as the configuration describes it.

    Attributes:
        base_url: its address, without a slash at its end.
        local: whether it is this machine.
        headers: what every request carries, the key among it.
        own: the digest of the headers that the user adds, which may choose what answers; None if
            there are none.
        key: the key; None if none is sent.
        key_env: the variable it came from.
        timeout_s: for one whole exchange.
        tries: how often a call is tried.
        backoff_s: about the first pause between tries.
        longest_wait_s: the longest one.
        patience_s: how long an endpoint that says that it is overloaded is asked again.
        stream: whether answers are asked for as streams.
    """

    base_url: str
    local: bool
    headers: Mapping[str, str] = field(repr=False)
    own: Digest | None
    key: str | None = field(repr=False)
    key_env: str
    timeout_s: float
    tries: int
    backoff_s: float
    longest_wait_s: float
    patience_s: float
    stream: bool

    @classmethod
    def of(cls, options: Options, home: Home, environ: Mapping[str, str]) -> "Endpoint":
        """Reads the connection.

        Raises:
            ConfigError: an option is not right.
            ProviderError: the environment lacks the key.
        """
        base_url = (options.text("base_url") or home.base_url).rstrip("/")
        local = _check_url(options, base_url)
        named = options.text("api_key_env")
        key_env = named or home.key_env
        # A default key must not travel to an endpoint that the user did not name it for.
        default = named or base_url == home.base_url
        key = environ.get(key_env, "").strip() if default else ""
        if not key and (named or not local):
            if not default:
                raise ProviderError(
                    f"provider {options.name!r} names no api_key_env for {base_url}",
                    hint=f"name the variable that holds its key: api_key_env under {options.name}",
                )
            raise ProviderError(
                f"provider {options.name!r} needs a key: {key_env} is not set",
                hint=f"export {key_env}=…, or name another variable under api_key_env",
            )
        if not (key.isascii() and key.isprintable()):
            raise ProviderError(
                f"provider {options.name!r}: {key_env} holds characters that no key has",
                hint=f"export {key_env} again",
            )
        own = _headers(options)
        sent = {home.key_header: home.key_prefix + key} if key else {}
        return cls(
            base_url=base_url,
            local=local,
            headers={**_ALWAYS, **home.headers, **own, **sent},
            own=digest.of_value(own) if own else None,
            key=key or None,
            key_env=key_env,
            timeout_s=options.number("timeout_s", 120.0),
            tries=max(1, int(options.number("tries", 6))),
            backoff_s=options.number("backoff_s", 0.5),
            longest_wait_s=options.number("longest_wait_s", 60.0),
            patience_s=options.number("patience_s", 300.0),
            stream=options.flag("stream"),
        )

    def clean(self, text: str) -> str:
        """Returns foreign text on one line and without the key."""
        return one_line(text.replace(self.key, "***") if self.key else text)


def _headers(options: Options) -> dict[str, str]:
    value = options.raw("headers")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise options.wrong("headers", "names with texts")
    found: dict[str, str] = {}
    for name, text in value.items():
        usable = isinstance(text, str) and text.isascii() and text.isprintable()
        if not usable or not _HEADER.fullmatch(name):
            raise options.wrong("headers", "names with texts")
        if name.lower() in _NEVER_SET:
            raise ConfigError(
                f"provider {options.name!r}: header {name} cannot be set",
                hint="keys come from the variable that api_key_env names",
            )
        found[name.lower()] = str(text)
    return found


def _check_url(options: Options, base_url: str) -> bool:
    """Checks the endpoint's address, and returns whether it is this machine."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        loose = parts.username or parts.password or parts.query or parts.fragment
        _ = parts.port
    except ValueError as err:
        raise options.wrong("base_url", "such as http://127.0.0.1:8080/v1") from err
    if not usable or loose:
        raise options.wrong("base_url", "such as http://127.0.0.1:8080/v1, without a key in it")
    host = parts.hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
