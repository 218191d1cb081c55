"""Policies: what an environment demands of a release."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest

TYPE: Final = "policy/1"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one environment.

    Attributes:
        source_branch: a release must come from a commit on this branch; None for any.
        allow_inconclusive: whether `--accept-inconclusive` may be used.
    """

    source_branch: str | None = None
    allow_inconclusive: bool = True

    @classmethod
    def from_dict(cls, values: Mapping[str, canon.Json]) -> "Policy":
        """Reads the environment's entry of the configuration, or a stored policy."""
        branch = values.get("source_branch")
        return cls(
            str(branch) if branch is not None else None,
            bool(values.get("allow_inconclusive", True)),
        )

    def to_bytes(self) -> bytes:
        """Returns the canonical `policy/1` bytes."""
        return canon.encode(
            {
                "llmvc": TYPE,
                "source_branch": self.source_branch,
                "allow_inconclusive": self.allow_inconclusive,
                "signatures": None,
                "canary_of": None,
            }
        )

    @property
    def digest(self) -> Digest:
        """The policy's identity."""
        return digest.of_bytes(self.to_bytes())
