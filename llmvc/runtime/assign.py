"""Assignments: what one call is served, and why; the rule of buckets is in `core.bucket`."""

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvc.core.canon import Json
    from llmvc.runtime.render import Served
else:
    Served = object  # its text instead would load Python's parser: a sixth of the import

Arm = Literal["baseline", "canary", "pinned"]


class Assignment(NamedTuple):
    """What one call of `resolve` decided; it never changes.

    Attributes:
        name: the bundle's name.
        env: the environment that was asked for.
        arm: `baseline`, `canary`, or `pinned` where a pin decided.
        digest: identity of the bundle served.
        release: digest of the release record that decided: the canary's newest where its share
            decided, for either arm, else the environment's newest. None for a pin.
        seq: that release's number; a pin's own.
        rollout: id of the rollout whose share decided; None where none did.
        pin: text to store with the conversation and to pass back on its next call.
        pinned: whether the pin that was passed decided.
        bundle: what is served.
        unit: as it was passed.
        stale_s: seconds since the source was last known to be read.
    """

    name: str
    env: str
    arm: Arm
    digest: str
    release: str | None
    seq: int
    rollout: str | None
    pin: str
    pinned: bool
    bundle: Served
    unit: str | None
    stale_s: float

    def render(
        self, variables: "Mapping[str, Json]", *, api: str | None = None
    ) -> "dict[str, Json]":
        """Returns the body of a request to the provider; see `Served.render`."""
        return self.bundle.render(variables, api=api)

    def member(self, name: str) -> Served:
        """Returns a member of a set; see `Served.member`."""
        return self.bundle.member(name)
