"""The provider `openai`: any endpoint that speaks OpenAI's chat completions.

- What may succeed later is tried again, a bounded number of times: 429, 5xx, time-outs, lost
  connections; `Retry-After` is honoured. What cannot succeed for any call ends the run.
- A request that the endpoint refuses as such (400, 413, 422) is the bundle's failure.
- The key comes from an environment variable, is sent to `base_url` alone, and never stands in an
  error, an identity or a report.
"""

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from llmvc.core import canon, digest
from llmvc.errors import ConfigError, FormatError, ProviderError
from llmvc.evals.providers.base import Answer, Call, Mode, failed, one_line
from llmvc.evals.providers.chat import Shape, body_of, error_of, read_completion
from llmvc.evals.providers.options import Options

if TYPE_CHECKING:
    import httpx

HOME: Final = "https://api.openai.com/v1"
_KNOWN: Final = (
    "base_url",
    "api_key_env",
    "headers",
    "max_tokens_field",
    "timeout_s",
    "tries",
    "backoff_s",
    "longest_wait_s",
    "priced_as",
    "self_hosted",
)
_AGAIN: Final = frozenset({408, 409, 425, 429})
_HOPELESS: Final = {401: "refused the key", 403: "forbids it", 404: "knows no such model or path"}
_NEVER_SENT: Final = frozenset({"authorization", "content-type", "host", "content-length"})

# Connections that fail in a row before the endpoint counts as down: at once if it never answered.
_DOWN_FIRST: Final = 3
_DOWN_LATER: Final = 24


