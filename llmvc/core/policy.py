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
        safe: the version that `rollback --to safe` serves; None for none.
        canary_of: the environment that canaries here stand beside; None for any other environment.
    """

    source_branch: str | None = None
    allow_inconclusive: bool = True
    safe: Digest | None = None
    canary_of: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, canon.Json]) -> "Policy":
        """Reads the members of a stored policy."""
        branch, safe, of = (values.get(name) for name in ("source_branch", "safe", "canary_of"))
        return cls(
            str(branch) if branch is not None else None,
            bool(values.get("allow_inconclusive", True)),
            digest.parse(safe) if safe is not None else None,
            str(of) if of is not None else None,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Policy":
        """Reads a stored policy.

        Raises:
            FormatError: the bytes are none.
        """
        return cls.from_dict(canon.decode_object(data, TYPE))

    def to_bytes(self) -> bytes:
        """Returns the canonical `policy/1` bytes.

        `safe` came later and stands there only where there is one: older policies keep their bytes.
        """
        safe: dict[str, canon.Json] = {} if self.safe is None else {"safe": self.safe}
        return canon.encode(
            {
                "llmvc": TYPE,
                "source_branch": self.source_branch,
                "allow_inconclusive": self.allow_inconclusive,
                "signatures": None,
                "canary_of": self.canary_of,
                **safe,
            }
        )

    @property
    def digest(self) -> Digest:
        """The policy's identity."""
        return digest.of_bytes(self.to_bytes())
