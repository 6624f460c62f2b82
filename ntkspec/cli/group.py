"""What becomes of an error or a Ctrl-C on the command line."""

from __future__ import annotations

from typing import Any

import click

from ntkspec.errors import NtkspecError, TableError

__all__ = ["ErrorsAsSentences"]

INTERRUPTED, TERMINATED = 130, 143


class BadParameter(click.ClickException):
    """A sentence on the standard error stream, exit code 2."""

    exit_code = 2


class BadFile(click.ClickException):
    """A sentence on the standard error stream, exit code 3."""

    exit_code = 3


class ErrorsAsSentences(click.Group):
    """A group that exits 2 for a bad parameter, 3 for a bad file, 130 for Ctrl-C, 143 for SIGTERM.

    A command leaves in ``ctx.obj`` what to say after Ctrl-C.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its errors become one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except TableError as error:
            raise BadFile(str(error)) from None
        except NtkspecError as error:
            raise BadParameter(str(error)) from None
        except BrokenPipeError:
            raise  # click ends quietly
        except OSError as error:
            raise BadFile(str(error)) from None
        except KeyboardInterrupt as interrupt:
            click.echo(ctx.obj or "interrupted", err=True)
            code = next(iter(interrupt.args), INTERRUPTED)
            raise click.exceptions.Exit(code) from None
