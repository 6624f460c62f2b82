"""The losses for PyTorch: against numpy's, by gradcheck, and step by step beside the trainer."""

import copy
import subprocess
import sys

import numpy as np
import pytest
from paths import ROOT

import ntkspec
from ntkspec import NtkspecError
from ntkspec.trainer import interval, sobolev
from ntkspec.trainer.descent import Descent
from ntkspec.trainer.front import as_loss
from ntkspec.trainer.network import start
from ntkspec.trainer.points import circle, cloud, from_array, product_rule, random_points

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install 'ntkspec[torch]'"
)
ours = pytest.importorskip("ntkspec.torch")
IntervalLoss, SobolevLoss = ours.IntervalLoss, ours.SobolevLoss

RULES = {
    "circle": circle(24),
    "odd circle": circle(15),
    "sphere": product_rule(7, 3),
    "random": random_points(30, 5, 0),
    "weighted": cloud(60, 3, 0).with_quadrature_weights(),
}


def losses(s):
    """Pairs of a loss in torch and the same in numpy."""
    for rule in RULES.values():
        yield SobolevLoss(rule, None, s), sobolev.SobolevLoss(rule, s)
    for ends in ("dirichlet", "neumann", "periodic"):
        yield IntervalLoss(20, s, ends), interval.IntervalLoss(20, s, ends)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("s", [-1.0, 0.0, 0.5, 1.0])
def test_values_and_gradients_are_those_of_numpy(s):
    for loss, exact in losses(s):
        r = np.random.default_rng(0).standard_normal(loss.n)
        given = torch.tensor(r, requires_grad=True)
        value = loss(given)
        value.backward()
        scale = np.abs(exact.matrix()).max()
        assert value.item() == pytest.approx(exact.value(r), rel=1e-12)
        assert given.grad.numpy() == pytest.approx(exact.apply(r), abs=1e-13 * loss.n * scale)
        assert loss.weighted(given).detach().numpy() == pytest.approx(
            exact.matrix() @ r, abs=1e-13 * loss.n * scale
        )


@pytest.mark.parametrize("s", [-1.0, 1.0])
def test_derivatives_of_first_and_second_order_are_exact(s):
    for loss, _ in losses(s):
        generator = torch.Generator().manual_seed(0)
        r, y = (torch.randn(3, loss.n, generator=generator, dtype=torch.float64) for _ in range(2))
        r.requires_grad_()
        assert torch.autograd.gradcheck(lambda p, y=y, loss=loss: loss(p, y), (r,))
        assert torch.autograd.gradgradcheck(lambda p, y=y, loss=loss: loss(p, y), (r,))


def test_single_precision_is_that_of_the_residual():
    for loss, exact in losses(1.0):
        r = np.random.default_rng(0).standard_normal(loss.n).astype(np.float32)
        value = loss(torch.tensor(r))
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(exact.value(r), rel=1e-5)
        assert loss(torch.tensor(r).double()).item() == pytest.approx(exact.value(r), rel=1e-12)


def test_all_shapes_mean_the_same():
    loss, generator = SobolevLoss(circle(12), None, 1.0), torch.Generator().manual_seed(0)
    f, y = (torch.randn(4, 12, generator=generator) for _ in range(2))
    each = torch.stack([loss(a - b) for a, b in zip(f, y)])
    assert torch.equal(loss(f[0, :, None], y[0]), each[0])
    assert torch.equal(loss(f[0], y[0, :, None]), each[0])
    none = SobolevLoss(circle(12), None, 1.0, reduction="none")
    total = SobolevLoss(circle(12), None, 1.0, reduction="sum")
    assert torch.allclose(none(f, y), each)
    assert torch.allclose(none(f[:, :, None], y), each)
    assert none(f.reshape(2, 2, 12)).shape == (2, 2)
    assert torch.allclose(loss(f, y), each.mean()) and torch.allclose(total(f, y), each.sum())
    assert torch.allclose(none(f, y[0]), torch.stack([loss(a - y[0]) for a in f]))
    one = SobolevLoss([[1.0, 0.0]], None, 1.0)
    assert one(torch.tensor([[2.0]])).item() == pytest.approx(2.0)


