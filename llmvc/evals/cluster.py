"""Calls made by the workers of a Dask cluster: the only file that loads `distributed`.

- A task is one shard of calls. It makes them with asyncio on its worker, and connects its own
  providers there: no key travels, each worker reads its own environment.
- What a worker loads must be what the driver has: a provider whose identity differs is refused.
- A worker that dies loses its shard at most; the scheduler gives that to another one.
- Scores, money and the ledger stay with the driver.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmvc.core import canon
from llmvc.errors import ConfigError, LlmvcError, ProviderError, UsageError
from llmvc.evals.plan import Arm
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Answer, Call, Provider, one_line

LEAST: Final = 200
"""Calls in a shard, at least: fewer are not worth the way."""

# Rounds of calls in a shard, so that a worker seldom waits for the last of one round.
_ROUNDS: Final = 4
# How long a cluster may take to answer.
_START_S: Final = 60
_START_BY: Final = "distributed.worker.multiprocessing-method"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a worker connects a provider.

    Attributes:
        name: the connection's name.
        kind: of provider.
        options: as the configuration has them.
        mode: `chat`, or `app` for the application itself.
        folder: what its paths start from.
    """

    name: str
    kind: str
    options: Mapping[str, canon.Json]
    mode: str
    folder: Path

    def connect(self) -> Provider:
        """Returns the provider, with the environment of this process."""
        return connect(
            self.name,
            self.kind,
            self.options,
            mode=self.mode,
            folder=self.folder,
            environ=os.environ,
        )


@dataclass(frozen=True, slots=True)
class Shard:
    """What one task has to do.

    Attributes:
        recipes: connection name -> how to connect it.
        identities: connection name -> what the driver's provider is.
        calls: (connection name, call).
        concurrency: calls under way at once.
    """

    recipes: Mapping[str, Recipe]
    identities: Mapping[str, bytes]
    calls: tuple[tuple[str, Call], ...]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Done:
    """What a task brought: one object, for Dask would send the items of a list one by one.

    Attributes:
        answers: in the order of the calls.
    """

    answers: tuple[Answer, ...]


