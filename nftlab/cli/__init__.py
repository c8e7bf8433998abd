"""The `nftlab` command. Each command parses, calls one library function and prints; what is slow to import is
imported inside the command, so that `--help` and `status` answer at once.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nftlab import __version__
from nftlab.cli import cluster, config, data, db, demo, doctor, job, paper, picture, report, status, sweep, worker
from nftlab.cli.output import emit, say
from nftlab.errors import DiskError, NftlabError, SpecError
from nftlab.harmless import masked

EPILOG = """\b
Examples:
  nftlab demo                                   a small sweep on real digits, from launch to table
  nftlab sweep launch sweeps/nft/quick.yaml     put its runs into the job table, each once
  nftlab worker --drain                         train until nothing is left
  nftlab report nft/quick                       the table, beside the published numbers
  nftlab paper nft --list                       every table and figure of a paper, and how far each is

\b
Exit codes:
  0 done   1 failed jobs, incomplete sweep or search, failed check   2 usage   65 bad data   66 no such thing
  69 no database, disk or device, sick node   75 stopped, try again   78 bad configuration   130 Ctrl-C
"""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_PIPE_CLOSED = 128 + 13  # what a shell reports for a program that SIGPIPE ended


ORDER = (
    "demo",
    "sweep",
    "worker",
    "status",
    "report",
    "paper",
    "picture",
    "job",
    "cluster",
    "config",
    "data",
    "db",
    "doctor",
)  # as a newcomer needs them


class Commands(TyperGroup):
    """Turns what the library raises into lines on stderr and an exit code; other exceptions keep their traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except NftlabError as error:
            complain(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(130) from interrupt
        except BrokenPipeError as closed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's last flush complains
            raise typer.Exit(_PIPE_CLOSED) from closed


def complain(error: NftlabError) -> None:
    """Prints an error: `nftlab: ` before every line, one line per problem of a sweep or report file."""
    texts = error.problems if isinstance(error, SpecError) else [str(error)]
    for line in (line for text in texts for line in masked(text).splitlines()):  # in this order: a password may hold a line's end
        say(f"nftlab: {line}")


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a sweep file to the paper's table: launch runs, train them, print mean ± std over seeds.",
    epilog=EPILOG,
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda wanted: _version(wanted), help="Print the version.")
    ] = False,
) -> None:
    pass


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"nftlab {__version__}")
        raise typer.Exit


app.add_typer(sweep.app, name="sweep")
app.command("worker")(worker.worker)
app.command("status")(status.status)
app.add_typer(job.app, name="job")
app.command("report")(report.report)
app.command("paper")(paper.paper)
app.command("picture")(picture.picture)
app.add_typer(data.app, name="data")
app.add_typer(db.app, name="db")
app.add_typer(cluster.app, name="cluster")
app.add_typer(config.app, name="config")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def main() -> None:
    """Entry point of the `nftlab` script and of `python -m nftlab`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without ± prints \xb1 instead of failing
    try:
        app(prog_name="nftlab")
    except KeyboardInterrupt:  # while the command line is read
        sys.exit(130)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain(DiskError(f"cannot write {error.filename or 'to standard output'}: {error.strerror}", "free some space there"))
        sys.exit(DiskError.exit_code)