def test_equispaced_points_are_recognised_in_either_precision():
    for x in (circle(64).x, torch.tensor(circle(64).x), torch.tensor(circle(64).x).float()):
        loss = SobolevLoss(x, None, 1.0)
        assert isinstance(loss.numpy.operator, sobolev.Fourier) and loss.numpy.max_degree == 32
    angle = 2 * torch.pi * torch.arange(64) / 64
    loss = SobolevLoss(torch.stack((angle.cos(), angle.sin()), 1), None, 1.0)
    assert isinstance(loss.numpy.operator, sobolev.Fourier)


def test_points_and_weights_may_be_tensors_and_arrays():
    x = random_points(40, 3, 0).x
    weights = np.random.default_rng(0).random(40)
    weights /= weights.sum()
    r = np.random.default_rng(1).standard_normal(40)
    exact = sobolev.SobolevLoss(from_array(x, weights), 1.0).value(r)
    given = torch.tensor(r)
    for points in (x, x.tolist(), torch.tensor(x), from_array(x)):
        for c in (weights, torch.tensor(weights, requires_grad=True)):
            assert SobolevLoss(points, c, 1.0)(given).item() == pytest.approx(exact, rel=1e-12)
    single = SobolevLoss(torch.tensor(x).float(), torch.tensor(weights).float(), 1.0)
    assert single(given).item() == pytest.approx(exact, rel=1e-5)


def test_it_moves_and_copies_as_modules_do():
    loss, r = SobolevLoss(product_rule(5, 3), None, 1.0), torch.ones(18, dtype=torch.float64)
    before = loss(r)
    assert not loss.state_dict() and not list(loss.parameters())
    assert torch.equal(loss.to(torch.float32).to(torch.float64)(r), before)
    loss(r.float())
    assert torch.equal(loss(r), before)
    assert torch.equal(copy.deepcopy(loss)(r), before)
    assert "n=18, s=1, weight='power', max_degree=2" in repr(loss)
    assert "n=8, s=-1, ends='neumann'" in repr(IntervalLoss(8, -1, "neumann"))
    assert loss(torch.empty(18, device="meta")).device.type == "meta"


def test_a_look_in_inference_mode_does_not_spoil_training():
    for loss in (SobolevLoss(product_rule(5, 3), None, 1.0), SobolevLoss(circle(18), None, 1.0)):
        with torch.inference_mode():
            loss(torch.ones(18))
        loss(torch.ones(18, requires_grad=True)).backward()


class PosterNetwork(torch.nn.Module):
    """m^(-1/2) sum_r a_r sigma(w_r . x), only the inner weights trained."""

    def __init__(self, network, sigma):
        super().__init__()
        self.inner = torch.nn.Linear(network.dim, network.width, bias=False, dtype=torch.float64)
        self.inner.weight.data = torch.tensor(network.parameters["weights_1"])
        self.readout = torch.tensor(network.parameters["weights_2"][0]) / network.width**0.5
        self.sigma = sigma

    def forward(self, x):
        return self.sigma(self.inner(x)) @ self.readout


