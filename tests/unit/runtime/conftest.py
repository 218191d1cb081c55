"""Clients over worlds that exist in memory only."""

from collections.abc import Callable, Iterator

import pytest

from llmvc import runtime
from llmvc.runtime import Client
from tests.support.snapshots import World


@pytest.fixture
def opened() -> Iterator[Callable[..., Client]]:
    """Opens clients that look only when they are told to, and closes them in the end."""
    clients: list[Client] = []

    def open_one(world: World, **options: object) -> Client:
        clients.append(runtime.open(world, **{"every_s": 3600, **options}))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()
