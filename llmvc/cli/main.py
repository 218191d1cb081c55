"""Entry point: the table of commands and the one boundary where errors become exit codes.

- `--help` and `--version` load no command.
- Exit codes: 0 done or passed, 1 gate failed, 2 wrong usage, 3 inconclusive, 4 expected failure,
  5 ref moved or busy, 70 a bug, 130 interrupted.
"""

import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from llmvc import __version__
from llmvc.cli import output
from llmvc.cli.table import Table
from llmvc.errors import LlmvcError

# Name -> (module, one-line help), in the order of a day's work.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("demo", "Plays the whole story on recorded outputs of a real model."),
    "init": ("init", "Sets a Git repository up for llmvc."),
    "new": ("new", "Writes a bundle, a suite and cases to start from."),
    "doctor": ("doctor", "Checks the set-up and says what to mend."),
    "hook": ("hook", "Installs, removes or runs the pre-push hook."),
    "status": ("status", "Shows each bundle, and what every environment serves."),
    "commit": ("commit", "Stores the bundle in the working tree as a version."),
    "log": ("log", "Lists releases of an environment, or versions of a bundle."),
    "show": ("show", "Shows one version, release, report or suite."),
    "diff": ("diff", "Compares two versions by section and text."),
    "checkout": ("checkout", "Writes a version back into the manifest's files."),
    "resolve": ("resolve", "Prints the digest that a revision names."),
    "plan": ("plan", "Says how many cases and runs a margin needs, before any call."),
    "eval": ("eval", "Measures a version against what an environment serves."),
    "gate": ("gate", "Judges a stored report again, or two result files of any harness."),
    "report": ("report", "Shows a report for reading: text, Markdown, JSON or HTML."),
    "judge": ("judge", "Calibrates, checks and moves the judges that grade outputs."),
    "aa": ("aa", "Tests the gate on itself, with runs of one bundle."),
    "promote": ("promote", "Lets an environment serve a version that passed."),
    "migrate": ("migrate", "Moves a bundle to another model, measured."),
    "canary": ("canary", "Tries a version on a share of users, and widens it on evidence."),
    "rollback": ("rollback", "Lets an environment serve an earlier release again."),
    "snapshot": ("snapshot", "Writes what environments serve to a folder or URL."),
    "agent": ("agent", "Keeps a folder at what a remote serves, one agent a machine."),
    "fleet": ("fleet", "Lists the processes that have not moved, or proves that all have."),
    "logs": ("logs", "Checks the event logs that services write."),
    "override": ("override", "Lets an environment serve a version without evidence."),
    "ship": ("ship", "Commits, measures, promotes and pushes in one go."),
    "push": ("push", "Pushes versions, evidence and releases."),
    "fetch": ("fetch", "Fetches versions, evidence and releases."),
    "fsck": ("fsck", "Proves that everything stored is what its digest says."),
    "local": ("local", "Fetches and serves a small real model on this machine."),
    "textconv": ("textconv", "Renders a manifest in canonical order (Git calls this)."),
}
HIDDEN: Final = frozenset({"textconv"})


@click.group(
    cls=Table,
    table=COMMANDS,
    package="llmvc.cli.commands",
    hidden=HIDDEN,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "--version", message="llmvc %(version)s")
@click.option("-C", "folder", metavar="DIR", help="Run as if started in DIR.")
@click.option("-q", "--quiet", is_flag=True, help="Print data only, no talk.")
@click.option("-v", "--verbose", is_flag=True, help="Print more.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colour the output; NO_COLOR is respected.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(
    ctx: click.Context, *, folder: str | None, quiet: bool, verbose: bool, color: str, debug: bool
) -> None:
    """Git-native versions, evals and releases for LLM bundles: prod moves only on evidence.

    \b
    A version is named  support  support@prod  support@prod~1  support@b3:4f2a91c0
                        support@prod@{2026-11-20}  support@git:origin/main
    """  # noqa: D301 (\b is click's mark for text to leave alone)
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as err:
            raise click.UsageError(f"cannot enter {folder}: {err.strerror}") from err
    ctx.obj = output.Output(quiet=quiet, verbose=verbose, color=color, debug=debug)


def run(arguments: Sequence[str]) -> int:  # noqa: PLR0911 (one return a kind of ending)
    """Runs one command line and returns its exit code."""
    out = output.Output(quiet=False, verbose=False, color="never", debug="--debug" in arguments)
    as_json = "--json" in arguments
    try:
        code = cli.main(args=list(arguments), prog_name="llmvc", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as err:
        out.talk(err.format_message())
        return 2
    except click.UsageError as err:
        usage = f"try {err.ctx.command_path if err.ctx else 'llmvc'} --help"
        return out.failure("usage", err.format_message(), usage, 2, as_json=as_json)
    except click.ClickException as err:
        return out.failure("usage", err.format_message(), "", 2, as_json=as_json)
    except (KeyboardInterrupt, click.Abort) as err:
        # click turns the one into the other; its words, if any, say what the command leaves.
        told = str(err.__cause__) if isinstance(err.__cause__, KeyboardInterrupt) else ""
        return out.failure("interrupted", "interrupted", told, 130, as_json=False)
    except LlmvcError as err:
        _trace(out)
        return out.failure(err.code, str(err), err.hint, err.exit_code, as_json=as_json)
    except SystemExit as err:
        # A reader such as `head` has enough: click ends with 1 then, which would read as "failed".
        if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
            return 0
        # The user's own code ended the process: whatever it meant, that is no pass.
        told = f"code of the repository called sys.exit({err.code!r})"
        return out.failure("ended", told, "let it raise instead", 4, as_json=as_json)
    except Exception as err:  # noqa: BLE001 (the one boundary)
        _trace(out)
        hint = "this is a bug in llmvc: please report it with the output of --debug"
        return out.failure("bug", f"{type(err).__name__}: {err}", hint, 70, as_json=as_json)
    return code if isinstance(code, int) else 0


def _trace(out: output.Output) -> None:
    """Prints the traceback of the error at hand, if that was asked for."""
    if out.debug:
        import traceback  # noqa: PLC0415 (15 ms that only a search for a bug needs)

        traceback.print_exc()


def main() -> None:
    """Runs the command line of this process."""
    # Rows by the ten thousand, hardly a cycle among them: to look for some often costs a third.
    gc.set_threshold(200_000, 20, 100)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does; a prompt may hold any
    code = 0
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Python must not complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    gc.freeze()  # the end of the process looks for cycles as well, 5 ms for nothing
    sys.exit(code)


if __name__ == "__main__":
    main()
