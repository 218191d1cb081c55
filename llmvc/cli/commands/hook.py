"""`llmvc hook`."""

import sys

import click

from llmvc.app import hooks
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.errors import LlmvcError


@click.group("hook")
def command() -> None:
    """Installs, removes or runs the pre-push hook.

    \b
    Example: llmvc hook install
    """  # noqa: D301


@command.command("install")
@options.as_json
def install(*, as_json: bool) -> None:
    """Installs the pre-push hook; one that is there is kept and runs first.

    \b
    Example: llmvc hook install
    """  # noqa: D301
    path, moved = hooks.install(options.workspace())
    out = current()
    if as_json:
        kept = str(path.with_name(hooks.KEPT)) if moved else None
        out.json("hook/1", {"path": str(path), "installed": True, "changed": True, "kept": kept})
        return
    out.data(str(path))
    if moved:
        out.talk(f"your own hook was kept as {hooks.KEPT} and runs first")
    out.talk("a push that changes a bundle is measured from now on; git push --no-verify skips it")


@command.command("uninstall")
@options.as_json
def uninstall(*, as_json: bool) -> None:
    """Removes the pre-push hook and puts your own back.

    \b
    Example: llmvc hook uninstall
    """  # noqa: D301
    path, removed = hooks.uninstall(options.workspace())
    if as_json:
        left = {"path": str(path), "installed": False, "changed": removed, "kept": None}
        current().json("hook/1", left)
        return
    current().talk(f"removed {path}" if removed else f"{path} is not llmvc's; nothing was done")


@command.command("run")
@click.argument("name", type=click.Choice(["pre-push"]))
@click.argument("remote", required=False, default="origin")
@click.argument("url", required=False)
def run(*, name: str, remote: str, url: str | None) -> int:  # noqa: ARG001 (Git hands all three)
    """Checks what a push changes; Git's pre-push hook calls this and writes to its input.

    \b
    Example: llmvc hook run pre-push origin < /dev/null
    """  # noqa: D301
    out = current()
    pushes = hooks.parse_pushes(sys.stdin.read())
    if not pushes:
        return 0
    ws = options.workspace()
    found: dict[tuple[str, str], hooks.Changed] = {}
    for push in pushes:
        try:
            found |= {(item.commit, item.path): item for item in hooks.changed(ws, remote, push)}
        except LlmvcError as err:
            out.talk(f"llmvc: {push.local_ref} was not measured: {err}\n  -> {err.hint}")
    if not found:
        return 0
    from llmvc.app import prepush  # noqa: PLC0415 (a push that changes no bundle is let go at once)
    from llmvc.cli.progress import bar  # noqa: PLC0415
    from llmvc.render import views  # noqa: PLC0415

    with bar(enabled=not out.quiet) as progress:
        checked = [prepush.check(ws, item, progress) for item in found.values()]
    for item in checked:
        out.talk(views.checked(item))
    blocks = max((item.blocks for item in checked), default=0)
    if blocks:
        out.talk("llmvc stopped this push; git push --no-verify skips the check")
    return blocks
