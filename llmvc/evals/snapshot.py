"""The folder that an application under measurement reads its bundle from."""

from pathlib import Path

from llmvc.core import digest
from llmvc.evals.plan import Arm


def snapshot(arm: Arm, folder: Path) -> Path | None:
    """Returns the folder that the application reads the bundle from; None for a plain call."""
    if arm.provider.mode != "app" or arm.snapshot is not None:
        return arm.snapshot
    own = folder / arm.name
    for path, data in (
        ("bundle.json", arm.bundle.data),
        *((path, text.encode("utf-8")) for path, text in arm.assets.items()),
        *((f"o/{digest.hex_of(of)}", data) for of, data in arm.parts.items()),
    ):
        target = own / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return own
