"""Tables that a recipe describes, against the tables that are stored from it."""

import io
import time
from threading import Thread

import numpy as np
import pytest
from command_line import ntkspec as invoke
from sweeping import table_of

import ntkspec
from ntkspec.errors import NtkspecError, TableError
from ntkspec.explorer import read_contents
from ntkspec.laws.fit import fit
from ntkspec.opening import open_table
from ntkspec.sweeps import computed
from ntkspec.verification import verify_table

RECIPE = """
dims = [2, 3, 4, 5, 6, 9, 17, 18, 19, 20]
degrees = "0:23"
block_eigenvalues = 60
checks = {samples = 0}

[[networks]]
activation = ["relu", "tanh"]
kernel = ["ntk", "nngp"]

[[networks]]
activation = "relu"
depth = 2
bias_variance = 0.1

[[networks]]
activation = "leaky_relu"
domain = ["cube", "gaussian"]
"""
LARGE = """
dims = "2:1000001"
degrees = "0:100001"
networks = [{activation = ["relu", "tanh"], weight_variance = [1.0, 2.0]}]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe, r.toml, with its stored table t.h5 beside it."""
    folder = tmp_path_factory.mktemp("computed")
    table_of(RECIPE, folder)
    return folder / "r.toml"


@pytest.fixture
def both(recipe):
    with open_table(recipe) as one, open_table(recipe.with_name("t.h5")) as two:
        yield one, two


def test_blocks_are_those_of_the_stored_table(both):
    for name in both[0].names():
        one, two = (table.blocks(name) for table in both)
        for key in ("row", "row_end", "column", "column_end"):
            np.testing.assert_array_equal(one[key], two[key])


def test_every_number_is_the_stored_one(both):
    one, two = both
    assert one.names() == two.names()
    assert one.networks == two.networks
    for name in one.names():
        assert one.select(name) == two.select(name)
        assert one.size(name) == two.size(name) and one.key(name) == two.key(name)
        np.testing.assert_array_equal(one.relative_error(name), two.relative_error(name))
        corners = ["row", "row_end", "column", "column_end"]
        np.testing.assert_array_equal(one.blocks(name)[corners], two.blocks(name)[corners])
        assert one.checks(name) == []


def test_any_selection_is_the_stored_one(both):
    one, two = both
    rng = np.random.default_rng(0)
    for name in one.names() * 4:
        dims = rng.permutation(one.dims(name))[: rng.integers(1, 8)]
        degrees = rng.permutation(one.degrees(name))[: rng.integers(1, 20)]
        mine, stored = one.select(name, dims, degrees), two.select(name, dims, degrees)
        assert mine.eigenvalues.tobytes() == stored.eigenvalues.tobytes()
        assert mine.log_eigenvalues.tobytes() == stored.log_eigenvalues.tobytes()
        assert np.all(mine.relative_error <= stored.relative_error)
        assert np.all(mine.relative_error > 0)


def test_pieces_exports_and_data_frames_are_the_stored_ones(both, tmp_path):
    one, two = both
    selection = dict(network="tanh", kernel="nngp", dim=[3, 5, 20], degrees="1:9")
    texts = [io.StringIO() for _ in both]
    for table, text in zip(both, texts):
        table.export(text, **selection)
    assert texts[0].getvalue() == texts[1].getvalue()
    assert len(texts[0].getvalue().splitlines()) == 25
    for mine, stored in zip(one.parts(), two.parts(), strict=True):
        for (rows, piece), (places, other) in zip(mine.pieces(), stored.pieces(), strict=True):
            assert rows == places and piece == other
    assert one.to_pandas().equals(two.to_pandas())
    for number, table in enumerate(both):
        table.to_netcdf(tmp_path / f"{number}.nc", "relu")
    xarray = pytest.importorskip("xarray")
    with xarray.open_dataset(tmp_path / "0.nc") as a, xarray.open_dataset(tmp_path / "1.nc") as b:
        assert a.equals(b)


