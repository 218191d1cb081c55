"""Finds the files that come with the package: schemas, hooks and examples.

A wheel carries them in `llmvc/_data`; a checkout, also an editable install, has them at its top.
"""

from pathlib import Path

from llmvc.errors import NotFoundError

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(kind: str, name: str) -> Path:
    """Returns the path of a shipped file or folder.

    Args:
        kind: `schemas`, `hooks` or `examples`.
        name: its name there.

    Raises:
        NotFoundError: neither the wheel nor the checkout has it.
    """
    for base in (_PACKAGE / "_data", _PACKAGE.parent):
        path = base / kind / name
        if path.exists():
            return path
    raise NotFoundError(
        f"{kind}/{name} did not come with this installation", hint="install llmvc again"
    )
