"""Both ends of a migration: the bundles, what answers for them, and what the tables know of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmvc.app import connecting
from llmvc.app.migrating import facts
from llmvc.app.revisions import Resolved
from llmvc.core import canon, context
from llmvc.core.bundle import Bundle
from llmvc.core.metric import number
from llmvc.core.migration import Known
from llmvc.errors import ConfigError
from llmvc.evals.models import Broken, member
from llmvc.evals.models import Models as Table
from llmvc.evals.prices import Prices
from llmvc.evals.target import LIMIT, Target

if TYPE_CHECKING:
    from llmvc.files.config import Config

_WINDOW: Final = "context.window"


@dataclass(frozen=True)
class Sides:
    """Both ends of a migration, and what is known of their models.

    Attributes:
        old: what is served, else the manifest as it was.
        written: the manifest as it was.
        new: the candidate.
        before: what answers for the old one; None if it lost its connection.
        after: what answers for the new one.
        models: the table of models.
        prices: the table of prices.
    """

    old: Resolved
    written: Bundle
    new: Resolved
    before: Target | None
    after: Target
    models: Table
    prices: Prices

    @classmethod
    def of(
        cls, config: "Config", root: Path, old: Resolved, written: Bundle, new: Resolved
    ) -> "Sides":
        """Reads both tables, and what answers for both bundles.

        Raises:
            ConfigError: the new one's connection is not configured, or a table cannot be read.
            FormatError: a table is no such table.
        """
        models = Table.load(root / config.models if config.models else None)
        prices = Prices.load(root / config.prices if config.prices else None)
        after = _target(config, new, models)
        try:
            before = _target(config, old, models)
        except ConfigError:  # what was served may have lost its connection since
            before = None
        return cls(old, written, new, before, after, models, prices)

    def listed(self, field: str) -> canon.Json:
        """Returns what the price table has of the target; None if nothing."""
        return self.prices.listed(field, self.after.listed_as, *self.after.names)

    def broken(self, body: Mapping[str, canon.Json]) -> dict[str, Broken]:
        """Returns what the target does not take of a bundle, its window and limit included."""
        found = {one.name: one for one in self.after.broken(body)}
        given, written = map(number, map(self.listed, ("max_input_tokens", "max_output_tokens")))
        # Some tables count the output into the window, others do not.
        window = given + (written or 0) if given else None
        for name, most in ((_WINDOW, window), (LIMIT, written)):
            own = number(member(body, name))
            if own is not None and most and own > most and self.after.mode != "app":
                says = f"{self.after.label} has {most:,.0f} at most by the price table"
                found.setdefault(name, Broken(name, says))
        return found

    def unknown(self) -> Iterator[str]:
        """Yields what cannot be told of the target, in words."""
        after = self.after
        yield from after.unknown()
        if after.mode == "app":
            return
        if context.limit_of(self.new.bundle).window is None and not self.listed("max_input_tokens"):
            says = "neither the bundle nor the price table says"
            yield f"the context window of {after.label}: {says}"
        if facts.price_of(self.new.bundle, after, self.prices) is None:
            yield f"the price of {after.label}: it is not in the price table"

    @property
    def known(self) -> Known:
        """Where what the target takes is known from."""
        family = self.after.family
        name, dated = (family.name, family.source_date) if family else (None, "")
        return Known(self.models.digest, name, dated)


def _target(config: "Config", found: Resolved, models: Table) -> Target:
    named = connecting.provider_name(found.bundle, found.name)
    one = connecting.connection(config, named)
    return Target.of(found.bundle.body, one.kind, one.options, mode=one.mode, models=models)
