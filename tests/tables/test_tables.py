"""Opening, selecting and exporting tables, and files that are none."""

import csv
import io
import json
import math
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from sweeping import table_of
from table_numbers import altered, sealed

from ntkspec.cli import main
from ntkspec.errors import NtkspecError, TableError
from ntkspec.networks import Network
from ntkspec.opening import open_table
from ntkspec.spectra import spectrum
from ntkspec.sweeps import Local, run_sweep

RECIPE = """
dims = [2, 3, 4, 5, 6, 7, 400]
degrees = "0:60"
[checks]
samples = 1
digits = 30
[[networks]]
activation = "leaky_relu"
slope = 0.3
[[networks]]
activation = "tanh"
[[networks]]
activation = "tanh"
weight_variance = 2.0
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return table_of(RECIPE, tmp_path_factory.mktemp("tables"))


def test_names_and_networks(path):
    with open_table(path) as table:
        assert table.networks == {
            "leaky_relu(slope=0.3)": Network("leaky_relu", slope=0.3),
            "tanh": Network("tanh"),
            "tanh(weight_variance=2.0)": Network("tanh", weight_variance=2.0),
        }
        assert table.attributes["format"] == "ntkspec-spectra"
        assert "numpy" in json.loads(table.attributes["versions"])
        assert table.attributes["recipe"] == RECIPE


def test_selecting_by_network_dimension_and_degree(path):
    with open_table(path) as table:
        for network in ("tanh", Network("tanh")):
            part = table.select(network, dim=[3, 400], degrees=[1, 5, 58])
            for i, dim in enumerate((3, 400)):
                direct = spectrum("tanh", dim, [1, 5, 58])
                np.testing.assert_allclose(part.eigenvalues[i], direct.eigenvalues, rtol=1e-13)
        one = table.select("leaky_relu", dim=5, degrees=4)
        assert one.eigenvalues.shape == (1, 1)
        assert table.select("tanh").eigenvalues.shape == (7, 60)


@pytest.mark.parametrize(
    "arguments,words",
    [
        (dict(network="relu"), ["relu", "tanh"]),
        (dict(network="tanh(weight_variance=3.0)"), ["weight_variance=2.0"]),
        (dict(network=Network("sigmoid")), ["sigmoid", "leaky_relu(slope=0.3)"]),
        (dict(network="tanh", dim=8), ["dim = 8", "2 to 400"]),
        (dict(network="tanh", degrees=[3, 60]), ["degree = 60", "0 to 59"]),
        (dict(network="tanh", dim=2.5), ["dims = 2.5"]),
        (dict(network="tanh", degrees=[]), ["degree"]),
    ],
)
def test_what_is_not_there_is_said_with_what_is(path, arguments, words):
    with open_table(path) as table, pytest.raises(NtkspecError) as caught:
        table.select(**arguments)
    for word in words:
        assert word in str(caught.value)


def test_csv_keeps_every_digit(path):
    text = io.StringIO()
    with open_table(path) as table:
        table.export(text, "csv", network="tanh", dim=3)
        part = table.select("tanh", dim=3)
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert len(rows) == 60
    assert [float(r["eigenvalue"]) for r in rows] == part.eigenvalues[0].tolist()
    assert [float(r["log_eigenvalue"]) for r in rows] == part.log_eigenvalues[0].tolist()


def test_json_is_strict(path):
    text = io.StringIO()
    with open_table(path) as table:
        table.export(text, "json", degrees=[0, 1])

    def refuse(constant):
        raise AssertionError(constant)

    rows = json.loads(text.getvalue(), parse_constant=refuse)
    assert len(rows) == 3 * 7 * 2
    zero = next(r for r in rows if r["network"] == "tanh" and r["degree"] == 0)
    assert zero["eigenvalue"] == 0 and zero["log_eigenvalue"] is None
    with open_table(path) as table, pytest.raises(NtkspecError, match="xml"):
        table.export(text, "xml")


def test_nothing_is_written_of_what_is_not_there(path):
    for layout in ("csv", "json"):
        text = io.StringIO()
        with open_table(path) as table, pytest.raises(NtkspecError, match="sigmoid"):
            table.export(text, layout, network="sigmoid")
        assert text.getvalue() == ""


def test_dimension_scales_as_netcdf4_has_them(path):
    with h5py.File(path, "r") as file:
        for group in file.values():
            for name in ("eigenvalue", "log_eigenvalue"):
                assert group[name].dims[0][0] == group["dim"]
                assert group[name].dims[1][0] == group["degree"]
            assert group["dim"].is_scale


def test_reading_one_row_reads_no_more(path):
    """Selection goes through HDF5, never through the whole array."""
    with open_table(path) as table:
        assert sum(isinstance(one, np.ndarray) for one in vars(table._source).values()) == 0
        assert table.select("tanh", dim=400, degrees=[3]).eigenvalues.nbytes == 8


@pytest.mark.parametrize("kind", ["missing", "text", "cut", "other", "newer", "folder"])
def test_files_that_are_no_tables(path, tmp_path, kind):
    bad = tmp_path / "bad.h5"
    if kind == "text":
        bad.write_text("not a table")
    elif kind == "cut":
        bad.write_bytes(path.read_bytes()[:3000])
    elif kind == "folder":
        bad.mkdir()
    elif kind in ("other", "newer"):
        with h5py.File(bad, "w") as file:
            file.attrs["format"] = "ntkspec-spectra" if kind == "newer" else "something"
            file.attrs["format_version"] = 99
        sealed(bad)
    with pytest.raises(TableError) as caught:
        open_table(bad)
    assert "bad.h5" in str(caught.value)


def test_a_flipped_byte_is_found(path, tmp_path):
    bad = tmp_path / "bad.h5"
    bad.write_bytes(path.read_bytes())
    with altered(bad) as file:
        value = file["tanh/eigenvalue"][3, 7]
        file["tanh/eigenvalue"][3, 7] = math.nextafter(value, 1.0)
    with open_table(bad) as table, pytest.raises(TableError, match=r"tanh.*checksum"):
        table.verify_checksums()


SLICES = """
import resource, sys
import ntkspec

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

