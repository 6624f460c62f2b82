"""A model's measured decay beside its own kernel's and that of infinite width."""

import copy
import math

import numpy as np
import pytest

from ntkspec import NtkspecError

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install 'ntkspec[torch]'"
)
nn = torch.nn
ours = pytest.importorskip("ntkspec.torch")
compare_model, describe, empirical_ntk = ours.compare_model, ours.describe, ours.empirical_ntk

WIDTH, POINTS = 256, 12


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(outputs=1):
    return nn.Sequential(
        nn.Linear(2, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh(),
        nn.Linear(WIDTH, outputs),
    ).double()  # fmt: skip


class Trained:
    """A network trained by torch.optim.SGD on the circle, from a small residual."""

    def __init__(self, loss="mean", outputs=1, steps=60):
        torch.manual_seed(0)
        self.start = network(outputs)
        angle = 2 * torch.pi * torch.arange(POINTS, dtype=torch.float64) / POINTS
        self.x = math.sqrt(2.0) * torch.stack((angle.cos(), angle.sin()), dim=1)
        self.residual = 1e-5 * (1.0 + angle.cos() + (2 * angle).sin() + (3 * angle).cos())
        with torch.no_grad():
            self.y = self.start(self.x) - torch.stack([self.residual] * outputs, dim=1)
        factor = 2.0 / (POINTS * outputs) if loss == "mean" else 2.0
        self.kernel = empirical_ntk(self.start, self.x).numpy()
        self.speed = 0.2 / np.linalg.eigvalsh(self.kernel)[-1]
        self.lr, self.model = self.speed / factor, copy.deepcopy(self.start)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=self.lr)
        measure = nn.MSELoss(reduction=loss)
        self.losses, self.residuals = [], []
        for _ in range(steps + 1):
            optimizer.zero_grad()
            found = self.model(self.x)
            value = measure(found, self.y)
            self.losses.append(value.item())
            self.residuals.append((found - self.y).detach().clone())
            value.backward()
            optimizer.step()

    def compare(self, history=None, **options):
        return compare_model(self.start, self.x, self.y, history, lr=self.lr, **options)


@pytest.fixture(scope="module")
def one():
    return Trained()


def test_own_directions_decay_by_the_own_eigenvalues(one):
    found = one.compare(one.residuals, directions="own", trained=one.model)
    seen = found.power > 1e-4
    assert seen.sum() >= 4
    # The kernel moves with the size of the residuals, 1e-5.
    assert 0.0 < found.movement < 1e-4
    expected = one.speed * found.own_eigenvalues
    assert found.own_rates[seen] == pytest.approx(expected[seen], rel=1e-9)
    assert found.measured_rates[seen] == pytest.approx(expected[seen], rel=2e-3)
    assert found.own_losses == pytest.approx(one.losses, rel=1e-3, abs=0.0)
    own = found.own.eigenvectors.T @ one.kernel @ found.own.eigenvectors
    assert np.diag(own) == pytest.approx(found.own.eigenvalues, rel=1e-9)
    assert found.own_eigenvalues == pytest.approx(found.own.eigenvalues, rel=1e-9)


def test_infinite_directions_and_the_distance(one):
    found = one.compare(one.residuals)
    network = describe(one.start, parameterization="pytorch").network
    infinite = network.ntk_matrix(one.x.numpy(), fan_in=True)
    apart = np.linalg.norm(one.kernel - infinite) / np.linalg.norm(infinite)
    assert found.distance == pytest.approx(apart, rel=1e-9) and apart < 0.25
    seen = found.power > 1e-4
    assert found.rates == pytest.approx(one.speed * found.eigenvalues, rel=1e-6, abs=1e-12)
    # What other directions leak is in the own kernel's prediction, which takes the same fit.
    assert found.measured_rates[seen] == pytest.approx(found.own_rates[seen], rel=5e-3, abs=1e-6)
    assert found.times[0] == pytest.approx(-1.0 / np.log1p(-found.rates[0]))
    assert found.title().startswith("ModelComparison: points = 12, directions = infinite, lr = ")
    assert len(repr(found).splitlines()) == 13
    frame = found.to_pandas()
    np.testing.assert_array_equal(frame["measured_rate"], found.measured_rates)
    assert found.to_xarray()["loss"].sizes == {"step": 61}


def test_degrees_are_those_of_the_target(one):
    found = one.compare(one.residuals, directions="degrees")
    assert list(found.labels) == list(range(6))  # 1 + 5 * 2 harmonics on 12 points
    assert found.power == pytest.approx([0.4, 0.2, 0.2, 0.2, 0.0, 0.0], abs=1e-9)
    # On equispaced points harmonics are eigenvectors of the infinite network's matrix.
    angle = 2 * np.pi * np.arange(POINTS) / POINTS
    for k in range(4):
        wave = np.cos(k * angle)
        exact = wave @ found.infinite.matrix @ wave / (wave @ wave)
        assert found.eigenvalues[k] == pytest.approx(exact, rel=1e-9)
        assert found.rates[k] == pytest.approx(one.speed * exact, rel=1e-6)
    assert found.measured_rates[:4] == pytest.approx(found.own_rates[:4], rel=5e-3)
    assert np.isnan(found.measured_rates[4:]).all()