class OpenAI:
    """Answers by asking an HTTP endpoint."""

    kind = "openai"
    mode: Mode = "chat"

    def __init__(self, options: Options, base_url: str, key: str | None, key_env: str) -> None:
        self.priced_as = options.text("priced_as")
        self.self_hosted = options.flag("self_hosted")
        self._base_url = base_url
        self._key = key
        self._key_env = key_env
        default = "max_completion_tokens" if base_url == HOME else "max_tokens"
        self._shape = Shape(options.text("max_tokens_field") or default)
        self._headers = _headers(options)
        self._timeout_s = options.number("timeout_s", 120.0)
        self._tries = max(1, int(options.number("tries", 6)))
        self._backoff_s = options.number("backoff_s", 0.5)
        self._longest_wait_s = options.number("longest_wait_s", 60.0)
        self._client: httpx.AsyncClient | None = None
        self._answered = False
        self._lost = 0

    @classmethod
    def connect(
        cls, name: str, options: Mapping[str, canon.Json], *, environ: Mapping[str, str]
    ) -> "OpenAI":
        """Reads the connection.

        Raises:
            ConfigError: an option is not known or not right.
            ProviderError: the environment lacks the key.
        """
        known = Options(name, options, _KNOWN)
        base_url = (known.text("base_url") or HOME).rstrip("/")
        local = _check_url(known, base_url)
        named = known.text("api_key_env")
        key_env = named or "OPENAI_API_KEY"
        # A default key must not travel to an endpoint that the user did not name it for.
        key = environ.get(key_env) if named or base_url == HOME else None
        if not key and (named or not local):
            raise ProviderError(
                f"provider {name!r} needs a key: {key_env} is not set"
                if named or base_url == HOME
                else f"provider {name!r} names no api_key_env for {base_url}",
                hint=f"export {key_env}=…, or name another variable under api_key_env",
            )
        return cls(known, base_url, key, key_env)

    def identity(self) -> Mapping[str, canon.Json]:
        """Returns the endpoint, and how requests are spelt for it."""
        shape = {"max_tokens_field": self._shape.max_tokens_field}
        return {"kind": self.kind, "base_url": self._base_url, **shape}

    async def aclose(self) -> None:
        """Closes the connections; the next answer opens them again."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def answer(self, call: Call) -> Answer:
        """Asks the endpoint, again where that may help.

        Raises:
            ProviderError: the key is refused, or nothing is there to answer.
        """
        import httpx  # noqa: PLC0415 (an eval without a network never loads it)

        content = canon.encode(body_of(call, self._shape))
        problem = "no try was made"
        for attempt in range(self._tries):
            started = perf_counter()
            wait_s: float | None = None
            try:
                response = await self._post(content)
            except httpx.TimeoutException as err:
                problem = f"no answer within {self._timeout_s:g} s ({type(err).__name__})"
            except httpx.TransportError as err:
                problem = f"connection failed: {type(err).__name__}: {err}"
                self._count_lost(err)
            else:
                self._answered, self._lost = True, 0
                latency_s = perf_counter() - started
                if response.status_code == 200:
                    return self._read(response, latency_s)
                problem = f"HTTP {response.status_code}: {self._clean(error_of(response.content))}"
                self._check_hopeless(response)
                if response.status_code < 500 and response.status_code not in _AGAIN:
                    return failed(problem, "application", latency_s)
                wait_s = _retry_after(response)
            if attempt + 1 < self._tries:
                wait_s = self._pause(call, attempt) if wait_s is None else wait_s
                if wait_s > self._longest_wait_s:
                    return failed(f"{problem}; asked to wait {wait_s:g} s", "provider")
                await asyncio.sleep(wait_s)
        return failed(f"{problem} ({self._tries} tries)", "provider")

    async def _post(self, content: bytes) -> "httpx.Response":
        import httpx  # noqa: PLC0415

        if self._client is None:
            headers = {**self._headers, "content-type": "application/json"}
            if self._key:
                headers["authorization"] = f"Bearer {self._key}"
            self._client = httpx.AsyncClient(
                headers=headers,
                timeout=self._timeout_s,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
                # A proxy of the environment cannot reach this machine's own servers.
                trust_env=not _is_local(self._base_url),
            )
        # One limit for the whole exchange: httpx's own counts from one received byte to the next.
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._client.post(
                    f"{self._base_url}/chat/completions", content=content
                )
        except TimeoutError as err:
            raise httpx.ReadTimeout("the answer took too long") from err

    def _read(self, response: "httpx.Response", latency_s: float) -> Answer:
        try:
            return read_completion(response.content, latency_s)
        except FormatError as err:
            return failed(f"malformed answer: {self._clean(str(err))}", "provider", latency_s)

    def _check_hopeless(self, response: "httpx.Response") -> None:
        status, content = response.status_code, response.content
        why = _HOPELESS.get(status)
        if 300 <= status < 400:
            why = "answers with a redirect"
        elif b"insufficient_quota" in content and status == 429:
            why = "has no quota left for this key"
        if why is None:
            return
        key = f"; key from {self._key_env}" if self._key else ""
        told = "" if status == 401 else f": {self._clean(error_of(content))}"
        raise ProviderError(
            f"{self._base_url} {why} (HTTP {status}{key}){told}",
            hint="correct it under `providers` in .llmvc/config.yaml; finished runs are kept",
        )

    def _count_lost(self, err: "httpx.TransportError") -> None:
        self._lost += 1
        if self._lost >= (_DOWN_LATER if self._answered else _DOWN_FIRST):
            raise ProviderError(
                f"no answer from {self._base_url}: {self._clean(str(err)) or type(err).__name__}",
                hint="start the server or correct base_url; finished runs are kept",
            ) from err

    def _pause(self, call: Call, attempt: int) -> float:
        """Returns the back-off; its jitter is drawn from the call, so that it needs no chance."""
        drawn = digest.of_bytes(f"{call.request_digest}/{call.run}/{attempt}".encode())
        jitter = int(digest.hex_of(drawn)[:8], 16) / 2**32
        return min(self._backoff_s * 2.0**attempt * (0.5 + jitter), self._longest_wait_s)

    def _clean(self, text: str) -> str:
        return one_line(text.replace(self._key, "***") if self._key else text)


def _headers(options: Options) -> dict[str, str]:
    value = options.raw("headers")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise options.wrong("headers", "names with texts")
    for name, text in value.items():
        if not isinstance(text, str) or not (name + text).isprintable() or not name.isascii():
            raise options.wrong("headers", "names with texts")
        if name.lower() in _NEVER_SENT:
            raise ConfigError(
                f"provider {options.name!r}: header {name} cannot be set",
                hint="keys come from the variable that api_key_env names",
            )
    return {name: str(text) for name, text in value.items()}


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
    return _is_local(base_url)


def _is_local(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _retry_after(response: "httpx.Response") -> float | None:
    """Returns the seconds that the server asks to wait; None if it does not say so in seconds."""
    value = str(response.headers.get("retry-after", ""))
    return float(value) if value.isascii() and value.replace(".", "", 1).isdigit() else None
