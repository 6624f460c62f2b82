"""The command line in this process."""

from click.testing import CliRunner, Result

from ntkspec.cli import main


def ntkspec(*arguments: object) -> Result:
    """Run ``ntkspec`` with arguments; raise any exception that the command does not handle."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
