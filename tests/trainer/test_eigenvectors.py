"""Losses and targets in the eigenvectors of the kernel, on data that need not be on a sphere."""

import numpy as np
import pytest
from scipy import linalg

import ntkspec
from ntkspec import KernelPower, Network, NtkspecError
from ntkspec.trainer.eigenvectors import EigenvectorTarget, KernelLoss, eigensystem
from ntkspec.trainer.points import circle, from_array, random_points
from ntkspec.trainer.runs import train_run
from ntkspec.trainer.runs.problem import sampled

#: Vectors of any norm, and a function of them.
X = np.random.default_rng(0).standard_normal((24, 3)) * np.linspace(0.5, 1.5, 24)[:, np.newaxis]
Y = np.sin(X[:, 0]) + 0.2
NETWORK = Network("relu", trained="all")


def test_eigenvalues_on_the_circle_are_the_dft_of_the_kernel():
    points = circle(16)
    values, vectors = eigensystem(NETWORK, points)
    dft = np.fft.fft(NETWORK.ntk_matrix(points.x)[0]).real / 16
    np.testing.assert_allclose(values, np.sort(dft)[::-1], atol=1e-13)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(16), atol=1e-13)


def test_the_loss_is_a_power_of_the_kernel():
    """Without the floor the inverse square root, by scipy; and with it, in both inner products."""
    points = from_array(X)
    matrix = NETWORK.ntk_matrix(X) / 24
    top = np.linalg.eigvalsh(matrix)[-1]
    root = linalg.inv(linalg.sqrtm(matrix / top)) / 24
    loss = KernelLoss(NETWORK, points, 0.5, floor=1e-12)
    np.testing.assert_allclose(loss.matrix(), root, rtol=1e-9, atol=1e-9 * np.abs(root).max())
    np.testing.assert_allclose(loss.apply(Y), root @ Y, rtol=1e-9)
    weighed = from_array(X, np.arange(24) / 276)  # the first has the weight 0
    for floor, s in ((1e-12, 0.5), (0.1, 0.5), (0.01, -1.0)):
        loss = KernelLoss(NETWORK, weighed, s, floor)
        rates = np.sort(np.linalg.eigvals(NETWORK.ntk_matrix(X) @ loss.matrix()).real)[::-1]
        np.testing.assert_allclose(np.sort(loss.eigenvalues)[::-1], rates, atol=1e-10)
        values = eigensystem(NETWORK, weighed)[0]
        wanted = values * np.maximum(values / values[0], floor) ** -s
        np.testing.assert_allclose(loss.eigenvalues, wanted)


def test_parts_on_the_circle_are_those_of_degrees():
    """Two eigenvectors of one eigenvalue are one part, which no choice of vectors changes."""
    points = circle(32)
    y = points.x[:, 0] + 0.3 * (points.x[:, 1] ** 2 - 0.5) + 0.1
    ours, theirs = EigenvectorTarget(points, y, 31, Network("relu")), sampled(points, y)
    assert ours.ranks[:4].tolist() == [0, 2, 3, 5] and theirs.degrees == (0, 1, 2)
    assert sorted(ours.amplitudes) == pytest.approx(sorted(theirs.amplitudes))
    for rank, amplitude in zip(ours.degrees, ours.amplitudes, strict=True):
        degree = theirs.degrees[int(np.argmin(np.abs(np.subtract(theirs.amplitudes, amplitude))))]
        part = ours.component(rank, points.x)
        np.testing.assert_allclose(part, theirs.component(degree, points.x), atol=1e-9)
    assert len(ours.ranks) < 20, "the odd degrees of ReLU have one eigenvalue, 0"


@pytest.fixture(scope="module")
def run():
    return ntkspec.train(
        NETWORK, X, Y * 0.05, width=2048, seeds=3, steps=400, loss=["l2", KernelPower(-0.5, 0.01)],
        start="zero",
    )  # fmt: skip


def test_rates_of_any_data_are_predicted(run):
    """The step size times the eigenvalues of K P, and those of each network's own kernel."""
    assert run.target.part == "eigenvector" and run.grid.n == 24
    points, target = run.points, run.target
    for member in run.members:
        loss = KernelLoss(NETWORK, points, 0.0 if np.isnan(member.s) else member.s, 0.01)
        rates = member.step_size * loss.eigenvalues[list(target.degrees)]
        rows = [row for row in run.compare().rows if row.loss == member.name.split(",")[0]]
        assert [row.degree for row in rows] == list(target.degrees)
        slow = rates < 0.3
        found = np.array([row.points.rate for row in rows])
        # Seeds have step sizes of their own; the points' rates are their means.
        np.testing.assert_allclose(found[slow] / rates[slow], 1.0, atol=0.1)
    rows = [row for row in run.compare().rows if row.finite.ratio is not None]
    measured = [row.finite.ratio for row in rows if row.degree < 8]
    assert len(measured) >= 6
    assert measured == pytest.approx([1.0] * len(measured), abs=0.02)


