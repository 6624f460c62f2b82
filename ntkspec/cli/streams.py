"""The standard streams; output that cannot be written sets the exit code."""

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
    """Print a line, with control characters escaped."""
    click.echo(printable(text, newlines=newlines), err=err)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Run a command; exit 3 if its output cannot be written, 1 if its reader is gone."""
    _open_closed_streams()
    if sys.stdout is None:
        _end("the standard output is closed; redirect it to /dev/null to discard it")
    try:
        yield
    except SystemExit as end:
        failed = flush_failed()
        if failed is not None and not end.code:
            _end_for(failed)
        raise
    except OSError as error:  # after --help, for instance
        _end_for(flush_failed() or error)


def flush_failed() -> OSError | None:
    """Flush the standard output; on failure discard the rest and return the error."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Otherwise Python tries again at exit and prints a traceback.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return error
    return None


def _open_closed_streams() -> None:
    """Open closed standard streams, so that no other file gets their descriptors."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")


def _end_for(error: OSError) -> None:
    if error.errno == errno.EPIPE:
        sys.exit(PIPE_BROKEN)
    _end(f"the standard output cannot be written ({error.strerror or error})")


def _end(message: str) -> None:
    say(f"Error: {message}", err=True)
    sys.exit(NOT_WRITTEN)
