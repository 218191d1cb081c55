"""A tree of files in memory, and the smallest manifest."""

from collections.abc import Mapping
from pathlib import Path

from llmvc.errors import NotFoundError
from llmvc.files.manifest import Manifest, load_manifest

PATH = "prompts/support/bundle.yaml"

PLAIN = """\
llmvc: 1
name: support
messages:
  - role: system
    file: system.md
  - role: user
    content: "{{ticket}}"
model:
  provider: openai
  id: gpt-4o-2024-08-06
"""


class MemoryFiles:
    """Files handed over as a mapping; texts stand for their UTF-8 bytes."""

    def __init__(self, files: Mapping[str, str | bytes], label: str = "") -> None:
        self.label = label
        self.files = {p: d.encode() if isinstance(d, str) else d for p, d in files.items()}

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise NotFoundError(f"{path} is not there")
        return self.files[path]

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.files))

    def root(self) -> Path | None:
        return None


def bundle_of(manifest: str | bytes, **files: str | bytes) -> Manifest:
    """Loads a manifest with the files beside it; `system.md` is there unless given."""
    listed = {"system.md": "You sort tickets.\n", **files, "bundle.yaml": manifest}
    return load_manifest(MemoryFiles({f"prompts/support/{k}": v for k, v in listed.items()}), PATH)