def test_energies_are_those_along_the_eigenvectors(run):
    _, vectors = np.linalg.eigh(NETWORK.ntk_matrix(X))
    vectors = vectors[:, ::-1]
    member = run.members[-1]
    np.testing.assert_allclose(member.energy[0], (vectors.T @ run.target_values) ** 2 / 24)
    residual = member.learned - run.target_values
    np.testing.assert_allclose(member.energy[-1], (vectors.T @ residual) ** 2 / 24, atol=1e-18)
    np.testing.assert_allclose(member.grid_energy, member.energy)
    assert member.energy[0].sum() == pytest.approx(np.mean(run.target_values**2))


def test_the_root_of_the_kernel_fits_sooner(run):
    """At equal steps: the slow eigenvectors gain, as the eigenvalues of K P say."""
    plain, root = run.members[0], run.members[3]
    assert (plain.name, root.name) == ("l2,width=2048,seed=0", "s=0.5,width=2048,seed=0")
    assert root.energy[-1].sum() < 0.2 * plain.energy[-1].sum()


def test_its_recipe_trains_the_same(run, tmp_path):
    np.save(tmp_path / "points.npy", run.points.x)
    np.save(tmp_path / "target.npy", run.target_values)
    (tmp_path / "r.toml").write_text(
        run.recipe.text.replace("seeds = [0, 1, 2]", "seeds = 1").replace("400", "3")
        .replace("records = 201", "records = 4")
    )  # fmt: skip
    assert 'weight = "kernel"\nfloor = 0.01' in run.recipe.text
    train_run(tmp_path / "r.toml", tmp_path / "run.h5")
    again = ntkspec.open_run(tmp_path / "run.h5")
    assert again.target.part == "eigenvector"
    for member in again.members:
        same = run.member(member.name)
        assert member.energy.tobytes() == same.energy[:4].tobytes()
        assert member.loss.tobytes() == same.loss[:4].tobytes()


def test_on_the_sphere_harmonics_stay_degrees():
    target = ntkspec.harmonics([1, 2], 0.05)
    run = ntkspec.train("relu", circle(32), target, width=1024, steps=150, loss=KernelPower(-0.5))
    rows = run.compare().rows
    assert run.target.part == "degree" and [row.degree for row in rows] == [1, 2]
    for row in rows:
        assert row.finite.ratio == pytest.approx(1.0, abs=0.02)
        assert "not predicted at this level" in row.continuum.reason
    lam = ntkspec.eigenvalues("relu", dim=2, degrees=[1, 2])
    wanted = run.members[0].step_size * lam[1] * (lam[1] / lam[0]) ** -0.5
    assert rows[1].points.rate == pytest.approx(wanted, rel=0.01)


def test_what_is_refused():
    many = random_points(4097, 2, seed=0)
    with pytest.raises(NtkspecError, match="4097 points are not allowed: eigenvectors"):
        KernelLoss(Network("relu"), many)
    for data, target in ((X, Y), (circle(16), circle(16).x[:, 0])):
        with pytest.raises(NtkspecError, match="not allowed in a plan of these points"):
            ntkspec.plan("relu", data, target, loss=KernelPower())


@pytest.mark.slow
def test_the_parity_of_digits_is_fitted_sooner_and_predicted_no_better():
    """What docs/losses.rst says: 0.0013 after 30 steps, 0.0035 after 300 of L2, 98.4 %."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    images, digit = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    x = images[order] - images.mean(axis=0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = 2.0 * (digit[order] % 2) - 1.0
    for loss, steps, wanted in ((KernelPower(-0.5), 30, 0.0013), ("l2", 300, 0.0035)):
        run = ntkspec.train(
            "relu", x[:500], y[:500], width=2048, steps=steps, loss=loss, precision="float32"
        )
        error = np.mean((run.members[0].learned - y[:500]) ** 2)
        assert error == pytest.approx(wanted, abs=1e-4)
        assert np.mean(np.sign(run.predict(x[500:])) == y[500:]) == pytest.approx(0.984, abs=0.001)


@pytest.mark.slow
def test_digits_in_three_dimensions_by_degree():
    """Sobolev loss and quadrature weights: each degree goes its own kernel's way."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    images, digit = datasets.load_digits(return_X_y=True)
    images = images[:800] - images[:800].mean(axis=0)
    x = images @ np.linalg.svd(images, full_matrices=False)[2][:3].T
    data = ntkspec.points(x / np.linalg.norm(x, axis=1, keepdims=True), weights="quadrature")
    assert data.exact_degree >= 8
    y = 0.05 * (2.0 * (digit[:800] % 2) - 1.0)
    run = ntkspec.train("relu", data, y, width=2048, steps=100, loss=ntkspec.Sobolev(1.0))
    rows = {row.degree: row for row in run.compare().rows}
    for degree in (1, 2):
        assert rows[degree].finite.ratio == pytest.approx(1.0, abs=0.03)
        assert rows[degree].points.ratio == pytest.approx(1.0, abs=0.2)
