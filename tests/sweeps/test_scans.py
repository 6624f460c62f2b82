"""Scans of domains of any kind, from Python, from recipes, and to files."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner
from distributed import Client

import ntkspec
from ntkspec import Cube, Network, NtkspecError, Pieces, Sphere, Torus, VonMises, spectrum
from ntkspec.cli import main
from ntkspec.domains import Ball, density_parameters, named_density
from ntkspec.sweeps import Local
from ntkspec.sweeps.scans import Scan, compute, run
from ntkspec.sweeps.scans.recipe import parse_scan

RECIPE = """
dims = [2, 3]
degrees = "0:4"
count = 3
size = 2
[[networks]]
activation = ["relu", "erf"]
domain = {name = "sphere", density = {name = "von_mises", concentration = [0.5, 2]}}
[[networks]]
activation = "erf"
kernel = "nngp"
domain = [
  "cube",
  {name = "ball", radii = [[0.5, 2.0]], weights = [[0.25, 0.75]], radius = [1.0, 2.0], radial = 2},
  {name = "torus", frequencies = [[1, 2, 4], [1, 3]]},
  {name = "sphere", density = ["cap(1.0)", {name = "pieces", weights = [[1, 2]]}]},
]
"""


def command(*arguments):
    return CliRunner().invoke(main, ["scan", *map(str, arguments)])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("scans") / "scan.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def made(recipe):
    assert command(recipe, "-o", recipe.with_name("made.csv")).exit_code == 0
    return pd.read_csv(recipe.with_name("made.csv"))


def test_a_grid_is_the_spectra_of_its_domains(made):
    first = (made["rank"] == 0) | ((made.degree == 0) & (made.radial != 1)) | (made.frequency == 0)
    assert first.sum() == 20
    for kappa in (0.5, 2.0):
        one = made[(made.network == "relu") & (made.dim == 2) & (made.concentration == kappa)]
        known = spectrum("relu", Sphere(2, density=VonMises(kappa)), count=3)
        assert one.eigenvalue.tolist() == known.eigenvalues.tolist()
        assert one.azimuthal.tolist() == known.azimuthal.tolist()
        assert one.relative_error.tolist() == known.relative_error.tolist()
    ball = made[(made.domain == "ball") & (made.radius == 2.0) & (made.dim == 3)]
    known = spectrum("erf", Ball(3, [0.5, 2.0], [0.25, 0.75], 2.0, 2), range(4), kernel="nngp")
    assert ball.eigenvalue.tolist() == known.eigenvalues.ravel().tolist()
    assert ball.radial.tolist() == [0, 1] * 4 and set(ball.radii) == {"[0.5, 2.0]"}
    torus = made[(made.domain == "torus") & (made.frequencies == "[[1], [3]]")]
    known = spectrum("erf", Torus([1, 3]), size=2, kernel="nngp")
    assert torus.eigenvalue.tolist() == known.eigenvalues.tolist()
    assert torus.frequency.tolist() == [0, 1, 2] and set(torus.dim) == {1}
    assert made[made.domain == "cube"].degree.tolist() == [0, 1, 2, 0, 1, 2, 3]


def test_uniform_densities_are_the_sphere():
    # Concentration 0: the eigenvalues of S^2 with the multiplicities 2 l + 1, in falling order.
    found = ntkspec.scan("relu", [Sphere(3, density=VonMises(0.0))], count=3)
    uniform = spectrum("relu", 3, [0, 1]).eigenvalues
    assert found.entries["eigenvalue"] == pytest.approx(uniform[[1, 1, 0]], rel=1e-12)


def test_python_takes_several_networks_and_kinds():
    networks = ["relu", Network("relu", depth=2)]
    found = ntkspec.scan(networks, [Cube(2), 3, Ball(3, radius=2.0)], "0:4")
    columns = found.columns()
    assert len(found) == 2 * (3 + 4 + 4) and found.spectra == 6
    assert set(columns["network"]) == {"relu", "relu(depth=2)"}
    assert columns["dim"].dtype == np.int64 and columns["radius"].dtype == np.float64
    ball = (columns["domain"] == "ball") & (columns["degree"] == 1)
    # E |x|^2 = 12/5 in the ball of radius 2, times 1/12 on the sphere.
    assert columns["eigenvalue"][ball][0] == pytest.approx(0.2)
    assert "depth=2" in repr(found) and found.to_pandas().shape == (22, len(columns))
    assert found == ntkspec.scan(networks, iter([Cube(2), 3, Ball(3, radius=2.0)]), range(4))


def test_equal_spectra_are_taken_once():
    assert ntkspec.scan(["relu", "ReLU"], [3, Sphere(3), Cube(2)], range(3)).spectra == 2
    text = 'dims = [3]\nnetworks = [{activation = ["relu", "ReLU"], domain = ["sphere", "cube"]}]'
    assert len(parse_scan(text).items) == 2


def test_formats_have_the_same_rows(recipe, made, tmp_path):
    done = command(recipe, "-o", "-", "--format", "json")
    rows = json.loads(done.output)
    assert [one["eigenvalue"] for one in rows] == made.eigenvalue.tolist()
    assert rows[0]["degree"] is None and rows[0]["rank"] == 0
    printed = list(csv.DictReader(io.StringIO(command(recipe, "-o", "-").output)))
    assert [float(one["eigenvalue"]) for one in printed] == made.eigenvalue.tolist()
    assert printed[0]["rank"] == "0" and printed[0]["degree"] == ""
    path = tmp_path / "scan.nc"
    assert command(recipe, "-o", path, "--format", "netcdf").exit_code == 0
    with xr.open_dataset(path, engine="h5netcdf") as found:
        assert found.eigenvalue.values.tolist() == made.eigenvalue.tolist()
        assert found.domain.values.tolist() == made.domain.tolist()
        assert found.sizes == {"entry": len(made)}
    path = tmp_path / "scan.parquet"
    assert command(recipe, "-o", path, "--format", "parquet").exit_code == 0
    assert pd.read_parquet(path).log_eigenvalue.tolist() == made.log_eigenvalue.tolist()


def test_an_interrupted_scan_is_resumed(recipe, made, tmp_path, monkeypatch):
    out, parts, done = tmp_path / "again.csv", tmp_path / "again.csv.parts", []

    def counted(item, options):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(item)
        return compute.part_of(item, options)

    monkeypatch.setattr(run, "part_of", counted)
    with pytest.raises(KeyboardInterrupt):
        run.run_scan(recipe, out)
    assert len(list(parts.iterdir())) == 5 and not out.exists()
    damaged = sorted(parts.iterdir())[0]
    damaged.write_text(damaged.read_text().replace("0.", "1.", 1))
    monkeypatch.setattr(run, "part_of", lambda *one: done.append(one) or compute.part_of(*one))
    run.run_scan(recipe, out)
    assert len(done) == 5 + 20 - 4 and not parts.exists()
    assert out.read_bytes() == recipe.with_name("made.csv").read_bytes()


def test_workers_give_the_same_file(recipe, made, tmp_path, at_hand):
    out = tmp_path / "more.csv"
    assert command(recipe, "-o", out, "--scheduler", at_hand.address).exit_code == 0
    assert out.read_bytes() == recipe.with_name("made.csv").read_bytes()
    with Client(at_hand.address) as client:
        found = ntkspec.scan("relu", [Cube(2), Cube(3)], client=client)
    assert found == ntkspec.scan("relu", [Cube(2), Cube(3)])


DENSITY = '{name = "sphere", density = %s}'


@pytest.mark.parametrize(
    "domain, words",
    [
        ('"spher"', "line 4: [[networks]] number 1: domain: domain = 'spher' is not allowed"),
        ('{name = "toru"}', "domain = 'toru' is not allowed; use one of sphere, cube, gaussian, "
         "ball, torus; did you mean 'torus'?"),
        ('{name = "torus"}', "domain = 'torus' is not allowed alone; give its frequencies"),
        ('{name = "torus", frequencies = [1, 2]}', "frequencies of shape () are not allowed; give "
         "(J, m) whole numbers, m from 1 to 3, J from 1 to 4096; a list is several values"),
        ('{name = "torus", frequency = 1}', "frequency = 1 is not a parameter of the domain "
         "'torus'; did you mean 'frequencies'?"),
        (DENSITY % '{name = "von_mise", concentration = 1}', "density = 'von_mise' is not allowed; "
         "use one of von_mises, pieces, cap; did you mean 'von_mises'?"),
        (DENSITY % '{name = "von_mises", conc = 1}', "conc = 1 is not a parameter of the density"),
        (DENSITY % '{name = "von_mises"}', "density = 'von_mises' is not allowed alone; give its "
         "concentration"),
        (DENSITY % '{name = "von_mises",\n concentration = [1,\n -2]}', "line 5: [[networks]] "
         "number 1: domain: concentration = -2 is not allowed"),
        (DENSITY % '{name = "pieces", weights = [1, 2]}', "a list is several values: one value of"),
        (DENSITY % '{concentration = 1}', "density has no name"),
        (DENSITY % '"von_mises"', "is not allowed"),
        ('{name = "ball", radius = -1}', "radius = -1 is not allowed"),
        ('{name = "cube", radius = 1}', "radius = 1 is not a parameter of the domain 'cube'"),
        ('3', "domain = 3 is not allowed"),
    ],
)  # fmt: skip
def test_faults_of_recipes(domain, words):
    text = f'dims = 3\n\n[[networks]]\ndomain = {domain}\nactivation = "relu"'
    if "\n" in domain:
        text = text.replace("domain = {", "domain = [{").replace("]}}", "]}}]")
        text = text.replace('{name = "von_mises",\n', '{name = "von_mises", ')
    with pytest.raises(NtkspecError) as caught:
        parse_scan(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text, words",
    [
        ("networks = []", "networks = [] is not allowed; write at least one table"),
        ('[[networks]]\nactivation = "relu"', "line 1: [[networks]] number 1: sphere needs dims"),
        ('dims = 3\n[[networks]]\nactivation = "rel"', "line 3: [[networks]] number 1: activation"),
        ('dims = 3\n[[networks]]\nactivation = "relu"\ndepht = 2', "line 4: key 'depht' is"),
        ('dims = 3\ncount = 2\n[[networks]]\nactivation = "relu"', "count is given, and no domain "
         "has a density; leave it out"),
        ('dims = 3\ncounts = 2\n[[networks]]\nactivation = "relu"', "did you mean 'count'?"),
        ("dims = 3", "has no networks"),
        ('[[networks]]\nactivation = "relu"\ndomain = "torus(frequencies=[1])"', "has no text"),
        ('dims = 1\n[[networks]]\nactivation = "relu"', "dim = 1 is not allowed"),
    ],
)  # fmt: skip
def test_other_faults_of_recipes(text, words):
    with pytest.raises(NtkspecError) as caught:
        parse_scan(text)
    assert words in str(caught.value)


def test_faults_of_scans(recipe, tmp_path):
    for wrong, words in (
        (lambda: ntkspec.scan("relu", []), "would be of 0 spectra"),
        (lambda: ntkspec.scan("relu", 3), "domains = 3 is not allowed; give a list"),
        (lambda: ntkspec.scan("relu", [3], size=2), "size is given, and no domain is a torus"),
        (lambda: ntkspec.scan("relu", [Cube(2)], degrees=[5]), "relu on the cube, dim = 2: degree"),
        (lambda: run.run_scan(recipe, tmp_path / "x", layout="xls"), "format = 'xls'"),
        (lambda: run.run_scan(recipe, None, Local(1)), "needs an output file"),
        (lambda: Scan({"eigenvalue": np.ones(1)}, 1).export(io.StringIO(), "xls"), "format = "),
    ):
        with pytest.raises(NtkspecError, match=words):
            wrong()
    for arguments, words in (
        (["-o", "-", "--format", "netcdf"], "netcdf needs a file"),
        (["-o", "-", "--workers", 1], "not allowed with --workers"),
        (["-o", "x", "--workers", 1, "--scheduler", "y"], "are not allowed together"),
    ):
        done = command(recipe, *arguments)
        assert done.exit_code == 2 and words in done.output


def test_a_grid_of_ranks(tmp_path):
    path = tmp_path / "ranks.toml"
    path.write_text(
        'dims = 3\ndegrees = [1]\n[[networks]]\nactivation = "erf"\n'
        'domain = {name = "ball", radial = [1, 3]}'
    )
    found = run.run_scan(path, tmp_path / "ranks.csv").columns()
    known = [spectrum("erf", Ball(3, radial=n), [1]).eigenvalues[0] for n in (1, 3)]
    assert np.array_equal(found["eigenvalue"], np.concatenate(known))


def test_errors_name_the_spectrum_of_a_grid():
    networks = [Network("relu", bias_variance=b) for b in (0.0, 0.25)]
    words = r"relu\(bias_variance=0.25\) in a ball, dim = 2, .*radius = 1.0: degree = 200"
    with pytest.raises(NtkspecError, match=words):
        ntkspec.scan(networks, [Ball(2)], [200])


def test_densities_by_name():
    for density in (VonMises(2.0), Pieces([1, 2], [-1, 0.5, 1])):
        known = density_parameters(density)
        assert named_density(known.pop("density"), **known) == density
    assert density_parameters(ntkspec.DensityFunction(np.cosh))["density"].startswith("Density")
