"""Training from Python: the same as recipes do, from arrays, functions and targets."""

import gc
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ntkspec
from ntkspec import (
    GD,
    PDE,
    Adam,
    KernelPower,
    Linear,
    Network,
    NtkspecError,
    Residual,
    Sobolev,
    TableError,
)
from ntkspec.trainer.points import random_points
from ntkspec.trainer.recipe import parse_run_recipe, recipe_text
from ntkspec.trainer.runs import train_run
from ntkspec.trainer.targets import Target, Term

RECIPE = """
steps = 30
network = {activation = "tanh", depth = 2, bias_variance = 0.1, width = [32, 64], seeds = 2}
data = {kind = "circle", points = 24}
target = {kind = "cosine", degrees = [1, 3], amplitudes = [0.1, 0.2]}
loss = {s = ["l2", 1]}
optimizer = {momentum = 0.5}
"""


def trained(**options):
    options = {"width": 32, "steps": 20, **options}
    return ntkspec.train("tanh", ntkspec.circle(24), ntkspec.harmonics([1, 3], 0.1), **options)


def test_a_call_is_a_recipe(tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE)
    train_run(tmp_path / "r.toml", tmp_path / "a.h5")
    theirs = ntkspec.open_run(tmp_path / "a.h5")
    ours = ntkspec.train(
        Network("tanh", depth=2, bias_variance=0.1), ntkspec.circle(24),
        ntkspec.harmonics([1, 3], [0.1, 0.2], kind="cosine"), width=[32, 64], seeds=2, steps=30,
        loss=["l2", Sobolev(1.0)], optimizer=GD(momentum=0.5), save=tmp_path / "b.h5",
    )  # fmt: skip
    assert ours.recipe.digest == theirs.recipe.digest
    for one, other in zip(ours.members, theirs.members, strict=True):
        assert one.name == other.name
        assert one.energy.tobytes() == other.energy.tobytes()
        for name, values in one.parameters.items():
            assert values.tobytes() == other.parameters[name].tobytes()
    assert "8 trainings of 30 steps on 24 points" in repr(ours)


NETWORKS = st.sampled_from(
    [
        Network("relu"),
        Network("leaky_relu", slope=0.2, trained="all"),
        Network(["tanh", "swish(2)"], weight_variance=[9.0, 1.0], bias_variance=0.1),
        Network("relu", depth=3, bias="zero", bias_variance=1.0, trained={1, 3}),
        Network("gelu", depth=2, normalize=True, readout_variance=2.0),
        Network.serial(Linear(), Residual("relu", Linear(2.0), scale=0.5), "gelu", Linear()),
    ]
)


@given(
    NETWORKS, st.lists(st.integers(1, 50).map(lambda m: 2 * m), min_size=1, unique=True),
    st.lists(st.sampled_from(["l2", "auto", -1.0, 0.5]), min_size=1, unique=True),
    st.sampled_from(["zero", "random"]), st.floats(0.0, 0.99), st.sampled_from([None, 0.5]),
    st.sampled_from(["geometric", "even"]),
)  # fmt: skip
def test_the_text_of_a_recipe_reads_back(network, widths, losses, start, momentum, size, spacing):
    from ntkspec.trainer import recipe as kinds

    made = kinds.RunRecipe(
        50,
        kinds.NetworkRecipe(network, tuple(widths), (3, 1), start, "float32"),
        kinds.DataRecipe("circle", points=24),
        kinds.TargetRecipe("basis", (1, 3), (0.1, 2.0), (1, 0)),
        kinds.LossRecipe(tuple(losses), "laplacian", 5),
        kinds.OptimizerRecipe(size, momentum),
        spacing=spacing,
    )
    assert parse_run_recipe(recipe_text(made)).digest == made.digest


