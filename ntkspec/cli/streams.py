"""The standard streams: what is printed arrives, or the exit code says that it did not."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ntkspec.files.text import printable

__all__ = ["flush_failed", "say", "standard_streams"]

NOT_WRITTEN, PIPE_BROKEN = 3, 1


def say(text: str, *, err: bool = False, newlines: bool = False) -> None:
    """Print a line; what a terminal would obey is shown as its escape."""
    click.echo(printable(text, newlines=newlines), err=err)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Run a command; exit 3 where its output does not arrive, and 1 where its reader has left."""
    _fill()
    if sys.stdout is None:
        _end("the standard output is closed; send it to /dev/null if it is not wanted")
    try:
        yield
    except SystemExit as end:
        failed = flush_failed()
        if failed is not None and not end.code:
            _end_for(failed)
        raise
    except OSError as error:  # of the help, for instance
        _end_for(flush_failed() or error)


def flush_failed() -> OSError | None:
    """Flush the standard output; return why it cannot be written, and forget what is left of it."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Else Python would try again at its end, and print a traceback.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return error
    return None


def _fill() -> None:
    """Open what is closed, so that no file gets the number of a standard stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")


def _end_for(error: OSError) -> None:
    if error.errno == errno.EPIPE:
        sys.exit(PIPE_BROKEN)
    _end(f"the standard output cannot be written ({error.strerror or error})")


def _end(sentence: str) -> None:
    say(f"Error: {sentence}", err=True)
    sys.exit(NOT_WRITTEN)
