"""Questions over HTTP, asked again where that may help.

- What may succeed later is tried again, a bounded number of times: 408, 409, 425, 5xx, time-outs,
  lost connections, half answers. `x-should-retry` has the last word.
- An endpoint that says that it is overloaded (429, 503, 529) is asked again for as long as patience
  lasts, never faster than it asks for, and by fewer calls at once. If it answers none in that time,
  the eval ends; finished runs are kept.
- What cannot succeed for any call ends the eval at once. A request that the endpoint refuses as
  such (400, 413, 422) is the bundle's failure, unless it is a parameter that is not taken.
- Latency is that of the exchange that brought the answer: no pause and no other try counts.
- A request that was sent in full and lost its answer may have been charged; a note says so.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from time import perf_counter
from typing import TYPE_CHECKING, Final

from llmvc.core import canon, digest
from llmvc.core.canon import mapped
from llmvc.errors import FormatError, ProviderError
from llmvc.evals.providers.base import Answer, failed, storable
from llmvc.evals.providers.dialect import Dialect
from llmvc.evals.providers.endpoint import Endpoint
from llmvc.evals.providers.lanes import Lanes
from llmvc.evals.providers.pace import Pace
from llmvc.evals.providers.reading import need
from llmvc.evals.providers.refusals import Refusal, refusal_of
from llmvc.evals.providers.streams import END, Events

if TYPE_CHECKING:
    import httpx

_AGAIN: Final = frozenset({408, 409, 425, 429})
_SENT: Final = "send_request_body.complete"
_ERRORS: Final = ("error", "response.failed")

# Connections that fail in a row before the endpoint counts as down: at once if it never answered.
_DOWN_FIRST: Final = 3
_DOWN_LATER: Final = 24


@dataclass(frozen=True, slots=True)
class Question:
    """One call as an endpoint gets it.

    Attributes:
        dialect: the API that it is for.
        content: the body, canonical.
        tokens: about how many it takes, in and out.
        mark: what its pauses are drawn from.
    """

    dialect: Dialect
    content: bytes
    tokens: int
    mark: str


@dataclass(frozen=True, slots=True)
class _Missed:
    """A try that brought no answer, but may be made again.

    Attributes:
        problem: what happened.
        busy: whether the endpoint is overloaded.
        asked_s: how long it asks to wait; None if it does not say.
        final: whether it says that trying again is of no use.
        lost: whether the request was sent in full.
    """

    problem: str
    busy: bool = False
    asked_s: float | None = None
    final: bool = False
    lost: bool = False


@dataclass(slots=True)
class _Progress:
    """How far one exchange came; httpcore calls it at every step."""

    sent: bool = False
    ttft_s: float | None = None

    async def __call__(self, event: str, _: Mapping[str, object]) -> None:
        self.sent = self.sent or event.endswith(_SENT)


class _Cut(Exception):  # noqa: N818 (never leaves this module)
    """A stream that ended before its answer, or with an error."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        super().__init__()
        self.refusal = refusal


