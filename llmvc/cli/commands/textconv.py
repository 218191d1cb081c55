"""`llmvc textconv`, which Git's diff driver calls."""

from pathlib import Path

import click

from llmvc.cli.output import current


@click.command("textconv")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def command(*, file: Path) -> None:
    """Prints a manifest in canonical order, for `git diff`.

    \b
    Example: git config diff.llmvc.textconv "llmvc textconv"
    """  # noqa: D301
    from llmvc.files.manifest import canonical_yaml  # noqa: PLC0415 (read when Git asks)

    current().raw(canonical_yaml(file.read_bytes(), file.name).encode())
