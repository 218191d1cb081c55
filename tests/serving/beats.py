"""Heartbeats for tests."""

import os

from llmvc.places import put
from llmvc.runtime.fleet import stand
from llmvc.runtime.heart import Beat, Serves, file_of

NAME = "support/prod"


def beats(top):
    """Returns the heartbeats in a folder as they were written."""
    paths = sorted((top / "fleet").glob("*.json"))
    return tuple(Beat.from_bytes(path.read_bytes()) for path in paths)


def written(top, beat, at):
    """Writes a heartbeat as if at a time of the place's clock."""
    path = top / "fleet" / file_of(beat.process)
    put(path, beat.to_bytes())
    os.utime(path, (at, at))


def served_at(seq, since=100.0, release=""):
    return {NAME: Serves(seq, release or f"release {seq}", since)}


def beat(process="host-1-1", seq=3, **more):
    return Beat(
        **{
            "process": process,
            "host": "elsewhere",
            "pid": 1,
            "namespace": None,
            "start": None,
            "sdk": "test",
            "releases": served_at(seq),
            "time": 100.0,
            "every_s": 10.0,
            "stale_s": None,
            **more,
        }
    )


def stands(*found, now=110.0, **more):
    return stand(found, "support", "prod", (3, "release 3"), now=now, **more)
