"""The same table read in every way that users have: bit for bit what `select` gives."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
import textwrap
import warnings

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import xarray as xr
from click.testing import CliRunner
from numpy.testing import assert_array_equal
from paths import DOCS
from sweeping import make_table

from ntkspec.cli import main
from ntkspec.errors import NtkspecError, TableError
from ntkspec.opening import open_table
from ntkspec.sweeps.merge import merge
from ntkspec.tables import part

RECIPE = """
dims = [2, 3, 4, 7, 40]
degrees = "0:60"
checks = {samples = 0}
networks = [
    {activation = "leaky_relu", slope = 0.3},
    {activation = "tanh"},
    {activation = "erf", depth = 2, kernel = "nngp"},
]
"""
NAMES = ["erf(depth=2,kernel=nngp)", "leaky_relu(slope=0.3)", "tanh"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ways")
    (path / "r.toml").write_text(RECIPE)
    make_table(path / "r.toml", path / "single.h5")
    make_table(path / "r.toml", path / "virtual.h5", layout="virtual")
    return path


@pytest.fixture(scope="module")
def table(folder):
    with open_table(folder / "single.h5") as opened:
        yield opened


def assert_same(dataset, part):
    """Every number's bits, infinities included."""
    assert_array_equal(dataset.dim, part.dims)
    assert_array_equal(dataset.degree, part.degrees)
    for name in ("eigenvalue", "log_eigenvalue", "relative_error"):
        got, wanted = dataset[name].to_numpy(), part.variables()[name][1]
        assert got.dtype == np.float64
        assert_array_equal(got.view(np.int64), wanted.view(np.int64))


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("layout", ["single", "virtual"])
@pytest.mark.parametrize("name", NAMES)
def test_xarray_without_the_package(folder, table, engine, layout, name):
    with warnings.catch_warnings():
        if engine == "h5netcdf":
            warnings.simplefilter("error")
        else:  # netCDF4's library leaves compound types out, and says so
            warnings.simplefilter("ignore")
        with xr.open_dataset(folder / f"{layout}.h5", group=name, engine=engine) as found:
            assert_same(found.load(), table.select(name))
            assert found.attrs["activation"] == name.partition("(")[0]
            assert found.log_eigenvalue.attrs["long_name"].startswith("natural logarithm")
            assert found.eigenvalue.dims == ("dim", "degree")


def test_xarray_needs_nothing_of_ours(folder):
    code = (
        "import sys, xarray\n"
        f"d = xarray.open_dataset({str(folder / 'single.h5')!r}, group='tanh', engine='h5netcdf')\n"
        "print(float(d.eigenvalue.sel(dim=3, degree=11)), 'ntkspec' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, ours = found.stdout.split()
    assert (float(value), ours) == (pytest.approx(1.00151518753135e-06, rel=4e-15), "False")


def test_all_groups_as_a_tree(folder, table):
    with xr.open_datatree(folder / "single.h5", engine="h5netcdf") as tree:
        assert list(tree.children) == NAMES
        assert_same(tree["tanh"].to_dataset(), table.select("tanh"))


def test_one_network_as_a_dataset(table):
    found = table.to_xarray("tanh", dim=[3, 40], degrees=[1, 11])
    assert_same(found, table.select("tanh", [3, 40], [1, 11]))
    assert found.attrs["depth"] == 1
    assert found.attrs["kernel"] == "ntk"


def test_all_networks_as_a_dataset(table):
    found = table.to_xarray()
    assert list(found.network.to_numpy()) == NAMES
    for name in NAMES:
        assert_same(found.sel(network=name), table.select(name))
    assert found.kernel.to_numpy().tolist() == ["nngp", "ntk", "ntk"]
    assert math.isnan(found.slope.sel(network="tanh"))
    deep = found.where(found.depth == 2, drop=True)
    assert deep.network.to_numpy().tolist() == [NAMES[0]]


def test_networks_of_different_grids_are_not_joined(folder, tmp_path):
    (tmp_path / "r.toml").write_text(
        'dims = [3]\ndegrees = "0:4"\nchecks = {samples = 0}\nnetworks = [{activation = "gelu"}]'
    )
    make_table(tmp_path / "r.toml", tmp_path / "other.h5")
    merge([folder / "single.h5", tmp_path / "other.h5"], tmp_path / "both.h5")
    with open_table(tmp_path / "both.h5") as both:
        with pytest.raises(NtkspecError, match="gelu has other dimensions or degrees than"):
            both.to_xarray()
        assert both.to_xarray(dim=3, degrees=range(4)).sizes["network"] == 4
        assert len(both.to_pandas()) == 3 * 5 * 60 + 4
        both.to_netcdf(tmp_path / "both.nc")
        with xr.open_dataset(tmp_path / "both.nc", group="gelu", engine="h5netcdf") as found:
            assert_same(found.load(), both.select("gelu"))


def test_pandas(table):
    frame = table.to_pandas()
    assert frame.columns.tolist() == [
        "network", "dim", "degree", "eigenvalue", "log_eigenvalue", "relative_error",
    ]  # fmt: skip
    rows = list(table.rows())
    assert len(frame) == len(rows)
    for mine, theirs in zip(frame.itertuples(index=False), rows, strict=True):
        assert tuple(mine) == theirs
    one = table.to_pandas("tanh", dim=3, degrees=[1])
    assert one.eigenvalue[0] == table.select("tanh", 3, [1]).eigenvalues[0, 0]


def run(*arguments):
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


@pytest.mark.parametrize("rows", [1, 7, part.CHUNK_ROWS])
@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_netcdf_of_one_and_of_all(folder, table, tmp_path, monkeypatch, engine, rows):
    monkeypatch.setattr(part, "CHUNK_ROWS", rows)
    monkeypatch.setattr(part, "PIECE", 1)
    done = run(
        folder / "single.h5", "-o", tmp_path / "tanh.nc", "--network", "tanh", "--format", "netcdf",
        "--dim", "3,7,40", "--degrees", "1:60:2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_dataset(tmp_path / "tanh.nc", engine=engine) as found:
            assert_same(found.load(), table.select("tanh", [3, 7, 40], range(1, 60, 2)))
            assert found.attrs["activation"] == "tanh"
        table.to_netcdf(tmp_path / "all.nc")
        for name in NAMES:
            with xr.open_dataset(tmp_path / "all.nc", group=name, engine=engine) as found:
                assert_same(found.load(), table.select(name))


@pytest.mark.parametrize("rows", [1, 7, part.CHUNK_ROWS])
def test_parquet(folder, table, tmp_path, monkeypatch, rows):
    monkeypatch.setattr(part, "CHUNK_ROWS", rows)
    monkeypatch.setattr(part, "PIECE", 1)
    done = run(folder / "single.h5", "-o", tmp_path / "all.parquet", "--format", "parquet")
    assert done.exit_code == 0, done.output
    frame = pd.read_parquet(tmp_path / "all.parquet")
    mine = table.to_pandas()
    assert frame.network.astype(str).tolist() == mine.network.astype(str).tolist()
    for name in mine.columns[1:]:
        assert_array_equal(frame[name].to_numpy(), mine[name].to_numpy())
    about = json.loads(pyarrow.parquet.read_schema(tmp_path / "all.parquet").metadata[b"ntkspec"])
    assert about["networks"][NAMES[0]]["depth"] == 2


def test_csv_by_pandas(folder, table, tmp_path):
    assert run(folder / "single.h5", "-o", tmp_path / "all.csv").exit_code == 0
    frame = pd.read_csv(tmp_path / "all.csv")
    mine = table.to_pandas()
    for name in mine.columns[1:]:
        assert_array_equal(frame[name].to_numpy(), mine[name].to_numpy())
    with (tmp_path / "all.csv").open() as file:
        assert next(csv.reader(file)) == mine.columns.tolist()


@pytest.mark.parametrize("layout", ["netcdf", "parquet"])
@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (["--network", "sigmoid"], "network = 'sigmoid' is not in the table"),
        (["--dim", "5"], "dim = 5 is not in the table"),
        (["--degrees", "0:61"], "degree = 60 is not in the table"),
    ],
)
def test_nothing_is_written_of_what_is_not_there(folder, tmp_path, layout, selection, words):
    done = run(folder / "single.h5", "-o", tmp_path / "x", "--format", layout, *selection)
    assert done.exit_code == 2
    assert words in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layout", ["netcdf", "parquet"])
