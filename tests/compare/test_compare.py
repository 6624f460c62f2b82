"""Predictions meet measurements: made-up rates, and a ReLU network trained by plain numpy."""

import csv
import io
import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.polynomial.legendre import legval
from sweeping import make_table
from training import MadeRun, add, made_run, start_of, train

import ntkspec
from ntkspec.compare import NetworkAtStart, compare
from ntkspec.compare.verdicts import judge
from ntkspec.errors import NtkspecError, TableError
from ntkspec.plots.comparison import comparison_picture
from ntkspec.trainer.linear import LinearTraining, loss_factor
from ntkspec.trainer.points import product_rule
from ntkspec.trainer.rates import decay_rate
from ntkspec.trainer.recipe import parse_run_recipe

# ReLU on the circle: the Fourier coefficients of K = cos(theta) (pi - theta)/(2 pi) by parts.
RELU = {k: (k * k + 1) / (math.pi * (k * k - 1)) ** 2 for k in range(0, 34, 2)} | {1: 1 / 8}


def aliased(k, n):
    """Rate of degree k on n equispaced points: the discrete Fourier transform of the kernel."""
    angle = 2 * np.pi * np.arange(n) / n
    apart = np.minimum(angle, 2 * np.pi - angle)
    return float(np.mean(np.cos(apart) * (np.pi - apart) / (2 * np.pi) * np.cos(k * angle)))


def row_of(found, width, degree, loss="l2"):
    return next(r for r in found.rows if (r.loss, r.width, r.degree) == (loss, width, degree))


def seeds_near(run, width, rates, count=5, scatter=0.01, **more):
    """Members whose rates scatter about given ones."""
    draw = np.random.default_rng(width).standard_normal
    for seed in range(count):
        add(run, width, seed, [r * (1 + scatter * draw()) for r in rates], **more)


def test_the_points_add_the_degrees_that_they_cannot_tell_apart():
    run = made_run((1, 4, 8))
    seeds_near(run, 1024, [RELU[1], RELU[4], RELU[8]])
    found = compare(run, finite=False)
    rows = [row_of(found, 1024, k) for k in (1, 4, 8)]
    for row in rows:
        assert row.continuum.rate == pytest.approx(RELU[row.degree], rel=1e-12)
        assert row.points.rate == pytest.approx(aliased(row.degree, 64), rel=1e-9)
        assert row.eigenvalue_error < 1e-12
    # The numbers of DESIGN 2.8.
    assert [r.points.rate / r.continuum.rate for r in rows[1:]] == pytest.approx(
        [1.0107, 1.0506], abs=5e-5
    )


