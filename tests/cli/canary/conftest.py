import pytest

from tests.cli.conftest import cli, stage
from tests.support.canary import WITH_CANARY

__all__ = ["cli", "stage"]


@pytest.fixture
def ready(stage):
    """A bundle that prod serves, a version that passed, and an environment for its canary."""
    repo = stage("measured")
    repo.write(".llmvc/config.yaml", WITH_CANARY)
    repo.save("canary")
    return repo


@pytest.fixture
def opened(ready, cli):
    """The same, with the canary started."""
    cli("canary", "start", "support", "canary")
    return ready