def test_arrays_and_functions_are_targets():
    x = random_points(60, 3, seed=0).x
    rule = ntkspec.points(x, weights="quadrature")

    def target(x):
        return x[:, 0] ** 2

    by_function = ntkspec.train("tanh", rule, target, width=32, steps=5)
    by_values = ntkspec.train("tanh", rule, target(rule.x), width=32, steps=5)
    mine, other = by_function.members[0], by_values.members[0]
    assert mine.energy.tobytes() == other.energy.tobytes()
    digests = [run.attributes["recipe_digest"] for run in (by_function, by_values)]
    assert digests[0] == digests[1]
    np.testing.assert_allclose(by_function.grid_target, target(by_function.grid.x))
    assert np.isnan(by_values.grid_target).all()
    uniform = ntkspec.train("tanh", x, target(x), width=32, steps=5)
    assert uniform.attributes["recipe_digest"] != digests[0]
    # Terms of several kinds have no recipe: their values at the points stand in it.
    mixed = Target([Term(1, 0.1, "zonal", pole=(1.0, 0.0, 0.0)), Term(2, 0.1)])
    run = ntkspec.train("tanh", rule, mixed, width=32, steps=5)
    assert run.recipe.target.kind == "samples"


def test_what_a_run_gives(tmp_path):
    run = trained(seeds=2)
    frame = run.history.to_pandas()
    assert list(frame.columns)[:4] == ["loss", "width", "seed", "step"]
    one = run.members[1]
    last = frame[(frame.seed == 1) & (frame.step == 20) & (frame.degree == 3)]
    assert last.energy.item() == one.energy[-1, 3] and last.value.item() == one.loss[-1]
    plt.figure()
    ax = run.plot()
    assert len(ax.lines) == 4 and ax.get_yscale() == "log"
    plt.close("all")
    assert [row.degree for row in run.compare()] == [1, 3]
    with pytest.raises(NtkspecError, match="name is needed; the run has the members"):
        run.predict(run.points.x)
    np.testing.assert_allclose(run.predict(run.points.x, one.name), one.learned, atol=1e-12)
    single = trained(seeds=[5])
    np.testing.assert_allclose(single.predict(single.points.x), single.members[0].learned)


def test_a_run_is_kept_as_long_as_it_is_used(tmp_path):
    run = trained()
    path = Path(run.path)
    run.save(tmp_path / "kept.h5")
    with pytest.raises(TableError, match="exists; give another name"):
        run.save(tmp_path / "kept.h5")
    assert path.exists()
    energy = run.members[0].energy
    del run
    gc.collect()
    assert not path.parent.exists()
    member = trained().members[0]
    gc.collect()
    assert member.learned.ndim == 1  # read now, while only the member is left
    assert ntkspec.open_run(tmp_path / "kept.h5").members[0].energy.tobytes() == energy.tobytes()


