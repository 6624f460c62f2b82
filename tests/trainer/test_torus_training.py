"""Training on a torus with features: predicted by frequency, measured, stored and read back."""

import command_line
import numpy as np
import pytest

import ntkspec
from ntkspec import GD, PDE, Network, NtkspecError, Sobolev, Torus
from ntkspec.compare.kernels import infinite_kernel
from ntkspec.plots import run_picture
from ntkspec.plots.training import run_panels
from ntkspec.trainer.network import start
from ntkspec.trainer.points import torus_grid, torus_points
from ntkspec.trainer.recipe import LossRecipe, parse_run_recipe
from ntkspec.trainer.runs import open_run, train_run
from ntkspec.trainer.sobolev import SobolevLoss
from ntkspec.trainer.targets import Target, Term, on_torus
from ntkspec.trainer.waves import Features, frequencies_to, frequency_number

LINE, PLANE = Torus([1, 2]), Torus([[1, 0], [0, 1], [1, 1]], [1.0, 1.0, 0.5])
DEEP = Network("tanh", depth=2, bias_variance=0.1)


def trained(network, torus, degrees, amplitudes, loss, side=16, **options):
    options = {"width": 512, "steps": 60, **options}
    target = ntkspec.harmonics(degrees, amplitudes, kind="cosine")
    return ntkspec.train(network, ntkspec.points(side, domain=torus), target, loss=loss, **options)


def test_frequencies_have_numbers_by_length():
    for dim in (1, 2, 3):
        found = frequencies_to(dim, 60)
        assert [frequency_number(tuple(m)) for m in found.tolist()] == list(range(61))
        assert [frequency_number(tuple(m)) for m in (-found).tolist()] == list(range(61))
        assert (np.diff(np.linalg.norm(found, axis=1)) >= 0).all()
        both = {tuple(m) for m in np.concatenate((found, -found)).tolist()}
        assert len(both) == 121


def test_the_features_are_those_of_the_engine():
    for torus in (LINE, PLANE):
        z = np.random.default_rng(0).random((5, torus.dim))
        mine = torus_points(z, Features(torus.frequencies, torus.amplitudes))
        np.testing.assert_allclose(mine.x, torus.features(z), atol=1e-15)
        assert mine.on_sphere and not mine.equispaced and mine.at is mine.coordinates


def test_a_sobolev_loss_weighs_waves_by_their_lengths():
    points = torus_grid(12, Features(PLANE.frequencies))
    waves = Target(
        [Term(0, 1.0, "cosine", frequency=(1, -2)), Term(0, 2.0, "sine", frequency=(0, 1))]
    )
    for weight, sizes in (("power", (1 + 5**0.5, 2.0)), ("laplacian", (6.0**0.5, 2.0**0.5))):
        loss = SobolevLoss(points, 1.0, weight)
        exact = sum(c * size**2 / 2 for c, size in zip((0.5, 2.0), sizes, strict=True))
        assert loss.value(waves.values(points.at)) == pytest.approx(exact, rel=1e-12)
        assert loss.multiplier(frequency_number((5, 5))) == 0.0


@pytest.mark.parametrize("network", [Network("tanh"), DEEP], ids=["one", "deep"])
@pytest.mark.parametrize(
    ("torus", "degrees"), [(LINE, [1, 3]), (PLANE, [[1, 0], [1, -2]])], ids=["line", "plane"]
)
@pytest.mark.parametrize(
    "loss",
    ["l2", Sobolev(0.5), PDE(shift=-1.0), PDE(shift=-1.0, data_weight=9.0)],
    ids=["l2", "sobolev", "pde", "data"],
)
def test_rates_are_those_of_own_kernels_and_near_the_predicted(network, torus, degrees, loss):
    side = 24 if torus is LINE else 9
    run = trained(network, torus, degrees, [0.02, 0.005], loss, side)
    rows = run.compare().rows
    assert [row.degree for row in rows] == sorted(
        frequency_number(tuple(np.atleast_1d(one).tolist())) for one in degrees
    )
    for row in rows:
        assert row.finite.ratio == pytest.approx(1.0, abs=0.005)
        assert row.points.ratio == pytest.approx(1.0, abs=0.25)
    assert run.target.part == "frequency"
    last = run.predict(run.points.at)
    np.testing.assert_allclose(last, run.members[0].learned, atol=1e-12)