@pytest.mark.parametrize("points", ["circle", "sphere"])
@pytest.mark.parametrize("name", ["relu", "tanh"])
@pytest.mark.parametrize("s", [-1.0, 0.0, 1.0])
def test_training_goes_the_trainers_way_step_by_step(points, name, s):
    rule = RULES[points]
    network = start(name, 256, rule.dim, seed=3)
    model = PosterNetwork(network, getattr(torch, name))
    y = np.sin(2.0 * rule.x[:, 0]) + rule.x[:, 1] ** 3
    descent = Descent(network, rule.x, y, sobolev.SobolevLoss(rule, s), threads=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=descent.step_size)
    loss, x, target = SobolevLoss(rule, None, s), torch.tensor(rule.x), torch.tensor(y)
    weights = network.parameters["weights_1"]
    begin = weights.copy()
    for _ in range(50):
        optimizer.zero_grad()
        value = loss(model(x), target)
        assert value.item() == pytest.approx(descent.loss, rel=1e-9)
        value.backward()
        optimizer.step()
        descent.advance(1)
        apart = np.linalg.norm(model.inner.weight.detach().numpy() - weights)
        assert apart < 1e-10 * np.linalg.norm(weights - begin)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda loss: loss(torch.ones(7)),
            r"prediction of shape \(7,\) is not allowed; it must be \(..., 8\) or \(..., 8, 1\)",
        ),
        (lambda loss: loss(torch.ones(8, 2)), r"prediction of shape \(8, 2\) is not allowed"),
        (lambda loss: loss(torch.tensor(1.0)), r"prediction of shape \(\) is not allowed"),
        (lambda loss: loss(np.ones(8)), "prediction is a ndarray; it must be a torch.Tensor"),
        (
            lambda loss: loss(torch.ones(8, dtype=torch.float16)),
            "prediction has dtype torch.float16; it must be float32 or float64",
        ),
        (lambda loss: loss(torch.ones(8), torch.ones(9)), r"target of shape \(9,\) is not allowed"),
        (
            lambda loss: loss(torch.ones(8), torch.ones(3, 8)),
            r"target of shape \(3, 8\) does not fit a prediction of shape \(8,\)",
        ),
        (
            lambda loss: SobolevLoss(circle(8), None, 1.0, reduction="max"),
            "reduction = 'max' is not allowed; use 'mean', 'sum' or 'none'",
        ),
        (lambda loss: SobolevLoss(1.5 * torch.eye(8), None, 1.0), "have norms from 1.5 to 1.5"),
        (lambda loss: SobolevLoss(torch.ones(8, 2), None, 1.0), r"points\[1\] is the same as"),
        (lambda loss: SobolevLoss(torch.ones(8), None, 1.0), r"points of shape \(8,\) are not"),
        (lambda loss: SobolevLoss([[1, 0], "x"], None, 1.0), r"points must be an \(n, dim\) array"),
        (lambda loss: SobolevLoss(circle(8), torch.ones(8), 1.0), "weights"),
        (lambda loss: SobolevLoss(circle(8), torch.ones(7) / 7, 1.0), "weights"),
        (lambda loss: SobolevLoss(circle(8), None, float("nan")), "s = nan is not allowed"),
        (lambda loss: IntervalLoss(8, 1.0, "open"), "ends = 'open' is not allowed"),
    ],
)
def test_bad_input_gets_a_message(call, message):
    with pytest.raises(NtkspecError, match=message) as caught:
        call(SobolevLoss(circle(8), None, 1.0))
    assert "\n" not in str(caught.value)


def test_without_torch_a_message_says_what_to_install():
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import ntkspec.torch
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    last = result.stderr.splitlines()[-1]
    assert last == "ImportError: ntkspec.torch needs PyTorch: pip install 'ntkspec[torch]'"
    assert "another exception" not in result.stderr


def test_the_package_itself_does_not_import_torch():
    code = "import sys, ntkspec.cli, ntkspec.trainer.descent; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == "False\n", result.stderr


@pytest.mark.parametrize(("s", "data", "boundary"), [(0.0, 0.0, 4.0), (0.5, 2.0, 0.0)])
def test_a_pinn_by_automatic_differentiation_takes_the_trainers_steps(s, data, boundary):
    """u'' - u = g on the circle with data and a boundary point, from the same weights."""
    rule, step_size = circle(24), 0.05
    made = start("tanh", 64, 2, seed=0)
    target = ntkspec.harmonics([1, 3], [0.1, 0.05], kind="cosine")
    options = {"data_weight": data, "boundary": [[1.0, 0.0]] if boundary else None}
    recipe = as_loss(ntkspec.PDE(shift=-1.0, s=s, boundary_weight=boundary or 1.0, **options))
    weights = torch.tensor(made.parameters["weights_1"], requires_grad=True)
    readout = torch.tensor(made.parameters["weights_2"][0]) / 8.0
    descent = Descent(
        recipe.of(made, rule), rule.x, recipe.observations(target, rule),
        recipe.at(rule, s, made.network), step_size=step_size,
    )  # fmt: skip
    angle = (2 * torch.pi * torch.arange(24, dtype=torch.float64) / 24).requires_grad_()
    solution = torch.tensor(target.values(rule.x))
    source = torch.tensor(recipe.observed(target, 2).values(rule.x))
    loss = SobolevLoss(rule, None, s)
    for _ in range(5):
        u = torch.tanh(torch.stack((angle.cos(), angle.sin()), 1) @ weights.T) @ readout
        (slope,) = torch.autograd.grad(u.sum(), angle, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), angle, create_graph=True)
        total = loss(curvature - u, source) + 0.5 * boundary * (u[0] - solution[0]) ** 2
        total = total + 0.5 * data * ((u - solution) ** 2).mean()
        assert descent.loss == pytest.approx(total.item(), rel=1e-10)
        (gradient,) = torch.autograd.grad(total, weights)
        weights.data -= step_size * gradient
        descent.advance()
    found = made.parameters["weights_1"]
    np.testing.assert_allclose(found, weights.detach().numpy(), rtol=0.0, atol=1e-12)