class Http:
    """Asks one endpoint."""

    def __init__(
        self, endpoint: Endpoint, pace: Pace, *, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._endpoint = endpoint
        self._pace = pace
        self._clock = clock
        self._lanes = Lanes(endpoint)
        self._answered = False
        self._lost = 0
        self._busy_since: float | None = None

    async def aclose(self) -> None:
        """Closes the connections; the next question opens them again."""
        await self._lanes.aclose()

    async def ask(self, question: Question) -> Answer:
        """Asks until there is an answer, or no hope of one.

        Raises:
            ProviderError: no question can be answered.
        """
        tries = stays = lost = 0
        waited_s = 0.0
        while True:
            missed = await self._try(question)
            if isinstance(missed, Answer):
                return replace(missed, notes=(*missed.notes, *_charged(lost)))
            lost += missed.lost
            tries, stays = tries + (not missed.busy), stays + missed.busy
            wait_s = self._pause(question, stays if missed.busy else tries)
            if missed.asked_s:  # a server that asks for no time to speak of gets the first pause
                wait_s = max(missed.asked_s, self._pause(question, 1))
            waited_s += wait_s * missed.busy
            why = None
            if missed.final:
                why = missed.problem
            elif tries >= self._endpoint.tries:
                why = f"{missed.problem} ({tries} tries)"
            elif wait_s > self._endpoint.longest_wait_s:
                why = f"{missed.problem}; asked to wait {wait_s:g} s"
            elif waited_s > self._endpoint.patience_s:
                why = f"{missed.problem} (asked {stays} times)"
            if why is not None:
                return failed(why, "provider", notes=_charged(lost))
            if missed.busy:
                self._pace.hold(wait_s)
            else:
                await asyncio.sleep(wait_s)

    async def get(self, path: str, timeout_s: float) -> canon.Json:
        """Returns what stands at another path; None if nothing usable does.

        Args:
            path: from the address on, or a whole address.
            timeout_s: for the whole exchange.
        """
        import httpx  # noqa: PLC0415 (an eval without a network never loads it)

        url = path if "://" in path else self._endpoint.base_url + path
        try:
            async with asyncio.timeout(timeout_s), self._lanes.lane() as client:
                response = await client.get(url)
            return canon.decode(response.content) if response.status_code == 200 else None
        except (httpx.HTTPError, TimeoutError, FormatError):
            return None

    async def _try(self, question: Question) -> Answer | _Missed:
        """Makes one try in its turn."""
        entered = await self._pace.enter(question.tokens)
        came: Answer | _Missed = _Missed("no answer")
        try:
            came = await self._exchange(question)
        finally:
            answered = isinstance(came, Answer)
            taken = _tokens(came) if isinstance(came, Answer) else None
            self._pace.leave(
                entered,
                busy=not isinstance(came, Answer) and came.busy,
                answered=answered,
                more_tokens=0 if taken is None else taken - question.tokens,
            )
        return came

    async def _exchange(self, question: Question) -> Answer | _Missed:
        import httpx  # noqa: PLC0415

        progress = _Progress()
        started = perf_counter()
        try:
            response, body = await self._post(question, progress, started)
            latency_s = perf_counter() - started
            self._answered, self._lost = True, 0
            if response.status_code != 200:
                refusal = refusal_of(response.status_code, response.content)
                return self._refused(refusal, response.headers, question, latency_s)
            self._busy_since = None
            body = need(canon.decode(response.content), "an answer") if body is None else body
            answer = question.dialect.read(body)
            return storable(replace(answer, latency_s=latency_s, ttft_s=progress.ttft_s))
        except _Cut as cut:
            if cut.refusal is None:
                return _Missed("the stream ended before the answer", lost=True)
            missed = self._refused(cut.refusal, {}, question, perf_counter() - started)
            begun = progress.ttft_s is not None
            return replace(missed, lost=begun) if isinstance(missed, _Missed) else missed
        except (httpx.DecodingError, FormatError) as err:
            told = self._endpoint.clean(str(err))
            return failed(f"malformed answer: {told}", "provider", perf_counter() - started)
        except httpx.TransportError as err:
            return self._unheard(err, lost=progress.sent)

    async def _post(
        self, question: Question, progress: _Progress, started: float
    ) -> tuple["httpx.Response", Mapping[str, canon.Json] | None]:
        """Returns the response, and its body if that came as a stream."""
        import httpx  # noqa: PLC0415

        url = self._endpoint.base_url + question.dialect.path
        # One limit for the whole exchange: httpx's own counts from one received byte to the next.
        try:
            async with (
                asyncio.timeout(self._endpoint.timeout_s),
                self._lanes.lane() as client,
                client.stream(
                    "POST", url, content=question.content, extensions={"trace": progress}
                ) as response,
            ):
                kind = str(response.headers.get("content-type", ""))
                if response.status_code == 200 and kind.startswith("text/event-stream"):
                    return response, await _streamed(response, question, progress, started)
                await response.aread()
                return response, None
        except TimeoutError as err:
            raise httpx.ReadTimeout("the answer took too long") from err

    def _refused(
        self, refusal: Refusal, headers: Mapping[str, str], question: Question, latency_s: float
    ) -> Answer | _Missed:
        """Returns what a refusal means for the call.

        Raises:
            ProviderError: no call can succeed.
        """
        told = self._endpoint.clean(refusal.message)
        problem = f"HTTP {refusal.status}: {told}" if refusal.status != 200 else told
        self._check_hopeless(refusal, question.dialect)
        self._busy_since = self._patient(problem) if refusal.busy else None
        retry = headers.get("x-should-retry")
        passing = refusal.status in _AGAIN or refusal.status >= 500 or refusal.status == 200
        if retry == "true" or passing:
            return _Missed(problem, refusal.busy, _asked_s(headers), final=retry == "false")
        if refusal.too_long:
            problem = f"HTTP {refusal.status}: too long for the model's context: {told}"
        return failed(problem, "application", latency_s)

    def _check_hopeless(self, refusal: Refusal, dialect: Dialect) -> None:
        told = self._endpoint.clean(refusal.message)
        parameter = None if refusal.too_long else refusal.parameter
        if parameter is not None:
            member = dialect.members.get(parameter)
            beside = f", which is {member} in the bundle" if member else ""
            renamed = "max_completion_tokens" in told and parameter == "max_tokens"
            raise ProviderError(
                f"{self._endpoint.base_url} does not take {self._endpoint.clean(parameter)}{beside}"
                f" (HTTP {refusal.status}): {told}",
                hint="write max_tokens_field: max_completion_tokens under its provider"
                if renamed
                else "remove it from the manifest, or choose another model; finished runs are kept",
            )
        if refusal.hopeless is not None:
            key = f"; key from {self._endpoint.key_env}" if self._endpoint.key else ""
            raise ProviderError(
                f"{self._endpoint.base_url} {refusal.hopeless} (HTTP {refusal.status}{key})"
                f"{'' if refusal.status == 401 else f': {told}'}",
                hint="correct it under `providers` in .llmvc/config.yaml; finished runs are kept",
            )

    def _patient(self, problem: str) -> float:
        """Returns since when the endpoint has answered no call.

        Raises:
            ProviderError: patience is over.
        """
        now = self._clock()
        since = now if self._busy_since is None else self._busy_since
        if now - since > self._endpoint.patience_s:
            raise ProviderError(
                f"{self._endpoint.base_url} has answered no call for {now - since:.0f} s: "
                f"{problem}",
                hint="finished runs are kept: run the eval again later, or set requests_per_minute "
                "or tokens_per_minute under its provider",
            )
        return since

    def _unheard(self, err: "httpx.TransportError", *, lost: bool) -> _Missed:
        """Returns what it means that nothing, or not all, came back.

        Raises:
            ProviderError: nobody is there.
        """
        import httpx  # noqa: PLC0415

        if isinstance(err, httpx.TimeoutException):
            limit = f"{self._endpoint.timeout_s:g} s"
            return _Missed(f"no answer within {limit} ({type(err).__name__})", lost=lost)
        told = self._endpoint.clean(str(err))
        self._lost += 1
        if self._lost >= (_DOWN_LATER if self._answered else _DOWN_FIRST):
            raise ProviderError(
                f"no answer from {self._endpoint.base_url}: {told or type(err).__name__}",
                hint="start the server or correct base_url; finished runs are kept",
            ) from err
        return _Missed(f"connection failed: {type(err).__name__}: {told}", lost=lost)

    def _pause(self, question: Question, attempt: int) -> float:
        """Returns the back-off; its jitter is drawn from the call, so that it needs no chance."""
        drawn = digest.of_bytes(f"{question.mark}/{attempt}".encode())
        jitter = int(digest.hex_of(drawn)[:8], 16) / 2**32
        longest = self._endpoint.longest_wait_s
        return min(self._endpoint.backoff_s * 2.0 ** min(attempt - 1, 30) * (0.5 + jitter), longest)


async def _streamed(
    response: "httpx.Response", question: Question, progress: _Progress, started: float
) -> Mapping[str, canon.Json]:
    """Puts a stream together.

    Raises:
        FormatError: an event is malformed.
        _Cut: it ended too early, or with an error.
    """
    events, whole = Events(), question.dialect.whole()
    async for chunk in response.aiter_bytes():
        for data in events.feed(chunk):
            if data == END:
                whole.finish()
                continue
            event = need(canon.decode(data), "an event")
            if event.get("type") in _ERRORS or event.get("error") is not None:
                inner = mapped(event.get("response")) or event
                raise _Cut(refusal_of(200, canon.encode(inner)))
            if whole.add(event) and progress.ttft_s is None:
                progress.ttft_s = perf_counter() - started
    if not whole.done:
        raise _Cut
    return whole.body()


def _asked_s(headers: Mapping[str, str]) -> float | None:
    """Returns how long the server asks to wait; None if it does not say.

    A date counts from the server's own clock, so that it does not matter how ours is set.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if value.isascii() and value.replace(".", "", 1).isdigit():
            return float(value) / unit
    try:
        until, now = (parsedate_to_datetime(headers.get(n, "")) for n in ("retry-after", "date"))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _tokens(answer: Answer) -> int | None:
    """Returns how many tokens a call took: none if it was refused; None if nobody says."""
    if answer.fault == "application":
        return 0
    counts = (answer.input_tokens, answer.output_tokens)
    return None if counts == (None, None) else sum(number or 0 for number in counts)


def _charged(lost: int) -> tuple[str, ...]:
    """Returns what is known of tries that may stand on the bill."""
    if not lost:
        return ()
    return ("a request was sent in full and lost its answer: it may have been charged",)