def test_binary_files_need_a_file(folder, layout):
    done = run(folder / "single.h5", "-o", "-", "--format", layout)
    assert done.exit_code == 2
    assert f"output = '-' is not allowed; {layout} needs a file" in done.output


@pytest.mark.parametrize("write", ["to_netcdf", "to_parquet"])
def test_a_selection_that_is_misspelt_is_refused(table, tmp_path, write):
    with pytest.raises(TypeError, match="dims"):
        getattr(table, write)(tmp_path / "x", dims=3)
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(table, tmp_path):
    with pytest.raises((TableError, OSError)):
        table.to_netcdf(tmp_path / "no folder" / "x.nc")


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("xarray", lambda t, p: t.to_xarray()),
        ("pandas", lambda t, p: t.to_pandas()),
        ("pyarrow", lambda t, p: t.to_parquet(p)),
    ],
)
def test_a_missing_library_is_named(table, tmp_path, monkeypatch, library, call):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(NtkspecError, match=rf"needs {library}; pip install 'ntkspec\[tables\]'"):
        call(table, tmp_path / "x")


def test_descriptions_do_not_touch_what_checksums_cover(folder):
    with open_table(folder / "single.h5") as opened:
        opened.verify_checksums()
    with h5py.File(folder / "single.h5") as file:
        assert file["tanh/eigenvalue"].attrs["units"] == "1"


def test_the_manual_runs(tmp_path, monkeypatch, capsys):
    """Every block of Python and every command of docs/elsewhere.rst, in order."""
    page = (DOCS / "elsewhere.rst").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "r.toml").write_text(
        'dims = [2, 3, 10]\ndegrees = "0:60"\nchecks = {samples = 0}\n'
        'networks = [{activation = "relu"}, {activation = "tanh"}]'
    )
    make_table("r.toml", tmp_path / "out" / "spectra.h5")
    blocks = re.findall(r"\.\. code-block:: (python|console)\n\n((?: +.*\n|\n)+)", page)
    assert [kind for kind, _ in blocks] == ["python", "python", "console", "python"]
    scope = {}
    for kind, block in blocks:
        code = textwrap.dedent(block)
        if kind == "python":
            exec(compile(code, "elsewhere.rst", "exec"), scope)
            continue
        for line in code.split("\n"):
            if line:
                words = line.removeprefix("$ ntkspec ").split()
                result = CliRunner().invoke(main, words)
                assert result.exit_code == 0, (line, result.output)
    value, one = capsys.readouterr().out.splitlines()[:2]
    assert (float(value), one) == (pytest.approx(1.00151518753135e-06, rel=4e-15), "1.0 (3, 60)")
    assert len(scope["rows"]) == 2 * 2 * 60
