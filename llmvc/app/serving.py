"""Serving: what environments serve, written where processes read it.

- Git's `llmvc.snapshot` names a place that moves write at once; there may be several.
- Where there is a remote, only what it has accepted is written: a release that later loses a race
  would leave readers on a fork. A rollback that cannot be pushed is written all the same.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llmvc.app.workspace import Workspace
from llmvc.core.names import check_name
from llmvc.errors import ConfigError, FormatError, LlmvcError, NotFoundError, UsageError

if TYPE_CHECKING:
    from llmvc.core.canon import Json
    from llmvc.runtime.agent import Agent
    from llmvc.runtime.export import Exported
    from llmvc.store.serving import GitSource


def places(ws: Workspace, variable: str = "snapshot") -> tuple[str, ...]:
    """Returns the places that a variable of Git's section `llmvc` names.

    Relative paths start from the top of the repository, wherever in it one is.

    Raises:
        ConfigError: one starts with `~` and the name of nobody.
    """
    top = ws.repo.root or ws.repo.git_dir
    named = ws.repo.settings.all("llmvc", "", variable)
    try:
        return tuple(
            one if "://" in one else os.path.normpath(top / Path(one).expanduser()) for one in named
        )
    except RuntimeError as err:
        raise ConfigError(f"Git's llmvc.{variable}: {err}") from err


def snapshot(
    ws: Workspace,
    to: str | None,
    *,
    bundles: Sequence[str] = (),
    envs: Sequence[str] = (),
    prune: bool = False,
) -> "tuple[Exported, ...]":
    """Writes a snapshot of the local environments.

    Args:
        ws: the workspace.
        to: a path or URL; None for those that `llmvc.snapshot` names.
        bundles: tell of these only.
        envs: tell of these environments only.
        prune: remove objects that no reader can need any more.

    Raises:
        UsageError: there is no place to write to, or it holds what is not to be told of.
        NotFoundError: nothing of that name was released.
        IntegrityError: an environment went back or is forked against what lies there.
        StoreError: the place cannot be written.
    """
    targets = (to,) if to else places(ws)
    if not targets:
        raise UsageError(
            "a snapshot needs a place", hint="--to DIR, or git config llmvc.snapshot DIR"
        )
    source = source_of(ws, bundles, envs)
    _check_released(ws, bundles, envs)
    for target in targets:
        _check_whole(target, bundles, envs)
    return tuple(_write(source, target, prune=prune) for target in targets)


def publish(ws: Workspace, *, unpushed: bool = False) -> str:
    """Writes the places that `llmvc.snapshot` names, after a move; never raises.

    Args:
        ws: the workspace.
        unpushed: write what the remote has not accepted as well.

    Returns:
        What happened, one line a place, for people; empty where no place is named.
    """
    try:
        targets = places(ws)
        waits = _unpushed(ws) if targets and not unpushed else ()
    except LlmvcError as err:
        return f"snapshot NOT WRITTEN: {err}"
    if waits:
        return f"snapshot waits: {_not_pushed(waits)}; run llmvc push"
    return "\n".join(_published(source_of(ws), target) for target in targets)


def _not_pushed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not pushed"


def _published(source: "GitSource", target: str) -> str:
    """Writes one place and says what happened."""
    from llmvc.places import place_at  # noqa: PLC0415 (few verbs write one)
    from llmvc.runtime.export import export  # noqa: PLC0415

    where = ""
    try:
        place = place_at(target)
        where = f" to {place.name}"  # not `target`, in which secrets may stand
        export(source, place)
    except (LlmvcError, OSError) as err:
        return f"snapshot NOT WRITTEN{where}: {err}; mend it, then llmvc snapshot"
    return f"snapshot written{where}"


def flags(ws: Workspace, bundle: str | None, env: str) -> dict[str, "Json"]:
    """Returns an environment, with the canary that counts beside it, as a flag for flagd.

    Args:
        ws: the workspace.
        bundle: its name; None if only one was released.
        env: the environment that services ask for.

    Raises:
        NotFoundError: nothing was released there.
    """
    from llmvc.runtime import flagd, snapshot  # noqa: PLC0415 (few repositories need it)

    name = ws.released_bundle(bundle)
    source = source_of(ws, (name,))
    pointer, _ = source.now()
    return flagd.export(snapshot.load(pointer, source.object), name, env)


def source_of(ws: Workspace, bundles: Sequence[str] = (), envs: Sequence[str] = ()) -> "GitSource":
    """Returns the repository as a source of snapshots."""
    from llmvc.store.serving import GitSource  # noqa: PLC0415 (few verbs need it)

    for kind, names in (("bundle", bundles), ("environment", envs)):
        for name in names:
            check_name(name, kind)
    return GitSource(ws.repo, bundles=bundles, envs=envs)


def agent(
    ws: Workspace | None,
    to: Path,
    *,
    source: str | None = None,
    remote: str | None = None,
    every_s: float,
    tell: Callable[[str], None],
) -> "Agent":
    """Returns an agent that has not looked yet.

    Args:
        ws: the repository that follows a remote; None with a source.
        to: the folder to write.
        source: another snapshot to read instead: a folder or URL.
        remote: the Git remote to follow; None for the one that `llmvc fetch` would take, and for
            the local environments alone where there is no remote.
        every_s: mean pause between looks.
        tell: says something to whoever watches.

    Raises:
        NotFoundError: the remote named is not configured.
        ConfigError: the source needs a package.
    """
    from llmvc.places import Folder  # noqa: PLC0415
    from llmvc.runtime.agent import Agent  # noqa: PLC0415 (only agents run one)
    from llmvc.runtime.sources import open_source  # noqa: PLC0415

    place = Folder(to)
    if ws is None or source is not None:
        read = open_source(source or ".")
        return Agent(read, place, name=str(source), every_s=every_s, tell=tell)
    read = source_of(ws)
    if remote is None and ws.repo.settings.remote() is None:
        return Agent(read, place, name="this repository", every_s=every_s, tell=tell)
    from llmvc.store.following import Follower  # noqa: PLC0415

    follower = Follower(ws.repo, remote)
    name = f"remote {follower.remote}"
    return Agent(read, place, name, follower.follow, every_s=every_s, tell=tell)


def _write(source: "GitSource", target: str, *, prune: bool) -> "Exported":
    from llmvc.places import place_at  # noqa: PLC0415
    from llmvc.runtime.export import export  # noqa: PLC0415 (few verbs write one)

    return export(source, place_at(target), prune=prune)


def _unpushed(ws: Workspace) -> tuple[str, ...]:
    from llmvc.store.following import unpushed  # noqa: PLC0415 (a rollback does not ask)

    return unpushed(ws.repo)


def _check_whole(target: str, bundles: Sequence[str], envs: Sequence[str]) -> None:
    """Checks that nothing that lies at a place is left out; readers refuse a snapshot without it.

    Raises:
        UsageError: something is.
    """
    if not bundles and not envs:
        return
    from llmvc.core import pointer  # noqa: PLC0415
    from llmvc.places import place_at  # noqa: PLC0415 (few verbs write one)

    place = place_at(target)
    held = place.read(pointer.POINTER)
    known: Iterable[pointer.Key] = ()
    with suppress(FormatError):  # the export says so
        known = sorted(pointer.read(held)[0]) if held is not None else ()
    for bundle, env in known:
        for option, name, wanted in (("--bundle", bundle, bundles), ("--env", env, envs)):
            if wanted and name not in wanted:
                raise UsageError(
                    f"{place.name} holds {bundle}/{env}, which {option} leaves out",
                    hint=f"add {option} {name}, or write to a place of its own",
                )


def _check_released(ws: Workspace, bundles: Sequence[str], envs: Sequence[str]) -> None:
    known = ws.repo.environments()
    for what, names, at in (("bundle", bundles, 0), ("environment", envs, 1)):
        for name in names:
            if name not in {item[at] for item in known}:
                raise NotFoundError(f"no release is known of {what} {name}", hint="run llmvc fetch")
    if not known:
        raise NotFoundError("nothing was released yet", hint="run llmvc fetch, or llmvc promote")