def test_degrees_that_mix_on_uneven_points_are_named(one):
    """The change of degree 0, whose only harmonic is constant, in one step of the kernel matrix."""
    assert one.compare(one.residuals, directions="degrees").inflow[:4] == pytest.approx(
        0.0, abs=1e-6
    )
    assert "no eigenvectors" not in repr(one.compare(one.residuals, directions="degrees"))
    assert np.nanmax(one.compare(one.residuals).inflow) == 0.0
    angle = 2 * np.pi * torch.linspace(0.0, 1.0, POINTS, dtype=torch.float64) ** 2 * 0.9
    x = math.sqrt(2.0) * torch.stack((angle.cos(), angle.sin()), dim=1)
    with torch.no_grad():
        y = one.start(x)[:, 0] - (0.02 + (3 * angle).cos())
    start = (one.start(x)[:, 0] - y).detach().numpy()
    infinite = describe(one.start, parameterization="pytorch").network.ntk_matrix(
        x.numpy(), fan_in=True
    )
    speed = 1e-3 * one.speed
    history = [start, start - speed * infinite @ start]
    lr = speed * POINTS / 2.0
    found = compare_model(one.start, x, y, np.array(history), lr=lr, directions="degrees")
    constant = np.full(POINTS, POINTS**-0.5)
    itself = constant @ infinite @ constant * (constant @ start)
    whole = constant @ infinite @ start
    assert found.inflow[0] == pytest.approx(abs(whole - itself) / abs(itself), rel=1e-6)
    assert found.inflow[0] > 0.1
    assert found.rates[0] == pytest.approx(speed * whole / (constant @ start), rel=1e-6)
    assert repr(found).splitlines()[-1].startswith("degree 0")
    assert "harmonics are no eigenvectors" in found._repr_html_()


def test_histories_in_other_forms(one):
    full = one.compare(one.residuals, directions="own")
    array = torch.stack(one.residuals)[:, :, 0].numpy()
    assert one.compare(-array, directions="own") == full
    some = one.compare(array[::10], steps=range(0, 61, 10), directions="own")
    known = some.power > 1e-2
    assert some.measured_rates[known] == pytest.approx(full.measured_rates[known], rel=1e-3)
    losses = one.compare(one.losses)
    assert np.isnan(losses.measured_rates).all()
    assert losses.own_losses == pytest.approx(losses.losses, rel=1e-3, abs=0.0)
    nothing = one.compare(steps=[0, 10])
    assert nothing.own_losses == pytest.approx(losses.own_losses[[0, 10]], rel=1e-12, abs=0.0)
    assert nothing.own_rates == pytest.approx(one.speed * nothing.own_eigenvalues, rel=1e-12)


def test_sums_and_several_outputs():
    several = Trained("sum", outputs=3, steps=10)
    found = several.compare(several.residuals, loss="sum", directions="own")
    assert found.losses == pytest.approx(several.losses, rel=1e-9, abs=0.0)
    # Products of two outputs, left out, are of the order of the root of 1 / width.
    assert found.measured_rates[0] == pytest.approx(found.own_rates[0], rel=0.4)


def test_a_picture_of_the_rates(one):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = one.compare(one.residuals).plot(figure.subplots())
    assert [line.get_label() for line in axes.lines] == ["infinite width", "own kernel", "measured"]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda one: one.compare([2 * x for x in one.losses]), r"history\[0\] = .* the loss of th"),
        (lambda one: one.compare(one.residuals[1:]), r"history\[0\] is not model\(X\) - y"),
        (lambda one: one.compare(one.losses[:1]), "fewer than two entries"),
        (lambda one: one.compare(np.ones((4, 5))), r"history of shape \(4, 5\) is not allowed"),
        (lambda one: one.compare(one.losses, steps=[1, 2]), "give rising whole numbers from 0 on"),
        (lambda one: one.compare(loss="max"), "loss = 'max' is not allowed"),
        (
            lambda one: compare_model(one.start, one.x, one.y[1:], lr=1.0),
            "does not fit the model's outputs",
        ),
        (
            lambda one: compare_model(
                one.start, one.x * torch.linspace(1, 2, 12)[:, None], one.y, lr=1.0,
                directions="degrees",
            ),
            "needs points of one norm",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(call, message, one):
    with pytest.raises(NtkspecError, match=message) as caught:
        call(one)
    assert "\n" not in str(caught.value)


def test_another_initialization_needs_its_weights(one):
    model = copy.deepcopy(one.start)
    for layer in (model[0], model[2], model[4]):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    with pytest.raises(NtkspecError, match="give variances='weights'"):
        compare_model(model, one.x, one.y, lr=1e-3)
    found = compare_model(model, one.x, one.y, lr=1e-3, variances="weights")
    assert found.distance < 0.4