def test_a_saved_run_is_not_trained_again(tmp_path):
    first = trained(save=tmp_path / "run.h5")
    before = (tmp_path / "run.h5").stat().st_mtime_ns
    again = trained(save=tmp_path / "run.h5")
    assert (tmp_path / "run.h5").stat().st_mtime_ns == before
    assert again.members[0].loss.tobytes() == first.members[0].loss.tobytes()
    with pytest.raises(NtkspecError, match="was trained by another recipe"):
        trained(save=tmp_path / "run.h5", steps=10)
    assert trained(save=tmp_path / "run.h5", steps=10, restart=True).recipe.steps == 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0}, "width = 0"),
        ({"width": 33}, "width = 33 is not allowed; a start at f = 0 needs an even one"),
        ({"width": [32, 32]}, "width: 32 is written twice"),
        ({"seeds": 0}, "seeds = 0"),
        ({"seeds": [1, -1]}, "seeds = -1"),
        ({"steps": 0}, "steps = 0"),
        ({"loss": "l1"}, "loss = 'l1' is not allowed; give 'l2', ntkspec.Sobolev"),
        ({"loss": [Sobolev(1.0), Sobolev(0.0, "laplacian")]}, "of one kind and differ in s"),
        ({"loss": Sobolev("most")}, "s = 'most' is not allowed"),
        ({"optimizer": "adam"}, "optimizer = 'adam' is not allowed; give ntkspec.GD"),
        ({"optimizer": Adam(step_size=0.0)}, "step_size = 0.0 is not allowed"),
        ({"optimizer": Adam(betas=(0.9,))}, r"betas = \[0.9\] is not allowed; write two"),
        ({"optimizer": Adam(betas=(0.9, 1.0))}, "betas = 1.0 is not allowed"),
        ({"loss": [Sobolev(1.0), KernelPower()]}, "of one kind and differ in s"),
        ({"loss": KernelPower("most")}, "power = 'most' is not allowed"),
        ({"loss": KernelPower(floor=0.0)}, "floor = 0.0 is not allowed"),
        ({"loss": KernelPower(), "optimizer": GD(batch=4)}, "batch = 4 is not allowed with this"),
        ({"optimizer": GD(momentum=1.0)}, "momentum = 1.0 is not allowed"),
        ({"optimizer": GD(step_size=-1.0)}, "step_size = -1.0 is not allowed"),
        ({"optimizer": GD(batch=25)}, "batch = 25 is not allowed"),
        ({"optimizer": GD(batch=4), "loss": Sobolev(1.0)}, "batch = 4 is not allowed with this"),
        ({"optimizer": Adam(betas=0.9)}, "betas = 0.9 is not allowed; give two numbers"),
        ({"optimizer": GD(momentum=None)}, "momentum = None is not allowed; give a value"),
        ({"loss": PDE(data_weight=None)}, "data_weight = None is not allowed; give a value"),
        ({"start": None}, "start = None is not allowed; give a value"),
        ({"records": "all"}, "records = 'all' is not allowed"),
        ({"observer": 5}, "observer = 5 is not allowed"),
        ({"save": 5}, "output = 5 is not allowed; give the name of a file"),
        ({"start": "one"}, "start = 'one' is not allowed"),
        ({"precision": "half"}, "precision = 'half' is not allowed"),
        ({"records": 10**9}, "records = 1000000000 is not allowed"),
        ({"spacing": "odd"}, "spacing = 'odd' is not allowed"),
        ({"loss": PDE(boundary=[[1.0], [0.0, 1.0]])}, "boundary = .* is not allowed; give numbers"),
        ({"loss": PDE(boundary=[1.0, 0.0, 0.0])}, "boundary: points have dimension 3"),
    ],
)
def test_nonsense_gets_one_sentence(options, words):
    with pytest.raises(NtkspecError, match=words):
        trained(**options)


TORUS = ntkspec.Torus([1, 2])


def fails(error):
    def target(x):
        raise error

    return target


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ntkspec.harmonics(1.5), "degree = 1.5 is not allowed"),
        (lambda: ntkspec.harmonics(None), "degree = None is not allowed"),
        (lambda: ntkspec.harmonics([1, 2], [1, 2, 3]), "or one for each of the 2 degrees"),
        (lambda: ntkspec.harmonics([1, 2], "a"), "amplitude = 'a' is not allowed; give numbers"),
        (lambda: ntkspec.harmonics([1, 2], [[1, 2]]), "or one for each of the 2 degrees"),
        (lambda: ntkspec.points("x", domain=TORUS), "points = 'x' is not allowed; give numbers"),
        (lambda: ntkspec.points([[1j]], domain=TORUS), "is not allowed; give numbers"),
        (lambda: ntkspec.points([[0.1]], domain="torus"), "domain = 'torus' is not allowed"),
        (lambda: ntkspec.points([[0.1]], domain=ntkspec.Sphere(3)), "give an ntkspec.Torus"),
        (lambda: ntkspec.points([[1e200, 0]]), "norm inf; give numbers, of norm up to 1e"),
        (lambda: ntkspec.points([[1e100, 0], [0, 1]]), r"norm 1e\+100; give numbers, of norm"),
        (lambda: ntkspec.open_run(5), "path = 5 is not allowed; give the name of a file"),
        (lambda: ntkspec.open_table(None), "path = None is not allowed"),
    ],
)
def test_nonsense_for_the_parts_of_a_training_gets_one_sentence(call, words):
    with pytest.raises(NtkspecError, match=words):
        call()


