"""A provider behind HTTP: it chooses the API that the bundle names, asks, and notes what is odd."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.canon import mapped
from llmvc.core.dialects.shared import model_of
from llmvc.errors import ConfigError
from llmvc.evals.providers import traps
from llmvc.evals.providers.base import Answer, Call, Mode, count
from llmvc.evals.providers.dialect import Dialect
from llmvc.evals.providers.endpoint import Endpoint, Home
from llmvc.evals.providers.http import Http, Question
from llmvc.evals.providers.options import Options
from llmvc.evals.providers.pace import Pace

BYTES_PER_TOKEN: Final = 3
_LOOK_S: Final = 2.0


class Remote:
    """Answers by asking an HTTP endpoint.

    Args:
        kind: of the provider.
        options: of the connection.
        home: where the kind is at home.
        environ: where the key is looked up.
        dialects: the APIs that the kind has, by what `model.api` calls them; the first is meant
            where a bundle names none.
        spelling: what beside the address decides how requests are spelt.
    """

    mode: Mode = "chat"

    def __init__(
        self,
        kind: str,
        options: Options,
        *,
        home: Home,
        environ: Mapping[str, str],
        dialects: Mapping[str, Dialect],
        spelling: Mapping[str, canon.Json],
    ) -> None:
        self.kind = kind
        self.priced_as = options.text("priced_as")
        self.self_hosted = options.flag("self_hosted")
        self._endpoint = Endpoint.of(options, home, environ)
        self._dialects = dict(dialects)
        self._spelling = spelling
        pace = Pace(
            requests_per_minute=options.above_zero("requests_per_minute"),
            tokens_per_minute=options.above_zero("tokens_per_minute"),
        )
        self._http = Http(self._endpoint, pace)
        self._doubts: dict[canon.Json, tuple[str, ...]] = {}

    def identity(self) -> Mapping[str, canon.Json]:
        """Returns the endpoint, and how requests are spelt for it."""
        own, address = self._endpoint.own, self._endpoint.base_url
        told: dict[str, canon.Json] = {"stream": True} if self._endpoint.stream else {}
        if own is not None:
            told["headers"] = own
        return {"kind": self.kind, "base_url": address, **self._spelling, **told}

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns the members of a bundle that the API it names has no place for.

        Raises:
            ConfigError: the bundle lacks a member that the API needs.
        """
        dialect = self._dialect(body)
        return ("model.api",) if dialect is None else dialect.unsupported(body)

    async def answer(self, call: Call) -> Answer:
        """Asks the endpoint.

        Raises:
            ConfigError: the bundle names an API that this kind does not have.
            ProviderError: the key is refused, or nothing is there to answer.
        """
        dialect = self._dialect(call.request)
        if dialect is None:
            raise ConfigError(f"kind {self.kind} does not have the API that the bundle names")
        streamed = dialect.streamed() if self._endpoint.stream else {}
        content = canon.encode({**dialect.body(call), **streamed})
        most = count(mapped(call.request.get("decoding")).get("max_output_tokens")) or 0
        answer = await self._http.ask(
            Question(
                dialect=dialect,
                content=content,
                tokens=len(content) // BYTES_PER_TOKEN + most,
                mark=f"{call.request_digest}/{call.run}",
            )
        )
        if answer.output is None:
            return answer
        doubts = await self._look(call)
        return replace(answer, notes=(*answer.notes, *traps.notes(call.request, answer), *doubts))

    async def aclose(self) -> None:
        """Closes the connections; the next answer opens them again."""
        await self._http.aclose()

    def _dialect(self, body: Mapping[str, canon.Json]) -> Dialect | None:
        named = mapped(body.get("model")).get("api")
        return self._dialects.get(next(iter(self._dialects)) if named is None else str(named))

    async def _look(self, call: Call) -> tuple[str, ...]:
        """Returns what a server on this machine says of itself; it is asked once a model."""
        if not self._endpoint.local:
            return ()
        asked, tools = str(model_of(call.request)), bool(call.request.get("tools"))
        key = digest.of_value([asked, tools])
        if key not in self._doubts:
            self._doubts[key] = ()  # calls under way meanwhile do not ask again
            models = await self._http.get("/models", _LOOK_S)
            root = self._endpoint.base_url.removesuffix("/v1")
            props = await self._http.get(f"{root}/props", _LOOK_S) if tools else None
            self._doubts[key] = tuple(traps.of_server(asked, models, props, tools=tools))
        return self._doubts[key]
