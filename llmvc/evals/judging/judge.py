"""A judge: its bundle, what answers its calls, and what it is asked about an output.

- The request of a call depends on the judge, the output and the call's number alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.judge import Rules
from llmvc.evals.judging import fence
from llmvc.evals.judging.grades import Item
from llmvc.evals.plan import Arm
from llmvc.evals.providers.base import Provider

CONNECTION: Final = "connection/1"


@dataclass(frozen=True)
class Judge:
    """A judge bundle and what answers its calls.

    Attributes:
        bundle: of kind `judge`.
        name: the bundle's name, for messages.
        provider: what answers its calls.
        assets: asset path -> text, for jinja2 includes.
        named: the connection's name in the configuration.
    """

    bundle: Bundle
    name: str
    provider: Provider
    assets: Mapping[str, str] = field(default_factory=dict)
    named: str = ""

    @cached_property
    def rules(self) -> Rules:
        """How it judges; reading it raises FormatError if the bundle is no judge."""
        return Rules.of(self.bundle)

    @property
    def family(self) -> str:
        """The training lineage of its model."""
        return self.rules.family

    @property
    def protocol(self) -> str:
        """`pointwise` or `pairwise-swap`."""
        return self.rules.protocol

    @property
    def votes(self) -> int:
        """How often it is asked about one output."""
        return self.rules.votes

    @property
    def grades(self) -> Mapping[str, float]:
        """What it may answer -> score in [0, 1]."""
        return self.rules.grades

    @property
    def calls(self) -> int:
        """How many calls one grade takes, if every reply is in form."""
        return self.votes * (2 if self.rules.pairwise else 1)

    @cached_property
    def arm(self) -> Arm:
        """Its calls as those of an arm, for prices, seeds and the run cache."""
        return Arm("judge", self.bundle, self.provider, self.assets, named=self.named)

    @property
    def connection(self) -> Mapping[str, canon.Json]:
        """What tells its connection and its way of asking from others in the run cache."""
        return {**self.arm.connection, "judging": fence.VERSION}

    @cached_property
    def asked_through(self) -> Digest:
        """The digest of `connection`, as calibrations and checks name it."""
        return digest.of_value({"llmvc": CONNECTION, "connection": self.connection})

    def request(self, item: Item, number: int) -> dict[str, canon.Json]:
        """Returns the canonical request of one call.

        Args:
            item: what is graded.
            number: of the call, from 0; calls for the same item have nonces and seeds of their own.
                Those with even numbers show a pairwise judge the output as A, the others as B.

        Raises:
            FormatError: the messages cannot be rendered with the item's variables.
        """
        texts = (item.output,) if item.other is None else (item.output, item.other)
        shown = texts[::-1] if number % 2 else texts
        return fence.build(
            self.bundle, self.rules, item.vars, shown, number=number, assets=self.assets
        )