@pytest.mark.parametrize("s", [-1.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [33, 64])
def test_the_sobolev_loss_multiplies_the_rates(s, n):
    run = made_run((2, 5), points=n, s=s)
    seeds_near(run, 64, [1e-3, 1e-3], s=s, eta=0.1)
    for row in compare(run, finite=False).rows:
        mu = (1.0 + row.degree) ** (2 * s)
        assert row.loss == f"s={s:g}" and row.s == s
        assert row.continuum.rate == pytest.approx(0.1 * mu * RELU.get(row.degree, 0.0), rel=1e-12)
        assert row.points.rate == pytest.approx(0.1 * mu * aliased(row.degree, n), rel=1e-8)


def test_an_agreeing_and_a_differing_rate():
    run = made_run((2, 4))
    seeds_near(run, 4096, [aliased(2, 64) * 0.1, aliased(4, 64) * 0.13], eta=0.1)
    found = compare(run, finite=False)
    close, far = row_of(found, 4096, 2), row_of(found, 4096, 4)
    assert close.verdict == "agrees" and close.low < close.points.rate < close.high
    assert far.verdict == "differs" and far.points.ratio == pytest.approx(1.3, abs=0.03)
    assert far.points.low > 1.25 and far.seeds == 5
    assert close.finite.verdict == "no verdict" and math.isnan(close.finite.rate)
    assert close.grid == close.measured
    assert compare(run, finite=False, tolerance=0.4).rows[1].verdict == "agrees"


@pytest.mark.parametrize(
    "members, reason",
    [
        ({"rates": [1e-5]}, "too short: the amplitude has not fallen to 3/4"),
        ({"rates": [0.0]}, "too short: the amplitude has not fallen"),
        ({"rates": [0.6]}, "records are too coarse"),
        ({"rates": [0.0057], "count": 1}, "scatter over seeds exceeds 10 %"),
        ({"rates": [0.0055], "count": 3, "scatter": 0.4}, "scatter over seeds exceeds 10 %"),
        ({"rates": [0.0057], "status": "diverged"}, r"l2,width=64,seed=0 diverged"),
    ],
)
def test_no_verdict_says_why(members, reason):
    run = made_run((2,))
    seeds_near(run, 64, eta=0.1, **members)
    (row,) = compare(run, finite=False).rows
    assert row.verdict == "no verdict"
    assert reason in row.points.reason


def test_some_seeds_without_a_rate_are_no_verdict():
    run = made_run((2,))
    seeds_near(run, 64, [0.0057], eta=0.1, count=3)
    add(run, 64, 7, [1e-6], eta=0.1)
    (row,) = compare(run, finite=False).rows
    assert "3/4 of its start (for 1 of 4 seeds)" in row.points.reason and row.seeds == 3


def test_degrees_with_a_zero_eigenvalue_must_stay():
    run = made_run((3, 5, 7))
    for seed in range(3):
        add(run, 64, seed, [0.0, 1e-6, 2e-3])
    still, slow, moving = compare(run, finite=False).rows
    assert still.continuum.rate == still.points.rate == 0.0
    assert still.verdict == slow.verdict == still.continuum.verdict == "does not decay"
    assert still.bound == pytest.approx(1 - 0.75 ** (1 / 4000)) and still.measured is None
    assert moving.verdict == "differs"


@pytest.mark.slow
def test_a_numpy_training_approaches_the_prediction_for_the_points():
    run = made_run((2, 3, 4, 8), amplitude=0.05)
    for width in (256, 1024, 4096):
        for seed in range(4):
            train(run, width, seed, 4.0, 700, 5)
    found = compare(run, start=start_of)
    for row in found.rows:
        if row.degree == 3:  # the poster's network has no odd degrees beyond 1 at any width
            assert row.verdict == row.finite.verdict == "does not decay"
            continue
        # Deviations are width^-1/2 times a number of order 1; intervals are printed with them.
        scale = 6.0 / math.sqrt(row.width)
        assert abs(row.points.ratio - 1.0) < 2 * scale
        # Its own kernel predicts each network better: what is left is how far it moved.
        assert abs(row.finite.ratio - 1.0) < 0.02 + 12 * row.kernel_movement
    limits = {e.degree: e for e in found.extrapolated}
    assert limits.keys() == {2, 4, 8}
    for degree in (2, 4, 8):
        assert limits[degree].points.low < 1.0 < limits[degree].points.high
    assert limits[8].points.high - limits[8].points.low < 0.2
    power = found.powers["l2"]
    assert power.low < 0.5 < power.high


def test_a_numpy_training_with_a_sobolev_loss():
    run = made_run((2, 4, 8), amplitude=0.02, s=1.0)
    for seed in range(3):
        train(run, 4096, seed, 1.0, 60, 1, mu=lambda k: (1.0 + k) ** 2)
    found = compare(run, start=start_of)
    rates = [row.measured for row in found.rows]
    assert max(rates) < 4 * min(rates)  # with L2 loss it is a factor of 32
    for row in found.rows:
        assert row.points.ratio == pytest.approx(1.0, abs=0.12)
        assert row.finite.ratio == pytest.approx(1.0, abs=0.03)


def test_the_finite_level_is_each_networks_own_kernel():
    """Members whose own kernels double the rate, and that train as those say."""
    run = made_run((2, 4))
    members = [
        add(run, 64, seed, [0.2 * aliased(k, 64) for k in (2, 4)], eta=0.1) for seed in (0, 1)
    ]
    at = 2 * np.pi * np.arange(64) / 64
    kernel = sum(
        2 * 64 * aliased(k, 64) * np.cos(k * (at[:, None] - at)) * (2 / 64) for k in (2, 4)
    )
    for member in members:
        member.started = NetworkAtStart(kernel, np.zeros(64))
    for row in compare(run, start=start_of).rows:
        assert row.finite.verdict == "agrees" and row.finite.ratio == pytest.approx(1.0)
        assert row.points.ratio == pytest.approx(2.0, rel=0.01)


def sphere_run(s):
    """A run on weighted points of S^2 without members, its K and its P by plain numpy."""
    text = f"""
        steps = 1000
        network = {{activation = "relu", width = 64}}
        data = {{kind = "product", degree = 12}}
        target = {{kind = "zonal", degrees = [1, 2, 4]}}
        loss = {{s = {s}, max_degree = 5}}"""
    points = product_rule(12, 3)
    t = np.clip(points.x @ points.x.T, -1.0, 1.0)
    kernel = t * (np.pi - np.arccos(t)) / (2 * np.pi)
    loss = legval(t, [(1.0 + k) ** (2 * s) * (2 * k + 1) for k in range(6)])
    loss *= np.outer(points.weights, points.weights)
    waves = {k: np.sqrt(2 * k + 1) * legval(points.x[:, 2], np.eye(6)[k]) for k in (1, 2, 4)}
    run = MadeRun(parse_run_recipe(text), points, sum(waves.values()), np.arange(7))
    return run, kernel, loss, waves


@pytest.mark.parametrize("s", [-0.5, 1.5])
@pytest.mark.parametrize("start", [0.0, 0.3])
def test_descent_on_the_sphere_is_the_prediction_for_the_points(s, start):
    """Weights and a loss cut off at degree 5 mix degrees; with other values at the start too."""
    run, kernel, loss, waves = sphere_run(s)
    eta = 0.5 / np.linalg.eigvals(kernel @ loss).real.max()
    values = start * np.exp(run.points.x[:, 0])
    r, rows = values - run.target_values, []
    for _ in range(3001):
        row = np.full(7, np.nan)
        row[list(waves)] = [wave @ (run.points.weights * r) for wave in waves.values()]
        rows.append(row)
        r = r - eta * kernel @ (loss @ r)
    for seed in range(2):
        member = add(run, 64, seed, [], s=s, eta=eta, started=NetworkAtStart(kernel, values))
        member.steps, member.amplitude = np.arange(3001), np.array(rows)
        member.grid_amplitude = member.amplitude
    for row in compare(run, start=start_of).rows:
        assert row.finite.ratio == pytest.approx(1.0, abs=1e-9)
        assert row.finite.verdict == "agrees"
        if start == 0.0:
            assert row.points.ratio == pytest.approx(1.0, abs=1e-9)
            assert row.continuum.ratio == pytest.approx(1.0, abs=0.15)


def test_networks_are_started_again_from_their_seeds(monkeypatch):
    """Of two seeds, one of which doubles the rates by its own kernel."""
    asked = []

    class Network:
        def __init__(self, factor):
            self.factor = factor

        def tangent_matrix(self, x):
            t = x @ x.T
            angle = np.arccos(np.clip(t, -1.0, 1.0))
            return self.factor * t * (np.pi - angle) / (2 * np.pi)

        def values(self, x):
            return np.zeros(len(x))

    def start(recipe, dim, width, seed):
        asked.append((recipe.network.network.name, dim, width, seed))
        return Network(1 + seed)

    monkeypatch.setattr("ntkspec.compare.comparison.start_network", start)
    run = made_run((2,))
    for seed in (0, 1):
        add(run, 64, seed, [0.1 * (1 + seed) * aliased(2, 64)], eta=0.1)
    (row,) = compare(run).rows
    assert asked == [("relu", 2, 64, 0), ("relu", 2, 64, 1)]
    assert row.finite.ratio == pytest.approx(1.0) and row.finite.verdict == "agrees"


def test_a_single_network_is_judged_by_its_own_kernel():
    run = made_run((2, 4), amplitude=0.05)
    train(run, 1024, 0, 4.0, 300, 2)
    for row in compare(run, start=start_of).rows:
        assert row.finite.verdict == "agrees" and row.error is None
        near = abs(row.points.ratio - 1.0) <= max(0.03, 2.0 * row.predicted_error)
        assert row.verdict == ("agrees" if near else "differs")


# --- the scatter that is predicted ---------------------------------------------------------------


@pytest.mark.parametrize(("start", "independent"), [("zero", 512), ("random", 1024)])
def test_the_predicted_error_is_that_of_independent_neurons(start, independent):
    """One degree has no leaks: the relative variance is ((k^2-1)/(k^2+1))^2 / 2."""
    run = made_run((4,), start=start)
    seeds_near(run, 1024, [0.1 * aliased(4, 64)], eta=0.1, count=4)
    (row,) = compare(run, finite=False).rows
    right = math.sqrt((15 / 17) ** 2 / 2 / independent / 4)
    assert row.predicted_error == pytest.approx(right, rel=1e-6) and row.error_source == "exact"
    rates = [decay_rate(one.steps, one.amplitude[:, 4]).rate for one in run.members]
    assert row.error == pytest.approx(np.std(rates, ddof=1) / 2 / np.mean(rates))


@pytest.mark.parametrize(
    ("errors", "scatter", "seeds", "verdict"),
    [
        (1.9, 0.0, 1, "agrees"),
        (2.1, 0.0, 1, "differs"),
        (-1.9, 1e-4, 5, "agrees"),  # the interval over these seeds does not contain 1
        (-2.1, 1e-4, 5, "differs"),
        (5.0, 1e-4, 1, "differs"),
    ],
)
def test_two_predicted_errors_agree(errors, scatter, seeds, verdict):
    run = made_run((4,))
    width = 1024 if seeds == 1 else 256
    error = math.sqrt((15 / 17) ** 2 / 2 / (width / 2) / seeds)
    rate = 0.1 * aliased(4, 64) * (1 + errors * error)
    seeds_near(run, width, [rate], eta=0.1, count=seeds, scatter=scatter)
    (row,) = compare(run, finite=False).rows
    assert abs(row.points.ratio - 1.0) > 0.03 and row.verdict == verdict


def test_seeds_that_scatter_far_more_than_predicted_judge_alone():
    run = made_run((2,))
    seeds_near(run, 4096, [0.1 * aliased(2, 64)], eta=0.1, count=3, scatter=0.3)
    (row,) = compare(run, finite=False).rows
    assert row.error > 10 * row.predicted_error and row.verdict == "no verdict"


@pytest.mark.parametrize(
    "changed",
    [
        {"more": "[optimizer]\nmomentum = 0.5"},
        {"more": "[optimizer]\nbatch = 8"},
        {"activation": "tanh", "network": "depth = 2"},
        {"activation": "tanh", "network": "bias_variance = 0.1"},
    ],
)
def test_where_the_scatter_is_not_known_one_seed_has_no_verdict(changed):
    run = made_run((1,), **changed)
    add(run, 64, 0, [0.01], eta=0.1)
    (row,) = compare(run, finite=False).rows
    assert row.predicted_error is None and row.error_source == ""
    assert row.verdict == "no verdict" and "its scatter is not predicted" in row.points.reason


def test_two_seeds_of_two_widths_have_a_limit_by_the_predicted_scatter():
    """Student's interval of two degrees of freedom is twice as wide, and of any width."""
    run = made_run((2, 4))
    for width in (1024, 4096):
        rates = [0.1 * aliased(k, 64) for k in (2, 4)]
        seeds_near(run, width, rates, eta=0.1, count=2, scatter=0.6 / math.sqrt(width))
    found = compare(run, finite=False)
    for limit in found.extrapolated:
        assert limit.scatter == "predicted" and limit.verdict == "agrees"
    # By hand: the estimate is 2 y(4096) - y(1024), of variance (4/4096 + 1/1024) v / 2.
    row = row_of(found, 1024, 4)
    variance = 2 * 1024 * row.predicted_error**2
    half = 1.96 * math.sqrt((4 / 4096 + 1 / 1024) / 2 * variance)
    assert limit.points.high - limit.points.ratio == pytest.approx(half, rel=1e-6)


def test_step_sizes_may_differ_between_seeds():
    run = made_run((2,))
    for seed, eta in enumerate((0.05, 0.1, 0.2)):
        add(run, 64, seed, [eta * aliased(2, 64) * (1 + 0.001 * seed)], eta=eta)
    (row,) = compare(run, finite=False).rows
    assert row.verdict == "agrees" and row.points.high - row.points.low < 0.01


def test_a_table_gives_the_same_eigenvalues(tmp_path):
    (tmp_path / "recipe.toml").write_text(
        'dims = "2,3"\ndegrees = "0:20"\n[[networks]]\nactivation = "relu"\n'
    )
    make_table(tmp_path / "recipe.toml", tmp_path / "t.h5")
    run = made_run((1, 4, 8))
    seeds_near(run, 64, [0.01, 0.01, 0.01])
    rows = compare(run, tmp_path / "t.h5", finite=False).rows
    for mine, other in zip(rows, compare(run, finite=False).rows):
        assert mine.continuum.rate == pytest.approx(other.continuum.rate, rel=1e-12)
        assert 0.0 < mine.eigenvalue_error < 1e-11
    far = made_run((1, 30))
    seeds_near(far, 64, [0.01, 0.01])
    with pytest.raises(NtkspecError, match="degree = 30 is not in the table"):
        compare(far, tmp_path / "t.h5", finite=False)
    with pytest.raises(TableError, match="does not exist"):
        compare(run, tmp_path / "missing.h5", finite=False)


def test_progress_and_members_too_young_to_compare():
    run = made_run((2,))
    seeds_near(run, 64, [0.0057], eta=0.1, count=3)
    run.members[0].steps = run.members[0].steps[:1]
    seen = []
    compare(run, finite=False, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    run.members = []
    assert compare(run).rows == []


def test_files_hold_all_rows():
    run = made_run((2, 3))
    for width in (256, 1024):
        seeds_near(run, width, [0.0057, 0.0], eta=0.1)
    found = compare(run, finite=False)
    text = io.StringIO()
    found.to_csv(text)
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert [r["width"] for r in rows] == ["256", "256", "1024", "1024", "inf"]
    assert float(rows[0]["points_rate"]) == found.rows[0].points.rate
    assert rows[1]["points_verdict"] == "does not decay" and rows[1]["measured"] == ""
    text = io.StringIO()
    found.to_json(text)
    whole = json.loads(text.getvalue())
    assert whole["rows"][0]["points"]["ratio"] == found.rows[0].points.ratio
    assert whole["rows"][0]["finite"]["rate"] is None
    assert whole["extrapolated"][0]["degree"] == 2 and "power" in whole["powers"]["l2"]


def test_reasons_without_a_verdict_are_printed():
    run = made_run((1,), activation="tanh", network="depth = 2")
    add(run, 64, 0, [0.01], eta=0.1)
    found = compare(run, finite=False)
    wanting = [row for row in found if row.points.reason]
    assert wanting
    for row in wanting:
        assert f"no verdict: {row.points.reason}" in repr(found)
        assert f"<div>no verdict: {row.points.reason}</div>" in found._repr_html_()
    assert found.notes() == repr(found).splitlines()[2 + len(found) :]


def test_comparisons_are_values_that_print_a_table():
    run = made_run((2, 3))
    seeds_near(run, 256, [0.0057, 0.0], eta=0.1)
    found, again = compare(run, finite=False), compare(run, finite=False)
    assert found == again and found.rows[0] == again.rows[0] and list(found) == found.rows
    assert found != compare(run, finite=False, tolerance=0.5) and found.rows[0] != found.rows[1]
    lines = repr(found).splitlines()
    assert lines[0] == "Comparison(2 rows, 0 extrapolated)" and len(lines) == 4
    assert lines[3].split() == ["l2", "256", "3", "0", "does", "not", "decay"]
    assert found._repr_html_().count("<tr>") == 3
    frame = found.to_pandas()
    assert frame.degree.tolist() == [2, 3] and frame.points_ratio[0] == found.rows[0].points.ratio
    axes = found.plot(Figure().add_subplot())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["l2, width 256"]


def test_a_picture_for_any_number_of_widths_and_degrees(tmp_path):
    run = made_run((2, 3, *range(4, 24, 2)))
    rates = [max(aliased(k, 64), 0.0) * 0.1 for k in run.recipe.target.degrees]
    for width in (256, 512, 4096):
        seeds_near(run, width, rates, eta=0.1, count=3)
    seeds_near(run, 64, rates, s=0.5, eta=0.1, count=1)
    outputs = [tmp_path / "sub" / "c.png", tmp_path / "c.svg"]
    assert comparison_picture(compare(run, finite=False), run, outputs) == outputs
    assert outputs[0].read_bytes()[:4] == b"\x89PNG"
    text = outputs[1].read_text()
    assert text.count("<svg") == 1 and "nan" not in text
    assert {path.name for path in tmp_path.iterdir()} == {"sub", "c.svg"}


def test_no_picture_of_nothing(tmp_path):
    run = made_run((2,))
    with pytest.raises(NtkspecError, match="no trainings"):
        comparison_picture(compare(run), run, [tmp_path / "c.png"])
    with pytest.raises(NtkspecError, match="must end in"):
        comparison_picture(compare(run), run, [tmp_path / "c.txt"])


# --- the linear dynamics alone -------------------------------------------------------------------


def test_linear_training_is_the_iteration_itself():
    draw = np.random.default_rng(0)
    a, b = draw.standard_normal((7, 4)), draw.standard_normal((7, 5))
    kernel, loss = a @ a.T, b @ b.T  # both singular
    start, rows = draw.standard_normal(7), draw.standard_normal((3, 7))
    eta = 1.7 / np.linalg.eigvals(kernel @ loss).real.max()
    training = LinearTraining(kernel, loss_factor(loss))
    assert training.eigenvalues.size == 5
    r, wanted = start.copy(), []
    for _ in range(30):
        wanted.append(rows @ r)
        r -= eta * kernel @ (loss @ r)
    found = training.amplitudes(eta, range(30), start, rows)
    assert found == pytest.approx(np.array(wanted), rel=1e-11, abs=1e-11)
    assert np.isinf(training.amplitudes(3 * eta, [10**6], start, rows)).any()


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: loss_factor([[1.0, 2.0]]), r"matrix of shape \(1, 2\)"),
        (lambda: loss_factor([[1.0, 2.0], [0.0, 1.0]]), "matrix is not symmetric"),
        (lambda: loss_factor([[1.0, 2.0], [2.0, 1.0]]), "eigenvalue -1"),
        (lambda: LinearTraining(np.eye(3), np.eye(2)), r"factor of shape \(2, 2\)"),
        (lambda: LinearTraining([[np.nan]], np.eye(1)), "kernel is not symmetric"),
    ],
)
def test_what_is_no_kernel_or_loss_gets_a_message(make, words):
    with pytest.raises(NtkspecError, match=words):
        make()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("predicted", [1e-160, 1e-300, 5e-324])
