"""Errors and Ctrl-C on the command line."""

from __future__ import annotations

import difflib
import errno
import gc
from typing import Any

import click

from ntkspec.cli.interrupts import INTERRUPTED, ending_soon, hide_errors_of_finalizers
from ntkspec.cli.streams import flush_failed, say, standard_streams
from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.text import printable

__all__ = ["ErrorsAsMessages"]


#: How alike, between 0 and 1, an option is to what was written, to be offered.
LEAST_ALIKE = 0.75
#: Error numbers of a stream that cannot be written.
OF_STREAMS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF)


class BadParameter(click.ClickException):
    """A message on the standard error stream, exit code 2."""

    exit_code = 2


class BadFile(click.ClickException):
    """A message on the standard error stream, exit code 3."""

    exit_code = 3


class ErrorsAsMessages(click.Group):
    """A group that exits 2 for a bad parameter, 3 for a bad file, 130 for Ctrl-C, 143 for SIGTERM.

    A command stores in ``ctx.obj`` the message for Ctrl-C.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the program with its standard streams open."""
        # An import makes many objects and no garbage, for which the collector need not look.
        gc.set_threshold(100_000, *gc.get_threshold()[1:])
        with standard_streams():
            return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors become a message and an exit code."""
        try:
            with ending_soon("interrupted"):
                return super().invoke(ctx)
        except click.NoSuchOption as error:
            raise _with_advice(error) from None
        except TableError as error:
            raise BadFile(printable(str(error))) from None
        except NtkspecError as error:
            raise BadParameter(printable(str(error))) from None
        except BrokenPipeError:
            raise  # click exits without a message
        except OSError as error:
            raise BadFile(printable(_message(error))) from None
        except KeyboardInterrupt as interrupt:
            hide_errors_of_finalizers()
            say(ctx.obj or "interrupted", err=True)
            code = next(iter(interrupt.args), INTERRUPTED)
            raise click.exceptions.Exit(code) from None


def _with_advice(error: click.NoSuchOption) -> click.NoSuchOption:
    """Offer the nearest option only, or say that an argument goes without its name."""
    name, message, ctx = error.option_name, error.message, error.ctx
    if ctx is None:
        return error
    argument, known = name.lstrip("-").upper(), ctx.command.params
    for one in known:
        if isinstance(one, click.Argument) and one.make_metavar(ctx).strip("[]") == argument:
            message += f" {argument} is an argument: give it without {name}."
    names = [opt for one in known for opt in one.opts if opt.startswith("--")]
    nearest = difflib.get_close_matches(name, names, 1, LEAST_ALIKE)
    return click.NoSuchOption(name, message, nearest, ctx)


def _message(error: OSError) -> str:
    """Message for an error of a file or of the standard output."""
    failed = flush_failed() or error
    if failed.filename is None and failed.errno in OF_STREAMS:
        return f"the standard output cannot be written ({failed.strerror})"
    named = error.filename is not None and error.strerror is not None
    return f"{error.filename}: {error.strerror}" if named else str(error)
