"""The runtime for asyncio: what may take time is awaited, `resolve` needs no waiting.

async with aio.open("serve") as client:
    assignment = client.resolve("support", unit=conversation)
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from llmvc import runtime
from llmvc.errors import StoreError
from llmvc.runtime.assign import Assignment
from llmvc.runtime.client import Client, Health, Log, OnNoUnit, OnStale

if TYPE_CHECKING:
    from llmvc.runtime.refresh import Heart
    from llmvc.runtime.sources import Source

__all__ = ["AsyncClient", "Options", "open"]

LOOK_S: Final = 0.02
"""How often `wait_for` looks at what is served."""


class Options(TypedDict, total=False):
    """The options of `llmvc.runtime.open`."""

    every_s: float | None
    max_age_s: float | None
    on_stale: OnStale | None
    on_no_unit: OnNoUnit
    fallback: str | os.PathLike[str] | None
    log: Log | None
    heartbeats: "str | os.PathLike[str] | Heart | None"
    on_problem: Callable[[str], None] | None


@asynccontextmanager
async def open(  # noqa: A001 (used as llmvc.runtime.aio.open)
    source: "str | os.PathLike[str] | Source", **options: Unpack[Options]
) -> "AsyncGenerator[AsyncClient, None]":
    """Opens a client without holding up the loop, and closes it in the end.

    Args:
        source: see `llmvc.runtime.open`, which also says what it raises.
        options: those of `llmvc.runtime.open`.
    """
    client = await asyncio.to_thread(runtime.open, source, **options)
    try:
        yield AsyncClient(client)
    finally:
        await asyncio.to_thread(client.close)


class AsyncClient:
    """A client whose slow methods are awaited.

    Attributes:
        client: the one that it asks.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def resolve(
        self, bundle: str, env: str = "prod", unit: str | None = None, pin: str | None = None
    ) -> Assignment:
        """Returns what to serve; see `Client.resolve`. It does no I/O and is not awaited."""
        return self.client.resolve(bundle, env, unit, pin)

    @property
    def health(self) -> Health:
        """How the client is doing."""
        return self.client.health

    async def refresh(self) -> Health:
        """Looks at the source at once and returns how that went."""
        return await asyncio.to_thread(self.client.refresh)

    async def wait_for(
        self, seq: int, bundle: str, env: str = "prod", *, timeout_s: float | None = None
    ) -> None:
        """Returns once an environment's release of this number, or a later one, is served.

        Args:
            seq: the number.
            bundle: the bundle's name.
            env: the environment.
            timeout_s: how long to wait; None for ever.

        Raises:
            StoreError: it did not come in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self.client.health.seqs.get(f"{bundle}/{env}", 0) < seq:  # noqa: ASYNC110 (the thread that swaps knows no loop)
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as err:
            held = self.client.health
            raise StoreError(
                f"{bundle}/{env} is at release {held.seqs.get(f'{bundle}/{env}', 0)}, not {seq}, "
                f"after {timeout_s:g} s",
                hint=held.problem or "",
            ) from err