@pytest.mark.parametrize("call", ["train", "plan"])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        (np.full(24, 1j), "samples must be numbers"),
        (np.full(24, 1e300), r"samples\[0\] = 1e\+300 is not allowed"),
        (np.full(24, 1e-200), "samples are at most 1e-200, which has no square"),
        (fails(KeyError("x")), "failed on an .* array: KeyError: 'x'"),
        (lambda x: 1 / 0, "failed on an .* array: ZeroDivisionError: division by zero"),
        (lambda x: x[:, 5], "failed on an .* array: IndexError"),
        (lambda x: x[:, 0] * 1j, "failed on an .* array: NtkspecError: a value = .* give numbers"),
        (lambda x: np.log(x[:, 0] - 2), r"is nan at points\[0\]"),
        (
            ntkspec.harmonics([[1, 0]], kind="cosine"),
            r"frequency = \(1, 0\) is not allowed on these",
        ),
        (ntkspec.harmonics([12]), "degrees: 12 is not allowed"),
        (ntkspec.harmonics([1], 0.0), "amplitudes: 0 is not allowed"),
    ],
)
def test_a_target_that_is_none_is_refused_alike_by_training_and_plan(call, target, words):
    with pytest.raises(NtkspecError, match=words):
        getattr(ntkspec, call)("tanh", ntkspec.circle(24), target)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("network", "target", "options"),
    [
        (Network("relu", depth=100), ntkspec.harmonics([1, 2], 0.1), {"width": 16}),
        (Network("tanh", depth=2), ntkspec.harmonics([1], 1e60), {"width": 512}),
        (Network("relu"), ntkspec.harmonics([1], 1e60), {"width": 16}),
        (Network("relu"), ntkspec.harmonics([1], 1e60), {"width": 16, "optimizer": GD(batch=4)}),
    ],
    ids=["deep", "wide", "compiled", "batches"],
)
def test_a_training_that_diverges_says_so_and_numpy_nothing(network, target, options, threads):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = ntkspec.train(
            network, ntkspec.circle(16), target, steps=5, threads=threads, precision="float32",
            **options,
        )  # fmt: skip
    assert run.members[0].status == "diverged" and "diverged" in run.members[0].message


@pytest.mark.parametrize(("loss", "steps"), [("l2", 400), (PDE(shift=-1.0), 60)])
def test_weights_on_a_sphere_are_compared_where_they_can_be(loss, steps):
    """Their kernel has no closed form at points: without an operator that level is left out."""
    run = ntkspec.train(
        Network("tanh", weights="sphere"), ntkspec.circle(24),
        ntkspec.harmonics([1, 3], [1e-3, 1e-3]), width=1024, steps=steps, loss=loss,
        optimizer=GD(step_size=0.1 if loss != "l2" else 1.0),
    )  # fmt: skip
    for row in run.compare():
        if loss == "l2":
            assert row.points.verdict == "no verdict" and "not predicted" in row.points.reason
        else:
            assert row.points.ratio == pytest.approx(row.continuum.ratio, rel=0.01)
        assert row.predicted_error is None
        if row.measured is not None:
            assert row.finite.ratio == pytest.approx(1.0, abs=0.01)
            assert row.continuum.ratio == pytest.approx(1.0, abs=0.3)
    assert row.measured is not None, "the last degree's"


def test_what_a_run_is_asked_in_vain(tmp_path, monkeypatch):
    run = trained()
    for x, words in [
        ("a", "must be an"), ([[1j, 0]], "must be an"), ([[np.nan, 0]], "norm nan"),
        ([[1, 0, 0]], "must be"), ([], "shape"),
    ]:  # fmt: skip
        with pytest.raises(NtkspecError, match=words):
            run.predict(x)
    for path in (5, None):
        with pytest.raises(NtkspecError, match=f"path = {path} is not allowed"):
            run.save(path)

    def copyfile(source, target):
        raise FileNotFoundError(2, "No such file or directory", str(target))  # as on /proc

    monkeypatch.setattr("shutil.copyfile", copyfile)
    with pytest.raises(TableError, match=r"run.h5 cannot be written \(No such file"):
        run.save(tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())
    for tolerance in (-1.0, np.nan, "a"):
        with pytest.raises(NtkspecError, match=r"tolerance = .* is not allowed"):
            run.compare(tolerance=tolerance)