@pytest.mark.parametrize("network", [Network("tanh"), DEEP], ids=str)
@pytest.mark.parametrize("operator", ["laplace(shift=-1)", "derivative(shift=1)"])
def test_the_kernel_at_infinite_width_is_the_mean_of_own_kernels(network, operator):
    """With data, of 24 networks of width 1024."""
    points = torus_grid(7, Features(LINE.frequencies))
    loss = LossRecipe(operator=operator, boundary=((0.3,),))
    exact = infinite_kernel(network, loss, points)
    found = [
        loss.of(start(network, 1024, points.dim, i, start="random"), points).tangent_matrix(
            points.x
        )
        for i in range(24)
    ]
    error = np.std(found, axis=0, ddof=1) / np.sqrt(24)
    assert np.all(np.abs(np.mean(found, axis=0) - exact) < 6 * error + 1e-9 * exact.max())


@pytest.mark.parametrize(
    ("points", "target", "loss"),
    [
        (ntkspec.circle(48), ntkspec.harmonics([1, 3], [0.02, 0.003], kind="sine"),
         PDE("derivative", shift=0.5, data_weight=0.3, boundary=[[0.6, 0.8], [1.0, 0.0]])),
        (ntkspec.points(64, domain=LINE), ntkspec.harmonics([1, 3], [0.02, 0.003], kind="cosine"),
         PDE(shift=-1.0, boundary=[[0.2]], boundary_weight=400.0)),
        (ntkspec.points(64, domain=LINE), ntkspec.harmonics([1, 3], [0.02, 0.003], kind="sine"),
         PDE("derivative", shift=1.0, boundary=[[0.2], [0.5]], boundary_weight=40.0)),
    ],
    ids=["circle", "laplace", "derivative"],
)  # fmt: skip
def test_a_boundary_in_the_continuum_is_that_of_many_points(points, target, loss):
    """Two routes: harmonics in place of points, and the kernel matrix of the points."""
    run = ntkspec.train("sin", points, target, loss=loss, width=64, steps=80)
    for row in run.compare(finite=False).rows:
        assert row.continuum.rate == pytest.approx(row.points.rate, rel=1e-5)


RECIPE = """
steps = 12
network = {activation = "gelu", depth = 2, bias_variance = 0.1, width = 32}
[data]
kind = "torus"
points = 8
frequencies = [[1, 0], [0, 1]]
amplitudes = [1, 0.5]
[target]
kind = "sine"
frequencies = [[1, 0], [-1, 2]]
amplitudes = [0.1, 0.2]
[loss]
operator = "laplace(shift=-1)"
boundary = [[0.25, 0.5]]
"""


def test_a_call_and_a_recipe_are_one_run(tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE)
    train_run(tmp_path / "r.toml", tmp_path / "a.h5")
    theirs = open_run(tmp_path / "a.h5")
    ours = ntkspec.train(
        Network("gelu", depth=2, bias_variance=0.1),
        ntkspec.points(8, domain=Torus([[1, 0], [0, 1]], [1.0, 0.5])),
        ntkspec.harmonics([[1, 0], [-1, 2]], [0.1, 0.2], kind="sine"),
        loss=PDE(shift=-1.0, boundary=[[0.25, 0.5]]), width=32, steps=12, save=tmp_path / "b.h5",
    )  # fmt: skip
    np.testing.assert_array_equal(ours.points.at, theirs.points.at)
    assert ours.members[0].energy.tobytes() == theirs.members[0].energy.tobytes()
    assert parse_run_recipe(ours.recipe.text).digest == ours.recipe.digest
    assert (
        open_run(tmp_path / "b.h5").compare(finite=False).rows == theirs.compare(finite=False).rows
    )
    z = np.random.default_rng(1).random((20, 1))
    mine = ntkspec.points(z, domain=LINE)
    run = ntkspec.train("tanh", mine, lambda z: np.sin(2 * np.pi * z[:, 0]), width=32, steps=5,
                        optimizer=GD(batch=5), save=tmp_path / "c.h5")  # fmt: skip
    again = open_run(tmp_path / "c.h5")
    np.testing.assert_array_equal(again.points.at, z)
    assert again.recipe.digest == run.recipe.digest and again.recipe.data.kind == "file"
    assert np.isfinite(run.grid_target).all()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("frequencies = [[1, 0], [-1, 2]]", "degrees = [1, 2]", "have not the 2 coordinates"),
        ("frequencies = [[1, 0], [0, 1]]\n", "", "has no frequencies"),
        ("[-1, 2]]", "[-1, 4]]", "4 is not allowed; 8 points"),
        ("amplitudes = [1, 0.5]", "amplitudes = [1]", "give a number for each of 2"),
        ("[[0.25, 0.5]]", "[[0.25]]", "give finite coordinates"),
        ('"laplace(shift=-1)"', '"derivative"', "the derivative needs"),
    ],
)
def test_recipes_that_do_not_fit(tmp_path, old, new, words):
    assert old in RECIPE
    (tmp_path / "r.toml").write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(NtkspecError, match=words):
        train_run(tmp_path / "r.toml", tmp_path / "a.h5")