class Cluster:
    """A cluster that makes calls; started when it is first needed.

    Args:
        where: `dask` for workers on this machine, or `dask://HOST:PORT` of a scheduler.
        recipes: connection name -> how workers connect it.
        concurrency: calls under way at once, over all workers.

    Raises:
        UsageError: `where` is neither.
        ConfigError: the extra is not installed.
    """

    def __init__(self, where: str, recipes: Mapping[str, Recipe], *, concurrency: int) -> None:
        place, _, address = where.partition("://")
        if place != "dask" or (where != "dask" and not address):
            raise UsageError(f"--on {where} is no cluster", hint="dask, or dask://HOST:PORT")
        try:
            import distributed  # noqa: PLC0415 (an extra)
        except ImportError as err:
            raise ConfigError(
                "--on dask needs the package distributed",
                hint="pip install 'llmvc[cluster]'",
            ) from err
        self._dask: Any = distributed
        self._address = f"tcp://{address}" if address else None
        self._recipes = recipes
        self._concurrency = concurrency
        self._identities: dict[str, bytes] = {}
        self._local: Any = None
        self._client: Any = None
        self._workers = 1

    @property
    def size(self) -> int:
        """How many calls a shard has."""
        return max(LEAST, _ROUNDS * self._each)

    @property
    def _each(self) -> int:
        """How many calls a worker has under way."""
        return max(1, -(-self._concurrency // self._workers))

    async def start(self) -> int:
        """Connects; returns how many shards to have under way, so that no worker waits for one.

        Raises:
            ProviderError: there is no scheduler, or it has no workers.
        """
        if self._client is None:
            try:
                await asyncio.wait_for(self._connect(), _START_S)
            except (OSError, TimeoutError) as err:
                raise ProviderError(
                    f"no Dask cluster answers at {self._address or 'this machine'}",
                    hint="start one: dask scheduler, and dask worker HOST:PORT",
                ) from err
        return 2 * self._workers

    async def _connect(self) -> None:
        address: Any = self._address
        if address is None:
            # Workers that fork from one process which has loaded Dask are sooner there, and gone.
            with self._dask.dask.config.set({_START_BY: "forkserver"}):
                # A worker is one thread: calls wait in its event loop, functions keep it busy.
                self._local = await self._dask.LocalCluster(
                    n_workers=max(1, os.cpu_count() or 1),
                    threads_per_worker=1,
                    asynchronous=True,
                    dashboard_address=None,
                    silence_logs=50,
                )
            address = self._local
        else:
            # Dask tries for long, and leaves half a client behind, where nobody listens.
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await writer.wait_closed()
        self._client = await self._dask.Client(address, asynchronous=True)
        await self._client.wait_for_workers(1)
        threads = await self._client.nthreads()
        self._workers = sum(threads.values())

    async def answer(self, calls: Sequence[tuple[Arm, Call]]) -> tuple[Answer, ...]:
        """Has one worker make the calls of a shard.

        Raises:
            ProviderError: no call can succeed there, workers die of it, or the cluster is gone.
        """
        for arm, _ in calls:
            if arm.named not in self._identities:
                self._identities[arm.named] = identity_of(arm.provider)
        shard = Shard(
            {name: self._recipes[name] for name in self._identities},
            dict(self._identities),
            tuple((arm.named, call) for arm, call in calls),
            self._each,
        )
        future = self._client.submit(answer_all, shard, pure=False, retries=0)
        try:
            done: Done = await future
        except self._dask.KilledWorker as err:
            raise ProviderError(
                "one worker after another died of the same shard of calls",
                hint="finished shards are kept: look at the workers' own output",
            ) from err
        except LlmvcError:
            raise
        except Exception as err:  # it may be the scheduler that is gone, or a worker without llmvc
            raise ProviderError(
                one_line(f"the Dask cluster failed: {type(err).__name__}: {err}"),
                hint="finished shards are kept: give its workers the same llmvc and the same "
                "files as here, and run the eval again",
            ) from err
        finally:
            future.release()
        return done.answers

    async def aclose(self) -> None:
        """Lets go of the cluster; one on this machine ends."""
        for held in (self._client, self._local):
            if held is not None:
                await held.close()
        self._client = self._local = None


def identity_of(provider: Provider) -> bytes:
    """Returns what must be the same on a worker."""
    return canon.encode(dict(provider.identity()))


def answer_all(shard: Shard) -> Done:
    """Makes the calls of a shard, on a worker.

    Raises:
        ProviderError: a provider is not what the driver has, or no call can succeed.
    """
    # What the user's own code prints must not end up among the data on standard output.
    with redirect_stdout(sys.stderr):
        return asyncio.run(_answer_all(shard))


async def _answer_all(shard: Shard) -> Done:
    needed = {name: shard.recipes[name] for name, _ in shard.calls}
    try:
        providers = {name: recipe.connect() for name, recipe in needed.items()}
    except LlmvcError as err:
        # The driver has it all: a key that is not set there is not set on the worker.
        raise ProviderError(f"on a worker, {err}", hint=err.hint) from err
    for name, provider in providers.items():
        if identity_of(provider) != shard.identities[name]:
            raise ProviderError(
                f"provider {name!r} of a worker is not what it is here",
                hint="give the workers the same files as this folder has",
            )
    answers: list[Answer | None] = [None] * len(shard.calls)
    left = iter(enumerate(shard.calls))

    async def work() -> None:
        for at, (name, call) in left:
            answers[at] = await providers[name].answer(call)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(shard.concurrency, len(shard.calls))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for provider in providers.values():
            await provider.aclose()
    return Done(tuple(answer for answer in answers if answer is not None))