def test_datasets_are_computed_when_they_are_needed(both, monkeypatch):
    pytest.importorskip("xarray")
    one, two = both
    calls = []
    compute = computed.ComputedTable.block
    monkeypatch.setattr(
        computed.ComputedTable, "block", lambda *a: calls.append(a[1]) or compute(*a)
    )
    lazy = one.to_xarray("relu", kernel="ntk")
    assert not calls and lazy.eigenvalue.chunks
    assert lazy.equals(two.to_xarray("relu", kernel="ntk"))
    for wanted in (dict(dim=5, degree=[7, 0]), dict(dim=[2, 9], degree=4), dict(dim=17, degree=2)):
        one_part, stored = (t.to_xarray("relu", kernel="ntk").sel(wanted) for t in both)
        assert one_part.equals(stored)
    on_sphere = [name for name in one.names() if one.domain(name) == "sphere"]
    joined = one.to_xarray(kernel="nngp")
    assert joined.equals(two.to_xarray(kernel="nngp")) and len(on_sphere) > 2


def test_only_a_few_blocks_are_kept(recipe, monkeypatch):
    monkeypatch.setattr(computed, "KEPT", 16 * 150)
    with open_table(recipe) as table:
        table.select("relu")
        source = table._source
        assert sum(key.size for key in source._blocks) <= 150
        first = table.select("relu", 2, [0, 1])
        monkeypatch.setattr(computed, "KEPT", 0)
        assert table.select("relu", 2, [0, 1]) == first
        table.select("tanh", 20)
        assert len(source._blocks) == 1
    assert not source._blocks