with ntkspec.open_table(sys.argv[1]) as table:
    table.select("relu", dim=2, degrees=0)
    before = peak()
    row = table.select("relu", dim=40_000)
    column = table.select("relu", degrees=7777)
    corner = table.select("relu", dim=range(500, 600), degrees=range(0, 10_000, 100))
    assert (row.eigenvalues.shape, column.eigenvalues.shape) == ((1, 10_000), (62_500, 1))
    assert row.eigenvalues[0, 7776] == table.select("relu", 40_000, 7776).eigenvalues[0, 0]
    print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["single", "virtual"])
def test_slices_of_ten_gigabytes_take_little_memory(tmp_path, layout):
    if shutil.disk_usage(tmp_path).free < 25e9:
        pytest.skip("needs 25 GB of disk")
    (tmp_path / "r.toml").write_text(
        'dims = "2:62502"\ndegrees = "0:10000"\ncompression = "none"\nchecks = {samples = 0}\n'
        'networks = [{activation = "relu"}]'
    )
    run_sweep(tmp_path / "r.toml", tmp_path / "t.h5", Local(2), layout=layout)
    done = subprocess.run(
        [sys.executable, "-c", SLICES, tmp_path / "t.h5"], capture_output=True, text=True
    )
    shutil.rmtree(tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 40  # MB, of a table of 10,000


@pytest.mark.parametrize(
    ("name", "value"),
    [("dim", 10**6 + 1), ("dim", 2**53), ("degree", 10**6 + 1), ("degree", 2**53 - 1)],
)
def test_an_axis_beyond_what_recipes_allow(path, tmp_path, name, value):
    shutil.copy(path, tmp_path / "t.h5")
    with altered(tmp_path / "t.h5") as file:
        file[f"leaky_relu(slope=0.3)/{name}"][-1] = value
    with (
        open_table(tmp_path / "t.h5") as table,
        pytest.raises(
            TableError, match=f"{name} is not an increasing list of whole numbers from . to"
        ),
    ):
        table.select("leaky_relu")


@pytest.mark.parametrize("value", [1e308, -1e308, math.inf, 1e10, -1e10])
def test_a_logarithm_that_no_eigenvalue_has(path, tmp_path, value):
    shutil.copy(path, tmp_path / "t.h5")
    with altered(tmp_path / "t.h5") as file:
        file["leaky_relu(slope=0.3)/log_eigenvalue"][1, 3] = value
    with open_table(tmp_path / "t.h5") as table:
        with pytest.raises(TableError, match="has logarithms larger than 1e"):
            table.select("leaky_relu")
        assert table.select("leaky_relu", dim=[2, 4]).log_eigenvalues.shape == (2, 60)


@pytest.mark.parametrize(
    "versions",
    ['{"ntkspec": "\\ud800"}', '{"ntkspec": "1", "\\udfff": "1"}', '{"ntkspec": "\\u001b[2J"}'],
)
def test_versions_that_are_no_text(path, tmp_path, versions):
    shutil.copy(path, tmp_path / "t.h5")
    with altered(tmp_path / "t.h5") as file:
        file.attrs["versions"] = versions
    with open_table(tmp_path / "t.h5") as table, pytest.raises(TableError, match="versions"):
        table.attributes  # noqa: B018


@pytest.mark.parametrize("name", ["versions", "command", "recipe"])
def test_attributes_that_are_not_utf8(path, tmp_path, name):
    shutil.copy(path, tmp_path / "t.h5")
    with altered(tmp_path / "t.h5") as file:
        file.attrs.create(name, b'{"ntkspec": "\xff"}', dtype=h5py.string_dtype())
    with open_table(tmp_path / "t.h5") as table, pytest.raises(TableError, match=r"t\.h5: "):
        table.attributes  # noqa: B018


@pytest.mark.parametrize("ending", ["csv", "nc", "parquet"])
def test_a_name_that_is_not_utf8(path, tmp_path, ending):
    """Every kind of file can have any name that the system allows."""
    out = tmp_path / os.fsdecode(b"a\xff." + ending.encode())
    kinds = {"csv": "csv", "nc": "netcdf", "parquet": "parquet"}
    found = CliRunner().invoke(
        main, ["export", str(path), "-o", str(out), "--format", kinds[ending]]
    )
    assert found.exit_code == 0, found.output
    assert out.stat().st_size > 1000
