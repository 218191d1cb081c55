"""Sends conversations to the service and says whether any failed or changed its bundle.

    python load.py http://127.0.0.1:8000 --seconds 10

One line of JSON comes out: requests, failures, conversations by bundle, those that changed.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

TEXTS = (
    "My card was charged twice, I want a refund.",
    "The courier never came with my parcel.",
    "The lamp blinks red since the update.",
)


@dataclass
class Seen:
    """What the conversations met."""

    requests: int = 0
    failures: list[str] = field(default_factory=list[str])
    bundles: Counter[str] = field(default_factory=Counter[str])
    changed: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])


async def talk(client: httpx.AsyncClient, name: str, turns: int, seen: Seen) -> None:
    """Plays one conversation, which sends back the pin that it was given."""
    pin, digest = None, None
    for turn in range(turns):
        ticket = {"conversation": name, "text": TEXTS[turn % len(TEXTS)], "pin": pin}
        seen.requests += 1
        try:
            response = await client.post("/answer", json=ticket)
            response.raise_for_status()
        except httpx.HTTPError as err:
            seen.failures.append(f"{name}: {err!r}")
            continue
        told = response.json()
        if digest is None:
            seen.bundles[told["digest"]] += 1
        elif told["digest"] != digest:
            seen.changed.append((name, digest, told["digest"]))
        pin, digest = told["pin"], told["digest"]


async def load(url: str, *, seconds: float, at_once: int, turns: int, prefix: str) -> Seen:
    """Keeps some conversations going until the time is up; each is then finished."""
    seen, end, numbers = Seen(), time.monotonic() + seconds, iter(range(10**9))

    async def caller(client: httpx.AsyncClient) -> None:
        while time.monotonic() < end:
            await talk(client, f"{prefix}-{next(numbers)}", turns, seen)

    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        await asyncio.gather(*(caller(client) for _ in range(at_once)))
    return seen


def main() -> None:
    """Runs it from a command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--prefix", default="c")
    given = parser.parse_args()
    seen = asyncio.run(
        load(
            given.url,
            seconds=given.seconds,
            at_once=given.at_once,
            turns=given.turns,
            prefix=given.prefix,
        )
    )
    print(json.dumps(vars(seen)))


if __name__ == "__main__":
    main()