def test_threads_read_the_same(recipe):
    with open_table(recipe) as table:
        expected = {name: table.select(name) for name in table.names()}
    wrong = []
    with open_table(recipe) as table:

        def read(names):
            wrong.extend(name for name in names if table.select(name) != expected[name])

        names = list(expected)
        threads = [Thread(target=read, args=(names[i:] + names[:i],)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_predictions_fits_checks_and_pages_take_it(both):
    one, two = both
    part = one.select("tanh", 3, degrees="1:20:2")
    times = ntkspec.predict.learning_times(part, step_size=0.5, error=0.1)
    assert times == ntkspec.predict.learning_times(
        two.select("tanh", 3, degrees="1:20:2"), step_size=0.5, error=0.1
    )
    fits = [fit(table, network="relu", kernel="ntk", dim=[3, 4]) for table in both]
    assert repr(fits[0]) == repr(fits[1])
    found = verify_table(one, samples=6, digits=20, workers=1, max_dim=6, max_degree=8)
    assert found.passed and len(found.rows) >= 6
    pages = [read_contents(table, ["relu"], 3, range(9)) for table in both]
    np.testing.assert_array_equal(pages[0].numbers, pages[1].numbers)


def test_the_command_line_takes_it(recipe, tmp_path):
    shown = invoke("info", recipe)
    assert shown.exit_code == 0, shown.output
    assert "computed when it is read" in shown.output and "tanh" in shown.output
    texts = []
    for table in (recipe, recipe.with_name("t.h5")):
        found = invoke("export", table, "-o", "-", "--network", "tanh", "--dim", "3")
        assert found.exit_code == 0, found.output
        texts.append(found.output)
    assert texts[0] == texts[1]
    for command in (
        ("fit", recipe, "--network", "relu", "--dim", "3"),
        ("plot", recipe, "-o", tmp_path / "f.png"),
        ("explore", recipe, "-o", tmp_path / "e.html", "--network", "tanh", "--dim", "3"),
        ("verify", recipe, "--samples", "2", "--network", "relu", "--workers", "1",
         "--max-dim", "4", "--max-degree", "6", "--digits", "20"),
    ):  # fmt: skip
        found = invoke(*command)
        assert found.exit_code == 0, found.output
    assert (tmp_path / "f.png").stat().st_size and (tmp_path / "e.html").stat().st_size
    refused = invoke("export", recipe, "-o", recipe)
    assert refused.exit_code != 0 and recipe.read_text() == RECIPE


def test_a_large_table_opens_at_once_and_refuses_what_does_not_fit(tmp_path):
    path = tmp_path / "large.toml"
    path.write_text(LARGE)
    open_table(path)
    start = time.process_time()
    table = open_table(path)
    assert time.process_time() - start < 0.2
    name = table.name("relu")
    assert table.size(name) == 999_999 * 100_001
    values = table.select(name, [3, 999_999], [0, 2]).eigenvalues
    direct = ntkspec.spectrum("relu", 3, [0, 2]).eigenvalues
    np.testing.assert_allclose(values[0], direct, rtol=1e-12)
    with pytest.raises(NtkspecError, match=r"GB of memory; select fewer"):
        table.select(name)
    with pytest.raises(NtkspecError, match="select some dimensions"):
        table.relative_error(name)
    table.close()
    with pytest.raises(NtkspecError, match="closed"):
        table.select(name)


#: 2 10^12 eigenvalues.
LARGEST = """
dims = "2:1000001"
degrees = "0:1000001"
block_eigenvalues = 16384
networks = [{activation = ["relu", "abs"]}]
"""


def test_a_million_millions_open_in_milliseconds(tmp_path):
    path = tmp_path / "largest.toml"
    path.write_text(LARGEST)
    open_table(path).close()
    start = time.process_time()
    table = open_table(path)
    assert time.process_time() - start < 0.05
    assert sum(table.size(name) for name in table.names()) > 10**12
    with pytest.raises(NtkspecError, match="blocks, too many to list"):
        table.blocks("relu")
    far = table.select("relu", range(900_000, 900_128), range(10**6 - 128, 10**6))
    row = table.select("relu", 10, range(2, 10**6, 99_998))
    column = table.select("relu", range(2, 10**6 + 1, 99_999), 7)
    for part, (i, j) in ((far, (5, 6)), (row, (0, -1)), (column, (-1, 0)), (column, (3, 0))):
        dim, degree = int(part.dims[i]), int(part.degrees[j])
        [log] = ntkspec.spectrum("relu", dim, [degree]).log_eigenvalues
        assert part.log_eigenvalues[i, j] == pytest.approx(log, rel=1e-14, abs=1e-12)


def test_small_parts_of_it_are_exported_and_explored(tmp_path):
    path = tmp_path / "largest.toml"
    path.write_text(LARGEST)
    part = ("--network", "relu", "--dim", "3", "--degrees", "0:5")
    found = invoke("export", path, "-o", "-", *part)
    assert found.exit_code == 0 and found.output.count("\nrelu,3,") == 5
    found = invoke("explore", path, "-o", tmp_path / "e.html", *part)
    assert found.exit_code == 0, found.output
    netcdf = ("export", path, "-o", tmp_path / "t.nc", "--format", "netcdf")
    for command in (netcdf, ("explore", path, "-o", "e.html")):
        found = invoke(*command)
        assert found.exit_code in (2, 3) and "Traceback" not in found.output
    with open_table(path) as table:
        lazy = table.to_xarray("relu", dim=[3, 10], degrees="0:1000001:5000")
        assert float(lazy.eigenvalue[0, 0]) == table.select("relu", 3, 0).eigenvalues[0, 0]
        with pytest.raises(NtkspecError, match=r"GB of memory; select fewer"):
            fit(table)


def test_recipes_that_are_wrong_say_where(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text('dims = "2:9"\ndegrees = "0:9"\nnetworks = [{activation = "rely"}]')
    with pytest.raises(NtkspecError, match=r"wrong.toml:3: .*rely"):
        open_table(path)
    with pytest.raises(TableError, match="No such file"):
        open_table(tmp_path / "missing.toml")