def test_rates_out_of_all_proportion_differ(predicted):
    """A ratio whose square is no double differs, without a warning or an error."""
    steps = np.arange(0, 4001, 20)
    rates = [decay_rate(steps, (1 - rate) ** steps) for rate in (0.001, 0.002)]
    level = judge(rates, np.full(2, predicted), "", 0.03, per_network=False)
    assert (level.verdict, level.ratio) == ("differs", None)


def test_a_step_that_no_rate_can_be_compared_with():
    run = made_run((1, 4))
    add(run, 64, 0, (0.001, 0.001), eta=1e-308)
    with pytest.raises(TableError, match=r"made.h5: l2,width=64,seed=0 has step_size = 1e-308"):
        compare(run, finite=False, start=start_of)


@pytest.mark.parametrize(
    ("size", "seeds", "reason", "agrees"),
    [(0.5, 3, "moved in training", False), (1e-4, 20, "own kernels at the start", True)],
)
def test_a_rate_that_differs_has_its_cause(size, seeds, reason, agrees):
    """Trained networks of width 256: a target 5,000 times smaller leaves their kernels."""
    run = ntkspec.train(
        "relu", ntkspec.circle(32), ntkspec.harmonics([1, 8], size), loss="l2", width=256,
        seeds=range(seeds), steps=600,
    )  # fmt: skip
    found = run.compare()
    row = row_of(found, 256, 8)
    assert row.verdict == "differs" and reason in row.points.reason
    assert (abs(row.finite.ratio - 1.0) < 0.01) == agrees == (row.kernel_movement < 1e-3)
    assert f"differs: {row.points.reason}" in repr(found)
