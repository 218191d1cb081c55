"""Chains of releases without Git, and the snapshots that they make.

world = World()
old, new = world.bundle("old"), world.bundle("new")
world.release("support", "prod", old)
world.canary("support", old, new, share_ppm=50_000)
world.write(tmp_path / "serve")
"""

from pathlib import Path

from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.canary import Canary, Guardrail, Plan
from llmvc.core.digest import Digest
from llmvc.core.release import Release
from llmvc.core.version import Source
from llmvc.errors import NotFoundError

POLICY = digest.of_bytes(b"policy")
SALT = "0123456789abcdef"
NEARLY_ALL = 999_999
"""Share of a canary, in ppm, that every unit of a test falls into."""
PLAN = Plan((50_000, 250_000, NEARLY_ALL))


class World:
    """Everything that a snapshot is made from; also a source of it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.chains: dict[tuple[str, str], list[Release]] = {}
        self.pinnable: dict[str, set[Digest]] = {}
        self.reads: list[str] = []
        self.told: float | None = None

    def bundle(self, text: str = "Be kind.", **members: canon.Json) -> Digest:
        """Adds a bundle whose system prompt is the text."""
        return self.add(
            Bundle.of(
                "app",
                {
                    "messages": [
                        {"role": "system", "content": text},
                        {"role": "user", "content": "{{message}}"},
                    ],
                    "model": {"provider": "openai", "id": "gpt-5-mini"},
                    "decoding": {"max_output_tokens": 64, "temperature": 0},
                    **members,
                },
            ).data
        )

    def add(self, data: bytes) -> Digest:
        """Adds any object."""
        found = digest.of_bytes(data)
        self.objects[digest.hex_of(found)] = data
        return found

    def release(
        self, name: str, env: str, to: Digest, kind: str = "override", **members: object
    ) -> Release:
        """Appends a release; what it says beside stands in `members`."""
        chain = self.chains.setdefault((name, env), [])
        parent = chain[-1] if chain else None
        made = Release(
            **{
                "bundle": name,
                "env": env,
                "seq": parent.seq + 1 if parent else 1,
                "kind": kind,
                "previous": parent.digest if parent else None,
                "target": None,
                "from_": parent.to if parent else None,
                "to": to,
                "suite": None,
                "report": None,
                "policy": POLICY,
                "source": Source(None, dirty=False),
                "time": "2026-11-20T10:00:00Z",
                "actor": "ada",
                "reason": "test",
                "proven": False,
                "rolled_back": parent.rolled_back if parent else (),
                "drain": parent.drain if parent else (),
                **members,
            }
        )
        chain.append(made)
        self.add(made.to_bytes())
        listed = self.pinnable.setdefault(name, set())
        self.pinnable[name] = (listed | {to}) - made.revoked
        return made

    def canary(
        self,
        name: str,
        to: Digest,
        *,
        share_ppm: int,
        of: str = "prod",
        env: str = "canary",
        kind: str = "start",
        salt: str = SALT,
        baseline: Digest | None = None,
    ) -> Release:
        """Appends a canary's release to its own environment."""
        canary = Canary(
            of=of,
            baseline=baseline or self.chains[name, of][-1].digest,
            share_ppm=share_ppm,
            salt=salt,
            unit="conversation",
            plan=PLAN,
            guardrails=(Guardrail("errors", margin=0.01),),
        )
        return self.release(name, env, to, kind, canary=canary)

    def rollback(self, name: str, to: Digest, env: str = "prod", *, drain: bool = False) -> Release:
        """Appends a rollback, which revokes what was served unless it is drained."""
        tip = self.chains[name, env][-1]
        left = tuple(sorted({*tip.rolled_back, tip.to} - {to}))
        return self.release(
            name, env, to, "rollback", rolled_back=left, drain=(tip.to,) if drain else ()
        )

    def value(self) -> dict[str, canon.Json]:
        """Returns the value of `snapshot.json`."""
        environments: dict[str, dict[str, canon.Json]] = {}
        for (name, env), chain in self.chains.items():
            tip = {"seq": chain[-1].seq, "release": chain[-1].digest}
            environments.setdefault(name, {})[env] = tip
        bundles: dict[str, canon.Json] = {
            name: sorted(listed) for name, listed in self.pinnable.items()
        }
        return {"llmvc": "snapshot/1", "environments": environments, "bundles": bundles}

    def data(self) -> bytes:
        """Returns the bytes of `snapshot.json`."""
        return canon.encode(self.value())

    def pointer(self, seen: str | None) -> tuple[bytes, str] | None:
        """Acts as a source."""
        data = self.data()
        tag = digest.of_bytes(data)
        return None if tag == seen else (data, tag)

    def object(self, name: str) -> bytes:
        """Acts as a source."""
        self.reads.append(name)
        try:
            return self.objects[name]
        except KeyError:
            raise NotFoundError(f"object {name[:12]} is missing") from None

    def checked(self) -> float | None:
        """Acts as a source."""
        return self.told

    def close(self) -> None:
        """Acts as a source."""

    def write(self, folder: Path) -> Path:
        """Writes the snapshot as `llmvc snapshot` does: objects, then the pointer by a rename."""
        (folder / "objects").mkdir(parents=True, exist_ok=True)
        for name, data in self.objects.items():
            path = folder / "objects" / name
            if not path.exists():
                path.write_bytes(data)
        (folder / "new").write_bytes(self.data())
        (folder / "new").replace(folder / "snapshot.json")
        return folder


def simple() -> tuple[World, Digest, Digest]:
    """Returns a world whose prod serves the first of two bundles."""
    world = World()
    old, new = world.bundle("old"), world.bundle("new")
    world.release("support", "prod", old)
    return world, old, new
