"""Carrying the store and the environments to and from a remote: the door to this part."""

from llmvc.store.behind import Behind, behind
from llmvc.store.exchange import (
    ABSENT,
    CURRENT,
    PUSHED,
    REFUSED,
    Diverged,
    FetchResult,
    Moved,
    Notice,
    PushOutcome,
    PushResult,
)
from llmvc.store.fetching import fetch
from llmvc.store.pushing import push, push_env
from llmvc.store.tracking import drop, setup_remote

__all__ = [
    "ABSENT",
    "CURRENT",
    "PUSHED",
    "REFUSED",
    "Behind",
    "Diverged",
    "FetchResult",
    "Moved",
    "Notice",
    "PushOutcome",
    "PushResult",
    "behind",
    "drop",
    "fetch",
    "push",
    "push_env",
    "setup_remote",
]
