"""What is served: a bundle with its assets and members, and the requests that it makes.

- A request is made by the very functions that an eval uses, so what was measured is what is sent:
  `core.request` fills in and truncates, `core.dialects` spells it for an API.
- Where a bundle drops what does not fit and names a tokenizer, that plugin counts here as well; a
  process without it is refused the request, since it would be another one.
- Only the seed differs: an eval draws one for each call, a service sends the bundle's own.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Final

from llmvc.core import canon, context, digest
from llmvc.core import request as requests
from llmvc.core.bundle import Bundle
from llmvc.core.canon import mapped
from llmvc.core.dialects import chat, messages, responses
from llmvc.core.digest import Digest
from llmvc.errors import NotFoundError, UsageError


@dataclass(frozen=True)
class Served:
    """A bundle, and all that it needs.

    Attributes:
        bundle: its bytes and their digest.
        parts: digest -> bytes of its assets, and of members and theirs.
    """

    bundle: Bundle
    parts: Mapping[Digest, bytes] = field(repr=False, compare=False)

    @classmethod
    def of(cls, bundle: Bundle, parts: Mapping[Digest, bytes]) -> "Served":
        """Returns a bundle to serve."""
        return cls(bundle, MappingProxyType(dict(parts)))

    @property
    def digest(self) -> Digest:
        """The bundle's identity."""
        return self.bundle.digest

    @property
    def needs(self) -> tuple[Digest, ...]:
        """Digests of all that it needs beside itself."""
        return tuple(self.parts)

    @property
    def kind(self) -> str:
        """One of `app`, `judge`, `set`."""
        return self.bundle.kind

    @property
    def body(self) -> Mapping[str, canon.Json]:
        """The bundle's decoded object; do not change it."""
        return self.bundle.body

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The texts of the listed assets by their names; those that are no text are left out."""
        found: dict[str, str] = {}
        for name, wanted in mapped(self.body.get("assets")).items():
            try:
                found[name] = self.parts[digest.parse(wanted)].decode("utf-8")
            except UnicodeDecodeError:
                continue
        return MappingProxyType(found)

    def member(self, name: str) -> "Served":
        """Returns a member of a set.

        Raises:
            UsageError: this is no set.
            NotFoundError: it has no such member.
        """
        if self.kind != "set":
            raise UsageError(
                f"{digest.short(self.digest)} is of kind {self.kind} and has no members"
            )
        members = mapped(self.body.get("members"))
        if name not in members:
            raise NotFoundError(f"the set has no member {name!r}", hint=", ".join(sorted(members)))
        return Served(Bundle(self.parts[digest.parse(members[name])]), self.parts)

    def request(self, variables: Mapping[str, canon.Json]) -> dict[str, canon.Json]:
        """Returns the `request/1` object, which belongs to no provider.

        Args:
            variables: values for the templates; the bundle's own defaults fill gaps.

        Raises:
            FormatError: a variable has no value, or the bundle has no messages.
            ConfigError: what is left out depends on a tokenizer that is not installed.
        """
        limit = context.limit_of(self.bundle)
        counts = limit.policy == "drop_oldest" and limit.tokenizer is not None
        count = _tokenizer(str(limit.tokenizer)) if counts else None
        return requests.build(self.bundle, variables, self.texts, count)

    def render(
        self, variables: Mapping[str, canon.Json], *, api: str | None = None
    ) -> dict[str, canon.Json]:
        """Returns the body of a request to the provider.

        Args:
            variables: values for the templates; the bundle's own defaults fill gaps.
            api: `chat`, `responses` or `messages`; by default what the bundle's `model.api` says,
                else `messages` for the provider `anthropic` and `chat` for any other.

        Returns:
            The body, without `stream`; of a bundle whose provider is `canned` its answer, as
            `{"canned": text}`.

        Raises:
            FormatError: a variable has no value, or the bundle has no messages.
            ConfigError: what is left out depends on a tokenizer that is not installed.
            UsageError: the API is not known.
        """
        request = self.request(variables)
        model = mapped(request.get("model"))
        provider = model.get("provider")
        if provider == requests.CANNED:
            return {"canned": requests.canned(request)}
        chosen = api or model.get("api") or ("messages" if provider == "anthropic" else "chat")
        if not isinstance(chosen, str) or chosen not in APIS:
            raise UsageError(f"unknown API {chosen!r}", hint=", ".join(APIS))
        return APIS[chosen](request)


@lru_cache(maxsize=16)
def _tokenizer(name: str) -> context.Count:
    """Returns the tokenizer of a name, which evals load; few services need one."""
    count: context.Count = importlib.import_module("llmvc.evals.tokenizers").load(name)
    return count


def _chat(request: Mapping[str, canon.Json]) -> dict[str, canon.Json]:
    """Returns the body of a chat completion; OpenAI itself has a name of its own for the limit."""
    at_home = mapped(request.get("model")).get("provider") == "openai"
    field = chat.AT_HOME if at_home else chat.ELSEWHERE
    seed = mapped(request.get("decoding")).get("seed")
    return chat.body(request, seed=seed, max_tokens_field=field)


APIS: Final[Mapping[str, Callable[[Mapping[str, canon.Json]], dict[str, canon.Json]]]] = (
    MappingProxyType({"chat": _chat, "responses": responses.body, "messages": messages.body})
)
"""API -> what makes the body of its requests out of a `request/1` object."""
