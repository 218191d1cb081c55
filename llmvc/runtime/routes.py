"""Routes: what each environment serves, worked out once for a snapshot, so that a call looks it up.

- A canary counts for the environment that it stands beside if it is the only one open there and
  its baseline is that environment's newest release; else it is void, and nobody is put into it.
- A pin stands if its digest may be named, and if neither the environment asked for nor the one
  that decided has revoked it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from llmvc.core.assign import salted
from llmvc.core.canary import Canary
from llmvc.core.digest import Digest
from llmvc.runtime.assign import Arm, Assignment
from llmvc.runtime.pins import Pin
from llmvc.runtime.render import Served
from llmvc.runtime.snapshot import Key, Snapshot, Tip

Head = tuple[str, str, Arm, str, str | None, int, str | None, str, bool, Served]
"""An assignment without what differs between calls: all members up to `bundle`."""
_PIN: Final = Assignment._fields.index("pin")


class Open(NamedTuple):
    """A canary that counts.

    Attributes:
        salted: what is hashed before every unit.
        share_ppm: units whose bucket is below it get the candidate.
        baseline: what the others get.
        candidate: what those get.
    """

    salted: bytes
    share_ppm: int
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
    made: dict[Key, Route] = {}
    for key, tip in snapshot.tips.items():
        name, env = key
        pinnable = snapshot.pinnable.get(name, frozenset()) - tip.release.revoked
        served: dict[str, Served] = {one: snapshot.served[one] for one in pinnable}
        plain, canary = _head(snapshot, tip, env), _open(snapshot, key, tip)
        slow = Route(plain, canary, served, revoked[name], {})
        given = [plain, canary.baseline, canary.candidate] if canary else [plain]
        texts = [str(head[_PIN]) for head in given]
        pins = {text: found for text in texts if (found := slow.worked_out(text))}
        made[key] = slow._replace(pins=pins)
    return made


def counting(snapshot: Snapshot, key: Key) -> tuple[Tip, Canary] | None:
    """Returns the canary that counts for an environment; None if there is none, or it is void."""
    name, env = key
    found = [
        (tip, tip.release.canary)
        for (bundle, _), tip in snapshot.tips.items()
        if bundle == name and tip.release.canary is not None and tip.release.canary.of == env
    ]
    if len(found) == 1 and found[0][1].baseline == snapshot.tips[key].digest:
        return found[0]
    return None


def _open(snapshot: Snapshot, key: Key, of: Tip) -> Open | None:
    found = counting(snapshot, key)
    if found is None:
        return None
    tip, canary = found
    return Open(
        salted(canary.salt),
        canary.share_ppm,
        _head(snapshot, tip, key[1], rollout=canary.salt, serves=of.release.to),
        _head(snapshot, tip, key[1], rollout=canary.salt),
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
