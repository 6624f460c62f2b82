"""A table, and its netCDF export, read by GNU Octave and by HDF5's and netCDF's own tools."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from paths import ROOT
from sweeping import make_table

from ntkspec.opening import open_table

pytestmark = pytest.mark.readers
RECIPE = """
dims = [2, 3, 40]
degrees = "0:60"
checks = {samples = 1, digits = 30}
networks = [{activation = "leaky_relu", slope = 0.3}, {activation = "tanh"}]
"""


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("readers")
    (path / "r.toml").write_text(RECIPE)
    make_table(path / "r.toml", path / "spectra.h5")
    with open_table(path / "spectra.h5") as table:
        table.to_netcdf(path / "tanh.nc", network="tanh")
    return path


def octave(code, folder):
    found = subprocess.run(
        ["octave", "--no-gui", "--quiet", "--norc", "--eval", code],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


@needs("octave")
@pytest.mark.parametrize(
    ("file", "place", "name"),
    [
        ("spectra.h5", "/tanh/", "tanh"),
        ("spectra.h5", "/leaky_relu(slope=0.3)/", "leaky_relu(slope=0.3)"),
        ("tanh.nc", "/", "tanh"),
    ],
)
def test_octave_reads_every_bit(folder, file, place, name):
    """As the manual shows it; numbers are compared by their bits."""
    code = f"""
        pkg load netcdf
        for name = {{"dim", "degree", "eigenvalue", "log_eigenvalue", "relative_error"}}
          x = ncread("{file}", ["{place}" name{{1}}]);
          printf("%s", name{{1}});
          printf(" %s", num2hex(double(x(:)))');
          printf("\\n");
        end
    """
    # num2hex gives a row of 16 letters for each number; columns are dimensions.
    rows = dict(line.split(" ", 1) for line in octave(code, folder).splitlines())
    with open_table(folder / "spectra.h5") as table:
        part = table.select(name)
    for key, wanted in (
        ("dim", part.dims), ("degree", part.degrees), ("eigenvalue", part.eigenvalues),
        ("log_eigenvalue", part.log_eigenvalues), ("relative_error", part.relative_error),
    ):  # fmt: skip
        text = rows[key].replace(" ", "")
        found = [int(text[i : i + 16], 16) for i in range(0, len(text), 16)]
        bits = np.asarray(wanted, dtype=np.float64).ravel().view(np.uint64)
        assert_array_equal(np.array(found, dtype=np.uint64), bits)


@needs("octave")
def test_the_manual_for_octave(folder):
    page = (ROOT / "docs" / "elsewhere.rst").read_text(encoding="utf-8")
    block = re.search(r"\.\. code-block:: octave\n\n((?: +.*\n|\n)+)", page).group(1)
    printed = octave(textwrap.dedent(block), folder)
    assert "1.001515187531350e-06" in printed


@needs("h5dump")
def test_h5dump_shows_every_digit(folder):
    found = subprocess.run(
        ["h5dump", "-m", "%.17g", "-d", "/tanh/eigenvalue", "spectra.h5"],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    numbers = [
        float(x)
        for row in re.findall(r"\(\d+,\d+\): (.*)", found)
        for x in row.rstrip(",").split(", ")
    ]
    with open_table(folder / "spectra.h5") as table:
        assert_array_equal(numbers, table.select("tanh").eigenvalues.ravel())


@needs("h5dump")
def test_h5dump_shows_the_checks(folder):
    found = subprocess.run(
        ["h5dump", "-d", "/tanh/checks", "spectra.h5"],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    with open_table(folder / "spectra.h5") as table:
        assert table.checks("tanh")[0]["reference"][:20] in found


@needs("ncdump")
def test_ncdump_knows_the_axes(folder):
    found = subprocess.run(
        ["ncdump", "-h", "spectra.h5"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert "double log_eigenvalue(dim, degree)" in found
    assert 'log_eigenvalue:long_name = "natural logarithm' in found
