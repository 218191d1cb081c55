"""How often an agent looks, and what it lets be for a while."""

from llmvc.errors import StoreError
from tests.serving.build import seqs
from tests.serving.test_agent import checked, watch
from tests.support.snapshots import simple

__all__ = ["watch"]


def test_pauses_differ_between_machines_and_grow_with_failures(source, tmp_path, watch):
    agent = watch.agent(source, tmp_path / "served", every_s=2.0)
    pauses = []
    for watch.chance in (0.0, 0.999):
        agent.look()
        pauses.append(agent.pause())
    assert (round(pauses[0], 2), round(pauses[1], 2)) == (1.8, 2.2)
    watch.chance = 0.5

    def down():
        raise StoreError("it is down")

    agent.follow = down
    grown = []
    for _ in range(8):
        agent.look()
        grown.append(agent.pause())
    assert grown == [4.0, 8.0, *[10.0] * 6]
    for agent.every_s, longest in ((5.0, 25.0), (20.0, 30.0), (45.0, 45.0)):
        assert agent.pause() == longest


def test_an_older_pointer_is_let_be_for_a_minute(tmp_path, watch):
    world, _, new = simple()
    old = world.data()
    world.release("support", "prod", new)
    agent = watch.agent(world, tmp_path)
    agent.look()
    began, whole = watch.now, world.data
    world.data = lambda: old
    for wait in (2, 58):
        watch.now += wait
        agent.look()
        assert (agent.trouble, agent.pause()) == (None, 2.0)
    assert (seqs(tmp_path), checked(tmp_path)) == ({"support/prod": 2}, began)
    watch.now += 1
    agent.look()
    assert "went back" in str(agent.trouble)
    world.data = whole
    agent.look()
    assert agent.trouble is None
    assert seqs(tmp_path) == {"support/prod": 2}
