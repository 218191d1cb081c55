"""The model that a bundle moves to: what answers for it, and what that takes of the bundle.

- Nothing is connected and no key is needed: a connection's kind and options tell its API.
- What an API has no place for is asked of the very dialect that would send it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.migration import Finding
from llmvc.errors import ConfigError
from llmvc.evals import shapes
from llmvc.evals.models import Broken, Family, Models, member
from llmvc.evals.providers.dialect import Dialect

LIMIT: Final = "decoding.max_output_tokens"


@dataclass(frozen=True, slots=True)
class Target:
    """What answers for a bundle's model.

    Attributes:
        provider: the connection's name.
        kind: of the connection.
        mode: `app` if it is the application itself.
        listed_as: the provider under whose name the tables list its models.
        names: of the model, the most exact first.
        self_hosted: whether calls cost nothing.
        dialect: how its API is asked; None where nobody knows, or the API is not one of its kind.
        family: what the table says of the model; None if it is not known.
    """

    provider: str
    kind: str
    mode: str
    listed_as: str
    names: tuple[str, ...]
    self_hosted: bool
    dialect: Dialect | None
    family: Family | None

    @classmethod
    def of(
        cls,
        body: Mapping[str, canon.Json],
        kind: str,
        options: Mapping[str, canon.Json],
        *,
        mode: str,
        models: Models,
    ) -> "Target":
        """Reads what a bundle names, through a connection that is not opened.

        Args:
            body: of the bundle.
            kind: of the connection.
            options: of the connection.
            mode: of the connection.
            models: what is known of models.
        """
        model = mapped(body.get("model"))
        provider = str(model.get("provider", ""))
        listed_as = str(options.get("priced_as") or provider)
        names = tuple(str(one) for one in (model.get("snapshot"), model.get("id")) if one)
        return cls(
            provider=provider,
            kind=kind,
            mode=mode,
            listed_as=listed_as,
            names=names,
            self_hosted=options.get("self_hosted") is True,
            dialect=None if mode == "app" else _dialect(kind, options, model.get("api")),
            family=None if mode == "app" else models.find(listed_as, *names),
        )

    @property
    def label(self) -> str:
        """Names the model for people."""
        return "/".join((self.provider, *self.names[:1]))

    def broken(self, body: Mapping[str, canon.Json]) -> tuple[Broken, ...]:
        """Returns the members of a bundle that it does not take, each once, by name."""
        found: dict[str, Broken] = {}
        if self.kind in _APIS and self.mode != "app" and self.dialect is None:
            api = member(body, "model.api")
            found["model.api"] = Broken("model.api", f"kind {self.kind} has no API {api}")
        if self.dialect is not None:
            for one in _left_out(self.dialect, body):
                found[one.name] = one
        for one in self.family.broken(body) if self.family is not None else ():
            found.setdefault(one.name, one)
        return tuple(found[name] for name in sorted(found))

    def shapes(self, body: Mapping[str, canon.Json]) -> Iterator[Finding]:
        """Yields what the API of a known model does not take of tools and response schema."""
        if self.family is None or self.dialect is None:
            return
        yield from shapes.tools(body, self.family.rules)
        last = mapped(next(reversed(listed(body.get("messages"))), None))
        if not self.family.prefill and last.get("role") == "assistant":
            says = f"{self.family.name} does not go on from an answer that the prompt begins"
            yield Finding("messages", "refused", "messages", says)
        strict = self.dialect.path == "/messages"
        yield from shapes.response(body, self.family.rules, always_strict=strict)

    def takes(self) -> frozenset[str]:
        """Returns the parameters of which nobody knows that it does not take them."""
        if self.dialect is None:
            return frozenset()
        family = self.family
        refused = {*family.refuses, *family.rules.get("refuses", ())} if family else set[str]()
        return frozenset(self.dialect.members.values()) - refused

    def spelling(self, name: str) -> str | None:
        """Returns what the API calls a member of a bundle; None if nobody knows."""
        if self.dialect is None:
            return None
        field: str | None = getattr(self.dialect, "max_tokens_field", None)
        if name == LIMIT and field is not None:
            return field
        return next((wire for wire, own in self.dialect.members.items() if own == name), None)

    def unknown(self) -> Iterator[str]:
        """Yields what cannot be checked of a bundle, in words."""
        if self.mode == "app":
            yield f"provider {self.provider} is the application itself: it makes its own requests"
            return
        if self.kind not in _APIS:
            yield f"which parameters provider {self.provider} of kind {self.kind} passes on"
        if self.family is None:
            yield f"what {self.label} takes: it is not in the table of models"
        elif self.kind in _APIS and "tools" not in self.family.rules:
            yield f"the API of {self.label}: the rules for tools and schemas are not known"


def _dialect(kind: str, options: Mapping[str, canon.Json], api: canon.Json) -> Dialect | None:
    """Returns how the API that a bundle names is asked; None if the kind has none of that name."""
    known = _APIS.get(kind, {})
    made = known.get(next(iter(known), "") if api is None else str(api))
    return None if made is None else made(options)


def _chat(options: Mapping[str, Any]) -> Dialect:
    from llmvc.evals.providers.chat import Chat  # noqa: PLC0415 (one API a target)
    from llmvc.evals.providers.openai import HOME  # noqa: PLC0415

    at_home = (options.get("base_url") or HOME.base_url).rstrip("/") == HOME.base_url
    default = "max_completion_tokens" if at_home else "max_tokens"
    return Chat(options.get("max_tokens_field") or default)


def _responses(options: Mapping[str, Any]) -> Dialect:
    from llmvc.evals.providers.responses import Responses  # noqa: PLC0415 (one API a target)

    del options
    return Responses()


def _messages(options: Mapping[str, Any]) -> Dialect:
    from llmvc.evals.providers.messages import Messages  # noqa: PLC0415 (one API a target)

    del options
    return Messages()


_APIS: Final = {
    "openai": {"chat": _chat, "responses": _responses},
    "anthropic": {"messages": _messages},
}


def _left_out(dialect: Dialect, body: Mapping[str, canon.Json]) -> Iterator[Broken]:
    """Yields what an API has no place for, and what it needs and does not get."""
    api = dialect.path.removeprefix("/")
    try:
        names = dialect.unsupported(body)
    except ConfigError:
        # It needs a limit of output tokens: with one, it says the rest.
        if member(body, LIMIT) is not None:
            raise
        yield Broken(LIMIT, f"the {api} API needs it")
        decoding = {**mapped(body.get("decoding")), "max_output_tokens": 1}
        names = dialect.unsupported({**body, "decoding": decoding})
    yield from (Broken(name, f"the {api} API has no place for it") for name in names)