SWISH = ntkspec.user_activation(
    lambda x: x / (1 + np.exp(-1.5 * x)),
    lambda x: (1 + 1.5 * x * (1 - 1 / (1 + np.exp(-1.5 * x)))) / (1 + np.exp(-1.5 * x)),
    name="mine",
)


def test_a_users_activation_is_trained_and_kept(tmp_path):
    """As the catalogue's swish(1.5) is; the file opens with the network, and only with it."""

    def runs(activation, out):
        return ntkspec.train(
            Network(activation, depth=2), ntkspec.circle(8), ntkspec.harmonics(1), width=32,
            steps=10, save=tmp_path / out,
        )  # fmt: skip

    mine, known = runs(SWISH, "mine.h5"), runs("swish(1.5)", "known.h5")
    np.testing.assert_allclose(mine.members[0].energy, known.members[0].energy, rtol=1e-9)
    assert mine.compare().rows[0].points.rate == pytest.approx(
        known.compare().rows[0].points.rate, rel=1e-6
    )
    runs(SWISH, "mine.h5")  # is complete already
    mine.save(tmp_path / "copy.h5")
    again = ntkspec.open_run(tmp_path / "copy.h5", Network(SWISH, depth=2))
    np.testing.assert_array_equal(again.predict(mine.points.x), mine.predict(mine.points.x))
    words = "is a function of a user; give the network that was trained"
    with pytest.raises(NtkspecError, match=words):
        ntkspec.open_run(tmp_path / "copy.h5")
    other = ntkspec.user_activation(np.sin, np.cos, name="mine")
    for network in (Network(other, depth=2), Network(SWISH)):
        with pytest.raises(NtkspecError, match="has other values; give the network"):
            ntkspec.open_run(tmp_path / "copy.h5", network)


def test_nothing_is_predicted_of_adam():
    run = ntkspec.train(
        Network("tanh", depth=2), ntkspec.circle(8), ntkspec.harmonics(1, 0.1), width=32, steps=60,
        optimizer=Adam(0.002),
    )  # fmt: skip
    assert "60 steps of Adam" in repr(run) and "by Adam, not predicted" in run.history.title()
    assert parse_run_recipe(run.recipe.text).digest == run.recipe.digest
    found = run.compare()
    (row,) = found.rows
    assert row.measured > 0.0 and "Adam's rates are not predicted" in str(found)
    for level in (row.continuum, row.points, row.finite):
        assert level.verdict == "no verdict" and level.reason.startswith("Adam's rates")


def test_what_makes_no_run_is_refused():
    bare = ntkspec.user_activation(np.sin, name="bare")
    with pytest.raises(NtkspecError, match=r"bare cannot be trained .*write user_activation"):
        ntkspec.train(Network(bare), ntkspec.circle(8), ntkspec.harmonics(1), width=4, steps=1)
    with pytest.raises(NtkspecError, match=r"target of shape|samples of shape"):
        ntkspec.train("tanh", ntkspec.circle(8), np.zeros(7), width=4, steps=1)
    with pytest.raises(NtkspecError, match="same as"):
        ntkspec.train("tanh", np.ones((4, 2)), np.zeros(4), width=4, steps=1)
    away = 2.0 * ntkspec.circle(8).x
    for options in ({"loss": Sobolev(1.0)}, {"target": ntkspec.harmonics(1)}):
        with pytest.raises(NtkspecError, match="for points on the sphere, and these have norms"):
            ntkspec.train("tanh", away, **{"target": away[:, 0], "width": 4, **options})
