"""The command line: reads options, calls the library, prints the results.

Each command has a module; heavy libraries are imported when a command runs.
"""

import click

import ntkspec
from ntkspec.cli.certify import certify
from ntkspec.cli.compare import compare
from ntkspec.cli.data import data
from ntkspec.cli.eig import eig
from ntkspec.cli.explore import explore
from ntkspec.cli.export import export
from ntkspec.cli.fit import fit
from ntkspec.cli.group import ErrorsAsMessages
from ntkspec.cli.info import info
from ntkspec.cli.merge import merge
from ntkspec.cli.plot import plot
from ntkspec.cli.predict import predict
from ntkspec.cli.scan import scan
from ntkspec.cli.sweep import sweep
from ntkspec.cli.train import train
from ntkspec.cli.verify import verify

__all__ = ["main"]


@click.group(
    cls=ErrorsAsMessages,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(ntkspec.__version__, prog_name="ntkspec")
def main() -> None:
    """Spectra of neural tangent kernels on the sphere, to full relative accuracy.

    \b
    Examples to begin with:
      ntkspec eig relu --dim 3 --degrees 0:5           # eigenvalues, with error bounds
      ntkspec data X.npy --network relu                # eigenvalues on your own vectors
      ntkspec explore atlas -o explorer.html           # a page about the installed table
      ntkspec export atlas --network tanh --dim 3 -o - # its numbers
      ntkspec predict times tanh --degrees 1:12:2      # time to learn each degree
      ntkspec sweep RECIPE.toml -o table.h5            # a table of your own
      ntkspec train RECIPE.toml -o run.h5              # train finite networks

    Each command's --help has an example.  Exit codes: 0; 1 if a check failed; 2 for an argument
    that is not allowed; 3 for a file that is missing or damaged, or an output that cannot be
    written; 130 after Ctrl-C and 143 after SIGTERM, with a message on how to resume.
    """


for _command in (
    eig, data, certify, predict, sweep, scan, merge, verify, info, export, fit, train, compare,
    plot, explore,
):  # fmt: skip
    main.add_command(_command)
