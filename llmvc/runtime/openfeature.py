"""A provider for OpenFeature: what `resolve` decides, as a flag.

    api.set_provider(Provider(client))
    flags = api.get_client()
    flags.get_string_value("support/prod", "", EvaluationContext("conversation-42"))

- The flag is `BUNDLE` or `BUNDLE/ENV`; its variant is the arm.
- The targeting key is the unit, and the attribute `llmvc_pin` a pin; the flag's metadata has `pin`
  to store.
- As text its value is the bundle's digest, as an object all of the assignment, as a truth value
  whether the arm is the canary.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from llmvc.errors import LlmvcError, NotFoundError, UsageError
from llmvc.runtime.assign import Assignment
from llmvc.runtime.client import Client

PIN: Final = "llmvc_pin"
T = TypeVar("T")


class Provider(AbstractProvider):
    """Answers OpenFeature from a client; the client stays the caller's to close.

    Args:
        client: what is asked.
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def get_metadata(self) -> Metadata:
        """Returns the provider's name."""
        return Metadata("llmvc")

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Returns the digest of the bundle to serve."""
        found = self._assign(flag_key, evaluation_context)
        if isinstance(found, LlmvcError):
            return _failed(default_value, found)
        return _told(found.digest, found)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 (OpenFeature's)
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Returns whether the unit is in the canary's arm."""
        found = self._assign(flag_key, evaluation_context)
        if isinstance(found, LlmvcError):
            return _failed(default_value, found)
        return _told(found.arm == "canary", found)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Returns arm, digest, release, seq, rollout and pin."""
        found = self._assign(flag_key, evaluation_context)
        if isinstance(found, LlmvcError):
            return _failed(default_value, found)
        value: Mapping[str, FlagValueType] = {
            "arm": found.arm,
            "digest": found.digest,
            "release": found.release or "",
            "seq": found.seq,
            "rollout": found.rollout or "",
            "pin": found.pin,
        }
        return _told(value, found)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Returns the number of the release that decided."""
        found = self._assign(flag_key, evaluation_context)
        if isinstance(found, LlmvcError):
            return _failed(default_value, found)
        return _told(found.seq, found)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Returns the default: no part of an assignment is a fraction."""
        del flag_key, evaluation_context
        return FlagResolutionDetails(
            default_value, ErrorCode.TYPE_MISMATCH, "an assignment holds no fraction", Reason.ERROR
        )

    def _assign(self, flag_key: str, context: EvaluationContext | None) -> Assignment | LlmvcError:
        bundle, _, env = flag_key.partition("/")
        unit = context.targeting_key if context else None
        pin = context.attributes.get(PIN) if context else None
        try:
            return self._client.resolve(
                bundle, env or "prod", unit or None, pin if isinstance(pin, str) else None
            )
        except LlmvcError as err:
            return err


def _told(value: T, found: Assignment) -> FlagResolutionDetails[T]:
    reason = Reason.SPLIT if found.rollout else Reason.STATIC
    metadata: dict[str, bool | int | float | str] = {
        "pin": found.pin,
        "seq": found.seq,
        "digest": found.digest,
    }
    return FlagResolutionDetails(value, reason=reason, variant=found.arm, flag_metadata=metadata)


def _failed(default: T, err: LlmvcError) -> FlagResolutionDetails[T]:
    code = ErrorCode.GENERAL
    if isinstance(err, NotFoundError):
        code = ErrorCode.FLAG_NOT_FOUND
    elif isinstance(err, UsageError):
        code = ErrorCode.TARGETING_KEY_MISSING
    return FlagResolutionDetails(default, code, str(err), Reason.ERROR)
