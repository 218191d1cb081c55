"""Migration: the same bundle on another model, measured against what is served."""

from dataclasses import dataclass

from llmvc.app import measuring, releasing, versioning
from llmvc.app.appending import Moved
from llmvc.app.job import Choices, OnEstimate, OnProgress
from llmvc.app.judging import Measured
from llmvc.app.releasing import Exceptions
from llmvc.app.versioning import Committed
from llmvc.app.workspace import Workspace
from llmvc.errors import ConfigError, LlmvcError, UsageError


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration led to; `moved` is None where no environment moved."""

    committed: Committed
    measured: Measured
    moved: Moved | None


def migrate(
    ws: Workspace,
    bundle: str | None,
    model: str,
    *,
    env: str | None,
    message: str | None,
    promote_to: str | None,
    reason: str | None,
    choices: Choices,
    on_estimate: OnEstimate,
    progress: OnProgress,
) -> Migrated:
    """Edits the manifest's model lines, commits, measures, and promotes if asked to.

    The edit stays in the working tree whatever the verdict is; `llmvc checkout` takes it back.

    Raises:
        UsageError: the model is not PROVIDER/ID.
        ConfigError: the manifest holds edits that are not committed.
    """
    from llmvc.files.manifest import edit_model  # noqa: PLC0415 (with YAML, when it is needed)

    provider, slash, model_id = model.partition("/")
    if not (provider and slash and model_id):
        raise UsageError(
            f"{model!r} is not PROVIDER/ID", hint="for one: openai/gpt-5-mini-2026-08-07"
        )
    name = ws.bundle_name(bundle)
    manifest = ws.manifest_of(name)
    if ws.repo.versions.read(manifest.bundle.digest) is None:
        raise ConfigError(
            f"{manifest.path} and its files hold edits that are not committed",
            hint=f"llmvc commit {name} first, so that the migration changes the model alone",
        )
    before = ws.files.read(manifest.path)
    after = edit_model(before, manifest.path, provider=provider, model_id=model_id)
    versioning.replace_file(ws, manifest.path, after)
    try:
        committed = versioning.commit(
            ws, name, message=message or f"migrate to {model}", dry_run=choices.dry_run
        )
        measured = measuring.evaluate(
            ws, name, env=env, choices=choices, on_estimate=on_estimate, progress=progress
        )
    except LlmvcError as err:
        if not choices.dry_run:
            kept = f"{manifest.path} names the new model and is committed as a version"
            err.hint = "; ".join(filter(None, (err.hint, f"{kept}: llmvc checkout takes it back")))
        raise
    finally:
        if choices.dry_run:
            versioning.replace_file(ws, manifest.path, before)
    passed = measured.outcome == "pass"
    if promote_to is None or not passed or choices.dry_run:
        return Migrated(committed, measured, None)
    moved = releasing.promote(
        ws, name, promote_to, suite=choices.suite, exceptions=Exceptions(reason=reason)
    )
    return Migrated(committed, measured, moved)
