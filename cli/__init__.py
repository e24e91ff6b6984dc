"""The `cogpack` command: its verbs, loaded one by one, and how failures reach the terminal.

Each verb is a file of its own beside this one, imported only when it is called for: `cogpack
resolve` must not pay for the imports of `cogpack build`.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

from .. import __version__
from ..errors import BuilderError, CogpackError, Failure
from .terminal import OutputError, abandon_output, last_words, prepare_streams, safe_lines

__all__ = ["cli", "main"]

# verb -> what `cogpack --help` says of it, so that help imports no verb either
VERBS = {
    "build": "Build the project's image.",
    "compat": "Refresh, check and show the compatibility tables.",
    "llb": "Write the BuildKit definition of the image.",
    "plan": "Show what would be built, stage by stage.",
    "resolve": "Show which versions are chosen, and why.",
    "weights": "Pin the weights that come from other machines.",
}


# Objects made and still alive before the first look for cycles; Python's own number is 700.
_COLLECT_AFTER = 50_000


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f".{cmd_name}", __name__)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cogpack")
def cli() -> None:
    """Build container images of machine-learning projects, with solved versions."""


def main() -> None:
    """Run the command line and exit: 0 done, 1 user, 2 usage, 3 builder, 70 cogpack, 75 try again.

    130 says that the user interrupted, 143 that a signal ended us, 141 that our reader left. A
    traceback is shown only when COGPACK_DEBUG is set.
    """
    # Nearly all that a command makes lives until its end: looking through it for cycles again and
    # again, and once more when the interpreter ends, takes longer than reading the tables.
    gc.set_threshold(_COLLECT_AFTER)
    try:
        _run()
    finally:
        gc.freeze()


def _run() -> NoReturn:
    # cogpack uses no plugin of pydantic's; looking for them among all installed packages costs as
    # much as solving.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    prepare_streams()
    # Ending as by Ctrl-C lets a build cancel itself and remove what it wrote in part.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        # Outside of its standalone mode click hands an exit code back instead of exiting.
        outcome = cli.main(standalone_mode=False)
        sys.exit(outcome if isinstance(outcome, int) else 0)
    except click.ClickException as error:
        with last_words():
            error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as ended:
        # click wraps the interrupt that it catches.
        terminated = isinstance(ended.__cause__ or ended, _TerminatedError)
        with last_words():
            click.echo("cogpack: terminated" if terminated else "cogpack: interrupted", err=True)
        sys.exit(143 if terminated else 130)
    except OutputError as error:
        # The reader of our output may leave (`cogpack plan | head`): nobody is there to be told.
        if not error.is_deserted:
            message = f"the output cannot be written: {error.reason}"
            _tell(BuilderError(message, hint="see that there is room where it is written to"))
        abandon_output()
        sys.exit(141 if error.is_deserted else BuilderError.exit_code)
    except Failure as failure:
        if os.environ.get("COGPACK_DEBUG"):
            raise
        _tell(failure)
        sys.exit(failure.exit_code)
    except Exception as error:  # the last line of defence against a traceback
        if os.environ.get("COGPACK_DEBUG"):
            raise
        _tell(CogpackError(f"{type(error).__name__}: {error}"))
        sys.exit(CogpackError.exit_code)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM came; whoever cleans up after Ctrl-C cleans up after it too."""


def _terminated(*_: object) -> None:
    raise _TerminatedError


def _tell(failure: Failure) -> None:
    with last_words():
        for line in _failure_lines(failure):
            click.echo(line, err=True)


def _failure_lines(failure: Failure) -> Iterator[str]:
    for fault in failure.faults:
        first, *rest = safe_lines(str(fault)) or [""]
        yield f"error: {first}"
        yield from (f"  {line}" for line in rest)
        yield from (f"  hint: {line}" for line in safe_lines(fault.hint))
    if isinstance(failure, CogpackError):
        yield f"This is a fault of cogpack {__version__} and not of your project. Please report it,"
        yield "with the command, cog.yaml and the output of the same command with COGPACK_DEBUG=1."
