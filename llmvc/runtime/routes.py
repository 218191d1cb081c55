"""Routes: what each environment serves, worked out once for a snapshot, so that a call looks it up.

- A canary counts for the environment that it stands beside if it is the only one open there and
  its baseline is that environment's newest release; else it is void, and nobody is put into it.
- A pin stands if its digest may be named, and if neither the environment asked for nor the one
  that decided has revoked it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from llmvc.core.bucket import last_in, salted
from llmvc.core.canary import Canary
from llmvc.core.digest import Digest
from llmvc.core.pointer import Key
from llmvc.runtime.assign import Arm, Assignment
from llmvc.runtime.pins import Pin
from llmvc.runtime.render import Served
from llmvc.runtime.snapshot import Snapshot, Tip

Head = tuple[str, str, Arm, str, str | None, int, str | None, str, bool, Served]
"""An assignment without what differs between calls: all members up to `bundle`."""
_PIN: Final = Assignment._fields.index("pin")


class Open(NamedTuple):
    """A canary that counts.

    Attributes:
        salted: what is hashed before every unit.
        last: units get the candidate up to this, as `last_in` says.
        baseline: what the others get.
        candidate: what those get.
    """

    salted: bytes
    last: bytes
    baseline: Head
    candidate: Head


class Route(NamedTuple):
    """What one environment serves.

    Attributes:
        plain: what is served where no canary decides.
        canary: the canary that counts; None if none does.
        served: digest -> what a pin may name and this environment has not revoked.
        revoked: environment -> what its chain has revoked.
        pins: what the pins give that are handed out now; others are worked out when they come.
    """

    plain: Head
    canary: Open | None
    served: Mapping[str, Served]
    revoked: Mapping[str, frozenset[Digest]]
    pins: Mapping[str, Head]

    def pinned(self, text: str) -> Head | None:
        """Returns what a pin gives; None if it does not stand."""
        return self.pins.get(text) or self.worked_out(text)

    def worked_out(self, text: str) -> Head | None:
        """Returns what a pin of any age gives; None if it does not stand."""
        pin = Pin.parse(text)
        if pin is None or pin.digest in self.revoked.get(pin.env, ()):
            return None
        served = self.served.get(pin.digest)
        if served is None:
            return None
        name, env = self.plain[:2]
        return (name, env, "pinned", pin.digest, None, pin.seq, None, text, True, served)


def routes(snapshot: Snapshot) -> dict[Key, Route]:
    """Returns what each environment of a snapshot serves."""
    revoked: dict[str, dict[str, frozenset[Digest]]] = {}
    for (name, env), tip in snapshot.tips.items():
        revoked.setdefault(name, {})[env] = tip.release.revoked
    canaries = counting(snapshot)
    made: dict[Key, Route] = {}
    for key, tip in snapshot.tips.items():
        name, env = key
        pinnable = snapshot.pinnable.get(name, frozenset()) - tip.release.revoked
        served: dict[str, Served] = {one: snapshot.served[one] for one in pinnable}
        plain = _head(snapshot, tip, env)
        canary = _open(snapshot, env, tip, *canaries[key]) if key in canaries else None
        slow = Route(plain, canary, served, revoked[name], {})
        given = [plain, canary.baseline, canary.candidate] if canary else [plain]
        texts = [str(head[_PIN]) for head in given]
        pins = {text: found for text in texts if (found := slow.worked_out(text))}
        made[key] = slow._replace(pins=pins)
    return made


def counting(snapshot: Snapshot) -> dict[Key, tuple[Tip, Canary]]:
    """Returns the canaries that count, by the environment that they stand beside."""
    beside: dict[Key, list[tuple[Tip, Canary]]] = {}
    for (name, _), tip in snapshot.tips.items():
        canary = tip.release.canary
        if canary is not None:
            beside.setdefault((name, canary.of), []).append((tip, canary))
    return {
        key: found[0]
        for key, found in beside.items()
        if len(found) == 1
        and key in snapshot.tips
        and found[0][1].baseline == snapshot.tips[key].digest
    }


def _open(snapshot: Snapshot, env: str, of: Tip, tip: Tip, canary: Canary) -> Open:
    return Open(
        salted(canary.salt),
        last_in(canary.share_ppm),
        _head(snapshot, tip, env, rollout=canary.salt, serves=of.release.to),
        _head(snapshot, tip, env, rollout=canary.salt),
    )


def _head(
    snapshot: Snapshot,
    tip: Tip,
    env: str,
    *,
    rollout: str | None = None,
    serves: Digest | None = None,
) -> Head:
    """Returns what a release gives; with `serves`, it decided that another bundle is served."""
    release = tip.release
    to = serves or release.to
    arm: Arm = "canary" if rollout and not serves else "baseline"
    pin = str(Pin(release.env, release.seq, to))
    told = (to, tip.digest, release.seq, rollout, pin, False, snapshot.served[to])
    return (release.bundle, env, arm, *told)
