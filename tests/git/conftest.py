"""A bare remote and two clones of it, for everything that travels."""

import pytest

from tests.store.build import clone, make, opened


@pytest.fixture
def world(tmp_path):
    """A bare remote, and two clones of it, opened."""
    make(tmp_path)
    origin = clone(tmp_path / "plain", tmp_path / "origin.git", "--bare")
    here, there = (clone(origin, tmp_path / name) for name in ("here", "there"))
    with opened(here) as ours, opened(there) as theirs:
        yield origin, ours, theirs