def test_what_a_torus_has_not():
    with pytest.raises(NtkspecError, match="quadrature weights are for points on the sphere"):
        ntkspec.points(8, domain=LINE, weights="quadrature")
    with pytest.raises(NtkspecError, match="pole, and an index"):
        on_torus(Target([Term(1, pole=(1.0, 0.0))]), Features([[1]]))
    with pytest.raises(NtkspecError, match="have not the 1 coordinates"):
        trained("tanh", LINE, [[1, 0]], 0.1, "l2", width=8, steps=1)


def test_commands_name_frequency_vectors(tmp_path):
    recipe, run = tmp_path / "r.toml", tmp_path / "r.h5"
    recipe.write_text(RECIPE)
    plan = command_line.ntkspec("train", recipe, "--plan").stdout
    assert "target: frequencies (1, 0), (1, -2)" in plan
    assert "recorded frequencies: (0, 0) to " in plan
    train_run(recipe, run)
    assert "target: frequencies (1, 0), (1, -2)" in command_line.ntkspec("info", run).stdout
    shown = command_line.ntkspec("compare", run, "--no-finite").stdout
    assert "(1, 0)" in shown and "(1, -2)" in shown
    found = open_run(run).compare(finite=False)
    rows = repr(found).splitlines()
    assert "(1, 0)" in rows[2] and "(1, -2)" in rows[3]
    assert found.columns()["frequency"] == ["(1, 0)", "(1, -2)"]


@pytest.mark.parametrize(
    ("torus", "degrees"), [(LINE, [1, 3]), (PLANE, [[1, 0], [1, -2]])], ids=["line", "plane"]
)
def test_a_picture_shows_what_was_learned(torus, degrees, tmp_path):
    run = trained("tanh", torus, degrees, [0.02, 0.01], PDE(shift=-1.0), side=12, steps=20)
    (path,) = run_picture(run, [tmp_path / "run.png"])
    assert path.read_bytes().startswith(b"\x89PNG")
    ((function, second, energy),) = run_panels(run)
    target, learned = function.curves
    line = np.outer(target.x, [1, 2][: torus.dim])
    waves = np.cos(2.0 * np.pi * line @ np.reshape(degrees, (2, torus.dim)).T)
    np.testing.assert_allclose(target.y, waves @ [0.02, 0.01], atol=1e-14)
    np.testing.assert_allclose(learned.y, run.predict(line), atol=1e-12)
    if torus is LINE:
        assert second.kind == "dft"
        np.testing.assert_allclose(second.curves[0].y[[1, 3]], [0.02, 0.01], rtol=1e-12)
    else:
        assert second.kind == "bars"
    names = [f"frequency {tuple(k) if torus is PLANE else k}" for k in degrees]
    assert [curve.series for curve in energy.curves] == names
    assert run.history.title() == "History(1 training, 2 frequencies)"


def test_a_picture_of_samples_on_a_line(tmp_path):
    z = np.random.default_rng(0).random((30, 1)) - 0.5
    run = ntkspec.train(
        "tanh", ntkspec.points(z, domain=LINE), np.sin(2.0 * np.pi * z[:, 0]), width=32, steps=5
    )
    ((function, *_),) = run_panels(run)
    target = function.curves[0]
    assert (np.diff(target.x) > 0).all() and target.x.min() >= 0.0 and target.x.max() < 1.0
    np.testing.assert_allclose(target.y, np.sin(2.0 * np.pi * target.x), atol=1e-14)
    assert run_picture(run, [tmp_path / "run.png"])
