"""Tables on the cube, under the Gaussian measure and in balls, from the recipe to the readers."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeping import assert_same_bits, make_table
from table_numbers import altered, reseal

import ntkspec
from ntkspec import Cube, Gaussian, Network, NtkspecError, Sphere, spectrum
from ntkspec.cli import main
from ntkspec.domains import DOMAINS, Ball, Family, family
from ntkspec.errors import TableError
from ntkspec.explorer import read_contents
from ntkspec.opening import open_table
from ntkspec.spectra import table_block
from ntkspec.sweeps import Plan, parse_recipe, run_shard
from ntkspec.sweeps.estimate import seconds
from ntkspec.sweeps.merge import merge
from ntkspec.tables.layout import GroupKey
from ntkspec.verification import check_entry, verify_table

RECIPE = """
dims = [2, 3, 7]
degrees = "0:8"
checks = {samples = 2, digits = 20}
[[networks]]
activation = "relu"
domain = ["sphere", "cube", "gaussian"]
[[networks]]
activation = "tanh"
kernel = ["ntk", "nngp"]
domain = "cube"
"""
CUBE = "relu(domain=cube)"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("domains") / "domains.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def made(recipe):
    return make_table(recipe, recipe.with_name("domains.h5"))


@pytest.fixture
def table(made):
    with open_table(made) as opened:
        yield opened


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def exists(domain, dim, degree):
    last = DOMAINS[domain](dim).last_degree
    return last is None or degree <= last


def test_every_entry_is_the_spectrum_of_its_domain(table):
    assert len(table.networks) == 5
    for name in table.networks:
        key, part = table.key(name), table.select(name)
        assert part.domain == key.domain
        for i, dim in enumerate(part.dims.tolist()):
            there = np.array([exists(key.domain, dim, k) for k in part.degrees])
            found = spectrum(key.network, DOMAINS[key.domain](dim), part.degrees[there],
                             kernel=key.kernel)  # fmt: skip
            values, logs = (x.reshape(there.sum(), -1)[:, 0] for x in (
                found.eigenvalues, found.log_eigenvalues))  # fmt: skip
            np.testing.assert_array_equal(part.eigenvalues[i, there], values)
            np.testing.assert_array_equal(part.log_eigenvalues[i, there], logs)
            assert np.isnan(part.eigenvalues[i, ~there]).all()
            assert np.isnan(part.log_eigenvalues[i, ~there]).all()
            assert part.relative_error[i] >= found.relative_error.max() > 0
        assert len(table.checks(name)) == 2


def test_choosing_a_domain(table):
    assert table.select("relu").name == "relu" and table.domain("relu") == "sphere"
    assert table.select("relu", domain="cube").name == CUBE
    assert table.select(Network("relu"), domain="gaussian").domain == "gaussian"
    assert table.select("tanh").name == "tanh(domain=cube)"
    assert table.name("tanh", kernel="nngp") == "tanh(kernel=nngp,domain=cube)"
    assert table.select("relu", domain="cube").network == Network("relu")
    assert table.name(CUBE, domain="sphere") == "relu"
    assert table.names(domain="cube") == [
        CUBE, "tanh(domain=cube)", "tanh(kernel=nngp,domain=cube)"
    ]  # fmt: skip
    assert table.size(CUBE) == 3 + 4 + 8 and table.size("relu") == 24
    for wrong, words in (
        (lambda: table.select("tanh", domain="gaussian"), "domain = 'gaussian' is not in"),
        (lambda: table.select("tanh", domain="bal"), "domain = 'bal' is not allowed"),
        (lambda: table.names(kernel="nngp", domain="sphere"), "is not in the table"),
    ):
        with pytest.raises(NtkspecError, match=words):
            wrong()


def test_lists_leave_out_what_does_not_exist(made, table, tmp_path):
    rows = list(table.rows(CUBE))
    assert [row[1:3] for row in rows] == [(d, k) for d in (2, 3, 7) for k in range(d + 1)]
    frame = table.to_pandas(domain="cube")
    assert len(frame) == 3 * 15 and not frame.eigenvalue.isna().any()
    text = io.StringIO()
    table.export(text, "json", CUBE)
    assert [tuple(one.values())[1:4] for one in json.loads(text.getvalue())] == [
        row[1:4] for row in rows
    ]
    done = run("export", made, "-o", "-", "--domain", "gaussian")
    read = list(csv.DictReader(io.StringIO(done.output)))
    assert len(read) == 24 and {one["network"] for one in read} == {"relu(domain=gaussian)"}
    assert run("export", made, "-o", tmp_path / "t.parquet", "--format", "parquet",
               "--network", "relu", "--domain", "cube").exit_code == 0  # fmt: skip
    parquet = pd.read_parquet(tmp_path / "t.parquet")
    assert parquet.eigenvalue.tolist() == [row[3] for row in rows]
    no_rows = io.StringIO()
    table.export(no_rows, "json", CUBE, dim=2, degrees=5)
    assert json.loads(no_rows.getvalue()) == []


def test_xarray_and_netcdf(made, table, tmp_path):
    with xr.open_dataset(made, group=CUBE, engine="h5netcdf") as found:
        assert found.attrs["domain"] == "cube"
        assert np.isnan(found.eigenvalue.sel(dim=2, degree=3))
        np.testing.assert_array_equal(found.eigenvalue, table.select(CUBE).eigenvalues)
    table.to_netcdf(tmp_path / "all.nc")
    with xr.open_dataset(tmp_path / "all.nc", group=CUBE, engine="h5netcdf") as found:
        np.testing.assert_array_equal(found.log_eigenvalue, table.select(CUBE).log_eigenvalues)
    joined = table.to_xarray()
    assert joined.domain.values.tolist().count("cube") == 3
    assert not np.isnan(joined.eigenvalue.sel(network="relu")).any()


def test_missing_numbers_are_damage_where_entries_exist(made, tmp_path):
    for place, value in (((0, 0), np.nan), ((0, 5), 0.5)):  # (dim 2, degrees 0 and 5)
        path = tmp_path / f"{place[1]}.h5"
        path.write_bytes(made.read_bytes())
        with altered(path) as file:
            for name in ("eigenvalue", "log_eigenvalue"):
                file[CUBE][name][place] = value
            reseal(file[CUBE])
        with open_table(path) as damaged, pytest.raises(TableError, match="is damaged"):
            damaged.select(CUBE)
    path = tmp_path / "domain.h5"
    path.write_bytes(made.read_bytes())
    with altered(path) as file:
        file["relu"].attrs["domain"] = "bal"
    with open_table(path) as damaged, pytest.raises(TableError, match="domain 'bal'"):
        damaged.select("relu")
    with altered(path) as file:
        del file["relu"].attrs["domain"]  # an older table
    with open_table(path) as older:
        assert older.domain("relu") == "sphere"


def test_a_flipped_byte_is_found(made, tmp_path):
    content = bytearray(made.read_bytes())
    with h5py.File(made) as file:
        at = file[CUBE]["eigenvalue"].id.get_chunk_info(0).byte_offset
    content[at + 3] ^= 1
    path = tmp_path / "flipped.h5"
    path.write_bytes(content)
    with pytest.raises(TableError), open_table(path) as damaged:
        damaged.select(CUBE)


def test_a_sweep_is_resumed_and_merged(recipe, made, tmp_path):
    out = tmp_path / "again.h5"
    run_shard(recipe, out, "1/2")
    parts = Path(f"{out}.parts")
    block = sorted(parts.glob("n*.h5"))[0]
    block.write_bytes(block.read_bytes()[:-7])  # cut off: computed again
    result = run_shard(recipe, out, "1/2")
    assert result.reused > 0 and result.computed == 1
    run_shard(recipe, out, "2/2")
    merge([parts], out)
    assert_same_bits(made, out)


@pytest.mark.slow
def test_a_sweep_by_the_command_line(recipe, made, tmp_path):
    out = tmp_path / "swept.h5"
    run_shard(recipe, out, "1/3")
    program = [sys.executable, "-m", "ntkspec", "sweep", recipe, "-o", out, "--workers", "1"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0 and "by earlier runs" in done.stdout
    assert_same_bits(made, out)


def test_tables_on_the_cube_are_merged(tmp_path):
    """Degrees that do not exist need not be in any of them."""
    low, high = tmp_path / "low.h5", tmp_path / "high.h5"
    for path, dims, degrees in ((low, "1:4", "0:4"), (high, "4:9", "0:9")):
        text = f'dims = "{dims}"\ndegrees = "{degrees}"\nchecks = {{samples = 0}}\n'
        recipe = path.with_suffix(".toml")
        recipe.write_text(f'{text}[[networks]]\nactivation = "relu"\ndomain = "cube"')
        make_table(recipe, path)
    merge([low, high], tmp_path / "all.h5")
    with open_table(tmp_path / "all.h5") as table:
        part = table.select(CUBE)
        direct = table_block("relu", range(1, 9), range(9), domain="cube")
        assert part == replace(direct, name=CUBE)
        assert table.size(CUBE) == sum(d + 1 for d in range(1, 9))


@pytest.mark.parametrize("method", ["balls", pytest.param("mpmath", marks=pytest.mark.slow)])
def test_entries_are_recomputed_independently(made, method):
    found = verify_table(made, samples=15, digits=20, workers=1, method=method, max_dim=3)
    assert found.passed and found.worst < 1e-14
    for domain in ("sphere", "cube", "gaussian"):
        some = verify_table(made, samples=3, digits=20, workers=1, network="relu", domain=domain)
        assert {name for name, _ in some.rows} == {GroupKey(Network("relu"), "ntk", domain).name}


def test_a_wrong_entry_is_noticed(made, tmp_path):
    path = tmp_path / "wrong.h5"
    path.write_bytes(made.read_bytes())
    with altered(path) as file:
        for name in ("eigenvalue", "log_eigenvalue"):
            file[CUBE][name][...] = file[CUBE][name][...] * (1 + 1e-9)
        reseal(file[CUBE])
    done = run("verify", path, "--samples", 6, "--digits", 20, "--workers", 1, "--domain", "cube")
    assert done.exit_code == 1 and "OFF" in done.output


@settings(deadline=None, max_examples=5)
@given(
    st.sampled_from(["relu", "abs", "step", "erf", "sigmoid"]),
    st.sampled_from([1, 2]), st.sampled_from([0.0, 0.3]), st.integers(1, 9), st.data(),
)  # fmt: skip
def test_cube_references_agree_with_the_engine(name, depth, bias, dim, data):
    degree = data.draw(st.integers(0, dim))
    network = Network(name, depth=depth, bias_variance=bias)
    part = table_block(network, [dim], [degree], kernel="nngp", domain="cube")
    checks = [
        check_entry(
            network, dim, degree, part.eigenvalues[0, 0], part.log_eigenvalues[0, 0],
            part.relative_error[0], kernel="nngp", domain="cube", method=method, digits=20,
        )
        for method in ("balls", "mpmath")[: 1 + (network.sigma.homogeneous is not None)]
    ]  # fmt: skip
    assert all(check.passed for check in checks), checks


@pytest.mark.parametrize(
    "name, kernel, dim, degree",
    [("cos", "nngp", 10, 2), ("sigmoid", "nngp", 10, 0), ("relu", "ntk", 30, 4)],
)
def test_gaussian_references_agree_with_the_engine(name, kernel, dim, degree):
    part = table_block(name, [dim], [degree], kernel=kernel, domain="gaussian")
    check = check_entry(
        name, dim, degree, part.eigenvalues[0, 0], part.log_eigenvalues[0, 0],
        part.relative_error[0], kernel=kernel, domain="gaussian",
    )  # fmt: skip
    assert check.passed and check.relative_error < 1e-13
    wrong = check_entry(
        name, dim, degree, part.eigenvalues[0, 0] * (1 + 1e-10), part.log_eigenvalues[0, 0],
        part.relative_error[0], kernel=kernel, domain="gaussian",
    )  # fmt: skip
    assert not wrong.passed


def test_several_domains_give_a_table():
    part = spectrum("relu", [Cube(2), Cube(3)])
    assert part.domain == "cube" and part.degrees.tolist() == [0, 1, 2, 3]
    assert part == table_block("relu", [2, 3], range(4), domain="cube")
    assert spectrum("relu", [Gaussian(2), Gaussian(5)]).degrees[-1] == 8
    assert spectrum("relu", [Sphere(2), Sphere(3)], [0, 1]) == spectrum("relu", [2, 3], [0, 1])
    assert len(part.to_pandas()) == 7
    for wrong, words in (
        ([Cube(2), 3], "domain = 3 is not allowed with others"),
        ([Cube(2), Sphere(3)], r"domain = Sphere\(dim=3\) is not allowed with others"),
        ([Gaussian(2, 2), Gaussian(3, 2)], "with one eigenvalue for each degree"),
        ([Cube(3), Cube(2)], "give increasing ones"),
    ):
        with pytest.raises(NtkspecError, match=words):
            spectrum("relu", wrong)
    with pytest.raises(NtkspecError, match="the cube of dimension 2 has degrees 0 to 2"):
        spectrum("relu", [Cube(2), Cube(9)], degrees=[5])


NETWORK = '[[networks]]\nactivation = "relu"\n'


@pytest.mark.parametrize(
    "text, words",
    [
        (f'dims = [1, 2]\ndegrees = "0:3"\n{NETWORK}', "line 1: dims: dim = 1 is not allowed; it"),
        (
            f'dims = [\n  2,\n  2000000]\ndegrees = 0\n{NETWORK}domain = "cube"',
            "line 3: dims: dim = 2000000 is not allowed on the cube; it must be a whole number",
        ),
        (
            f'dims = 3\ndegrees = "0:300"\n{NETWORK}domain = ["sphere", "gaussian"]',
            "line 2: degrees: degree = 299 is not allowed under the Gaussian measure",
        ),
        (
            f'dims = [2, 9]\ndegrees = "4:9"\n{NETWORK}domain = "cube"',
            "line 1: dims: dim = 2 has none of the degrees; the cube of dimension 2",
        ),
        (f'dims = 3\ndegrees = 0\n{NETWORK}domain = "bal"', "line 5: [[networks]] number 1: do"),
        (f"dims = 3\ndegrees = 0\n{NETWORK}domain = 3", "domain = 3 is not allowed; use one of"),
        (f"dims = 3\ndegrees = 0\n{NETWORK}radial = 2", "line 5: [[networks]] number 1: radial is"),
        (
            f'dims = 3\ndegrees = 0\n{NETWORK}bias_variance = 0.1\ndomain = "gaussian"',
            "bias_variance = 0.1 is not allowed with relu under the Gaussian measure",
        ),
        (
            'dims = 3\ndegrees = 0\nchecks = {method = "mpmath"}\n[[networks]]\n'
            'activation = "tanh"\ndomain = "gaussian"',
            "line 3: method = 'mpmath' is not allowed for tanh(domain=gaussian)",
        ),
    ],
)  # fmt: skip
def test_faults_of_recipes(text, words):
    with pytest.raises(NtkspecError) as caught:
        parse_recipe(text)
    assert words in str(caught.value)


def test_blocks_off_the_sphere_are_small():
    text = 'dims = "2:202"\ndegrees = "0:9"\n[[networks]]\nactivation = "relu"\ndomain = '
    plan = Plan(parse_recipe(f'{text}["cube", "sphere"]'))
    assert len(plan.of_network(0)) == 50 and len(plan.of_network(1)) == 1
    cells = 200 * 9
    assert plan.entries == 2 * cells
    assert plan.eigenvalues == 2 * cells - sum(max(0, 8 - d) for d in range(2, 202))


def test_estimates_know_the_slow_spectra(recipe):
    dims, degrees = np.array([10]), np.arange(9)
    slow = seconds(Network("tanh"), "ntk", dims, degrees, "gaussian")
    assert 0.3 < slow < 10
    assert seconds(Network("relu"), "ntk", dims, degrees, "gaussian") < 0.01
    assert seconds(Network("tanh", depth=2), "ntk", dims, degrees, "gaussian") > 5 * slow
    done = run("sweep", recipe, "--plan")
    assert done.exit_code == 0 and "cube" in done.output and "93 eigenvalues" in done.output


def test_info_and_fit_by_the_command_line(made):
    done = run("info", made)
    assert done.exit_code == 0 and "cube" in done.output and "gaussian" in done.output
    done = run("fit", made, "--network", "relu", "--domain", "gaussian", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.output)))
    assert {row["domain"] for row in rows} == {"gaussian"} and rows[0]["derived"] == "power"


def test_fits_of_other_domains():
    several = spectrum("relu", Gaussian(4, 2), range(0, 120))
    (even,) = ntkspec.fit(several)
    assert even.fit.supported == "power" and even.fit.best.power == pytest.approx(-4.0, abs=1e-3)
    assert even.derived.power == -4.0
    law = ntkspec.law("relu", Gaussian(4))
    assert law.log_eigenvalue([118])[0] == pytest.approx(several.log_eigenvalues[118, 0], abs=0.06)
    (even,) = ntkspec.fit(spectrum("relu", [Cube(40)]))
    assert even.derived is None and even.domain == Cube(40)
    with pytest.raises(NtkspecError, match="its degrees end at 30, and laws are for large degrees"):
        ntkspec.law("relu", Cube(30))
    with pytest.raises(NtkspecError, match="piecewise powers without bias"):
        ntkspec.law("tanh", Gaussian(3))


def test_pages_take_the_structure_from_the_domain(table):
    found = read_contents(table)
    grids = {grid["domain"]: grid for grid in found.header["grids"]}
    assert grids["cube"]["counts"] == [3, 4, 8] and grids["sphere"]["counts"] == [8, 8, 8]
    assert grids["cube"]["laplacian"] == [False] * 3 and grids["sphere"]["laplacian"] == [True] * 3
    start = grids["cube"]["place"]
    assert found.numbers[start : start + 8].tolist() == [1, 2, 1, 0, 0, 0, 0, 0]
    entry = next(e for e in found.header["networks"] if e["name"] == "relu(domain=gaussian)")
    assert [one["value"] for one in entry["traces"]] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize("domain", ['"cub"', "3", "{a = 1}", "[[]]", '["cube", "x"]'])
def test_an_unknown_domain_is_named_before_dimensions(domain):
    text = f'dims = "1:4"\ndegrees = "0:3"\nnetworks = [{{activation = "relu", domain = {domain}}}]'
    with pytest.raises(NtkspecError, match=r"domain = .* is not allowed; use one of sphere"):
        parse_recipe(text)


def test_limits_of_dimensions_are_those_of_each_domain():
    text = 'dims = "1:4"\ndegrees = "0:3"\nnetworks = [{activation = "relu", domain = DOMAIN}]\n'
    with pytest.raises(NtkspecError, match="dim = 1 is not allowed on the sphere"):
        parse_recipe(text.replace("DOMAIN", '["sphere", "cube"]'))
    made = parse_recipe(text.replace("DOMAIN", '"cube"') + "checks = {max_dim = 1}\n")
    assert made.checks.max_dim == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"degree": 7}, {"degree": -1}, {"degree": 1.5}, {"dim": 0}, {"domain": "x"},
        {"domain": []}, {"digits": -5}, {"digits": "5"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("domain", ["cube", "gaussian"])
def test_parameters_of_a_check(changed, domain):
    given = {"dim": 3, "degree": 1, "domain": domain, "digits": 20, **changed}
    if domain == "gaussian" and changed == {"degree": 7}:
        given["degree"] = 201
    with pytest.raises(NtkspecError, match="is not allowed"):
        check_entry("relu", given.pop("dim"), given.pop("degree"), 0.1, -2.3, 1e-13, **given)


@pytest.mark.parametrize("gather", [iter, tuple, lambda x: dict.fromkeys(x).keys(), np.array])
def test_several_domains_from_any_iterable(gather):
    wanted = ntkspec.spectrum("relu", [Cube(2), Cube(3)])
    assert ntkspec.spectrum("relu", gather([Cube(2), Cube(3)])) == wanted
    assert ntkspec.spectrum("relu", gather([2, 3]), range(3)).dims.tolist() == [2, 3]


# --- domains with parameters ----------------------------------------------------------------------

BALLS = """
dims = [3, 10]
degrees = "0:6"
checks = {samples = 1, digits = 20}
[[networks]]
activation = "relu"
domain = [
  "sphere",
  {name = "ball", radius = [1.0, 2]},
  {name = "ball", radii = ["gaussian", [1.5], [0.5, 2.0]], radius = 0.5},
  "ball(radii=[1, 2], weights=[0.25, 0.75])",
]
[[networks]]
activation = "gelu"
kernel = ["ntk", "nngp"]
domain = {name = "ball", radii = [[0.5, 2.0]], weights = [[0.25, 0.75]], radius = 0.5}
"""
TWICE = "relu(domain=ball(radius=2.0))"
FAMILIES = {
    TWICE: lambda dim: Ball(dim, radius=2.0),
    "relu(domain=ball)": Ball,
    "relu(domain=ball(radii='gaussian',radius=0.5))": lambda dim: Ball(dim, "gaussian", radius=0.5),
    "relu(domain=ball(radii=[1.5],radius=0.5))": lambda dim: Ball(dim, 1.5, radius=0.5),
    "gelu(kernel=nngp,domain=ball(radii=[0.5,2.0],weights=[0.25,0.75],radius=0.5))": (
        lambda dim: Ball(dim, [0.5, 2.0], [0.25, 0.75], 0.5)
    ),
}


@pytest.fixture(scope="module")
def balls_recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("balls") / "balls.toml"
    path.write_text(BALLS)
    return path


@pytest.fixture(scope="module")
def balls(balls_recipe):
    return make_table(balls_recipe, balls_recipe.with_name("balls.h5"))


def test_a_grid_of_parameters_is_the_spectra_of_its_domains(balls, balls_recipe):
    with open_table(balls) as table, open_table(balls_recipe) as computed:
        assert len(table.networks) == 9
        for name, make in FAMILIES.items():
            key, part = table.key(name), table.select(name)
            for i, dim in enumerate((3, 10)):
                direct = spectrum(key.network, make(dim), range(6), kernel=key.kernel)
                np.testing.assert_array_equal(part.eigenvalues[i], direct.eigenvalues[:, 0])
                np.testing.assert_array_equal(part.log_eigenvalues[i], direct.log_eigenvalues[:, 0])
                assert part.relative_error[i] == direct.relative_error.max() > 0
            assert len(table.checks(name)) == 1
        for name in table.networks:
            assert computed.select(name) == table.select(name)
        # E |x|^2 = 4 d / (d + 2) in the ball of radius 2.
        unit, twice = table.select("relu").eigenvalues, table.select(TWICE).eigenvalues
        assert twice == pytest.approx(unit * np.array([[12 / 5], [40 / 12]]), rel=1e-14)
        assert table.select("relu", domain="ball( radius = 2 )").name == TWICE
        same = "ball(radii=[0.5, 2], weights=[0.25, 0.75], radius=0.5)"
        assert table.select("gelu", domain=same).kernel == "ntk"


def test_readers_know_domains_with_parameters(balls, tmp_path):
    done = run("export", balls, "-o", "-", "--domain", "ball(radius=2)")
    read = list(csv.DictReader(io.StringIO(done.output)))
    assert len(read) == 12 and {one["network"] for one in read} == {TWICE}
    done = run("fit", balls, "--network", "relu", "--domain", "ball(radius=2)")
    assert done.exit_code == 0, done.output
    assert "radius=2.0" in run("info", balls).output
    with open_table(balls) as table:
        joined = table.to_xarray()
        assert "ball(radius=2.0)" in joined.domain.values.tolist()
        table.to_netcdf(tmp_path / "t.nc", TWICE)
        found = read_contents(table)
        page = {one["name"]: one for one in found.header["networks"]}
        assert page[TWICE]["parameters"]["domain"] == "ball(radius=2.0)"
        # Half of E |x|^2, for relu.
        traces = [one["value"] for one in page[TWICE]["traces"]]
        assert traces == pytest.approx([6 / 5, 20 / 12])
        with pytest.raises(NtkspecError, match="domain = 'bal' is not allowed"):
            table.names(domain="bal")
        with pytest.raises(NtkspecError, match="is not in the table"):
            table.names(domain="ball(radius=3)")


@pytest.mark.parametrize("method", ["balls", "mpmath"])
def test_entries_in_balls_are_recomputed_independently(balls, method):
    chosen = {} if method == "balls" else {"network": TWICE}
    found = verify_table(balls, samples=8, digits=20, workers=1, method=method, **chosen)
    assert found.passed and found.worst < 1e-14


def test_sweeps_in_balls_are_resumed_sharded_and_merged(balls_recipe, balls, tmp_path):
    out = tmp_path / "again.h5"
    run_shard(balls_recipe, out, "1/2")
    assert run_shard(balls_recipe, out, "1/2").computed == 0
    run_shard(balls_recipe, out, "2/2")
    merge([Path(f"{out}.parts")], out)
    assert_same_bits(balls, out)


@pytest.mark.parametrize(
    "law", ["radius=1.5", "radii='gaussian',radius=0.7", "radii=[0.01,2.0],weights=[0.9,0.1]"]
)
def test_ball_references_agree_with_the_engine(law):
    part = table_block("sin", [4], [3], domain=f"ball({law})")
    value, log = part.eigenvalues[0, 0], part.log_eigenvalues[0, 0]
    known = {"promised": part.relative_error[0], "domain": part.domain}
    assert check_entry("sin", 4, 3, value, log, **known).passed
    wrong = check_entry("sin", 4, 3, value * (1 + 1e-10), log, **known)
    assert not wrong.passed


def test_several_balls_give_a_table():
    several = [Ball(3, radius=2.0), Ball(5, radius=2.0)]
    part = spectrum("relu", several)
    assert part.domain == "ball(radius=2.0)"
    assert "in a ball" in part.title() and "radius=2.0" in part.title()
    assert part == table_block("relu", [3, 5], range(9), domain="ball(radius=2)")
    for wrong in ([*several[:1], Ball(5)], [Ball(3, radial=2), Ball(5, radial=2)]):
        with pytest.raises(NtkspecError, match="is not allowed with others"):
            spectrum("relu", wrong)


@given(
    st.lists(st.floats(0.01, 10.0), min_size=1, max_size=4, unique=True), st.floats(0.1, 5.0),
    st.data(),
)  # fmt: skip
def test_texts_of_families_are_read_as_they_are_written(radii, radius, data):
    sizes = st.lists(st.floats(0.1, 1.0), min_size=len(radii), max_size=len(radii))
    weights = np.array(data.draw(sizes))
    ball = Ball(3, radii, weights / weights.sum(), radius)
    known = Family.containing(ball)
    assert family(str(known)) == known and known(3) == ball
    assert Family.containing(Ball(7)) == family("ball") == Family("ball")


@pytest.mark.parametrize(
    "domain, words",
    [
        ('{name = "bal"}', "line 4: [[networks]] number 1: domain: domain = 'bal' is not allowed; "
         "use one of sphere, cube, gaussian, ball; did you mean 'ball'?"),
        ('"bal(radius=2)"', "use one of sphere, cube, gaussian, ball; did you mean 'ball'?"),
        ('{name = "torus", frequencies = [1]}', "use one of sphere, cube, gaussian, ball, "
         "or ntkspec.Torus for ntkspec.spectrum, and ntkspec.scan"),
        ('{radius = 2}', "line 4: [[networks]] number 1: domain = {'radius': 2} is not "
         "allowed; use one of"),
        ('{name = "ball", radus = 2}', "radus = 2 is not a parameter of the domain 'ball'; did you "
         "mean 'radius'?"),
        ('{name = "ball", radius = [1,\n  -1]}', "line 5: [[networks]] number 1: domain: radius = "
         "-1 is not allowed"),
        ('{name = "ball", radius = []}', "domain: radius = [] is empty"),
        ('{name = "ball", radial = 2}', "radial is not allowed here, where a degree has its"),
        ('{name = "ball", radii = [1.0, 2.0], weights = [0.5, 0.5]}', "weights have the sum 0.5; "
         "divide them by it; a list is several values: one value of several numbers is weights"),
        ('{name = "ball", radii = "normal"}', "radii = 'normal' is not allowed; give 'uniform'"),
        ('{name = "sphere", density = "von_mises(2)"}', "density is not allowed here, where"),
        ('{name = "cube", radius = 2}', "radius = 2 is not a parameter of the domain 'cube'"),
        ('"ball(2)"', "give parameters by name"),
        ('"ball(radius=2, radius=3)"', "is not allowed; use one of"),
        ('["ball", {name = "ball", radius = 1.0}]', "makes relu(domain=ball), as does"),
        ('{name = "ball", radius = "0:9"}', "radius = '0:9' is not allowed"),
        ('{name = "ball", dim = 4}', "dim = 4 is not a parameter"),
    ],
)  # fmt: skip
def test_faults_of_domains_with_parameters(domain, words):
    text = f'dims = 3\ndegrees = 0\n[[networks]]\ndomain = {domain}\nactivation = "relu"'
    if "\n" in domain:
        text = text.replace("{name", "[{name").replace("]}", "]}]")
    with pytest.raises(NtkspecError) as caught:
        parse_recipe(text)
    assert words in str(caught.value)


def test_networks_that_balls_do_not_take():
    text = 'dims = 3\ndegrees = 0\nnetworks = [{activation = "elu", domain = "ball"}]'
    with pytest.raises(NtkspecError, match=r"by a second computation.*use ntkspec\.scan"):
        parse_recipe(text)
    text = 'dims = 3\ndegrees = "0:300"\nnetworks = [{activation = "relu", domain = "ball"}]'
    with pytest.raises(NtkspecError, match="degree = 299 is not allowed in a ball"):
        parse_recipe(text)
