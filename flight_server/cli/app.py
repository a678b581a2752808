"""The `pixelflight` command: its verbs, and how it ends."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer
from typer import TyperException

from flight_server.cli.audit import audit, usage
from flight_server.cli.demo import demo
from flight_server.cli.doctor import doctor
from flight_server.cli.exits import MEANINGS, Exit, report, report_usage, say
from flight_server.cli.exporting import export
from flight_server.cli.hooks import hooks
from flight_server.cli.importing import import_
from flight_server.cli.jobs import jobs
from flight_server.cli.keys import keys
from flight_server.cli.providers import providers
from flight_server.cli.putting import put
from flight_server.cli.reading import get, sql
from flight_server.cli.serve import serve
from flight_server.cli.settings import settings
from flight_server.cli.shell.verb import shell
from flight_server.cli.tables import describe, history, restore, tables, undrop
from flight_server.cli.worker import worker
from flight_server.errors import PixelflightError

app = typer.Typer(
    name="pixelflight",
    epilog=MEANINGS,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (serve, demo, sql, shell, get, put, export, tables, describe, history, restore, undrop):
    app.command()(verb)
app.command("import")(import_)
for verb in (audit, usage, settings, doctor, worker):
    app.command()(verb)
app.add_typer(keys, name="keys")
app.add_typer(jobs, name="jobs")
app.add_typer(hooks, name="hooks")
app.add_typer(providers, name="providers")


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        print(f"pixelflight {version('pixelflight')}")
        raise typer.Exit


@app.callback()
def _command(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Say which version this is."
        ),
    ] = False,
) -> None:
    """Arrow batches in; versioned tables, SQL and streams out."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; gives the exit code. Errors become a sentence, bugs a traceback."""
    given = [_no_comment(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    try:
        code = app(given, prog_name="pixelflight", standalone_mode=False)
    except TyperException as error:
        return report_usage(error)
    except PixelflightError as error:
        return report(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        say(f"error: What was asked for cannot be written: {error.strerror}.")
        return Exit.FAILED
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return Exit.INTERRUPTED
    return code if isinstance(code, int) else Exit.DONE


def _no_comment(word: str) -> str:
    """SQL may begin with a comment, which looks like an option; no option has a space in it."""
    return f"\n{word}" if re.match(r"--[^=\s]*\s", word) else word
