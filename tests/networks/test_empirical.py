"""A PyTorch model's own tangent kernel: against autograd's Jacobian, and at large width."""

import numpy as np
import pytest

from ntkspec import NtkspecError

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install 'ntkspec[torch]'"
)
nn = torch.nn
ours = pytest.importorskip("ntkspec.torch")
describe, empirical_ntk = ours.describe, ours.empirical_ntk


class Shared(nn.Module):
    """A layer called twice, once by its keyword, tied weights, and a weight used outside it."""

    def __init__(self):
        super().__init__()
        self.twice, self.tied, self.last = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 2)
        self.tied.weight = self.twice.weight
        self.outside = nn.Linear(5, 5)
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, 5))

    def forward(self, x):
        x = torch.tanh(self.twice(input=torch.tanh(self.twice(x)))) * self.scale
        x = torch.tanh(self.outside(torch.tanh(self.tied(x))))
        return self.last(x @ self.outside.weight)


class Rows(nn.Module):
    """One layer on each of several tokens."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x))).mean(1)


def convolution():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(48, 2),
    )  # fmt: skip


def dense(dim=5, width=20, outputs=1, sigma=nn.Tanh):
    return nn.Sequential(
        nn.Linear(dim, width), sigma(), nn.Linear(width, width), sigma(),
        nn.Linear(width, outputs),
    )  # fmt: skip


def normalized():
    return nn.Sequential(
        nn.Linear(5, 20), nn.LayerNorm(20), nn.Dropout(0.5), nn.GELU(), nn.Linear(20, 3)
    )


MODELS = {
    "dense": (dense, (5,)),
    "normalized": (normalized, (5,)),
    "shared": (Shared, (5,)),
    "rows": (Rows, (4, 3)),
    "convolution": (convolution, (1, 6, 6)),
}


def plain(model, x, y):
    """J J' with the gradient of each output of each row."""

    def of(x):
        parameters = [p for p in model.parameters() if p.requires_grad]
        return torch.stack([
            torch.cat([
                slope.reshape(-1)
                for slope in torch.autograd.grad(
                    value, parameters, retain_graph=True, materialize_grads=True
                )
            ])
            for row in x
            for value in model(row[None]).reshape(-1)
        ])  # fmt: skip

    return of(x) @ of(y).T


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("memory", [256e6, 1.3e5])
@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_product_of_autograds_jacobian(name, memory):
    make, shape = MODELS[name]
    model = make().double().eval()
    x, y = (torch.randn(n, *shape, dtype=torch.float64) for n in (7, 4))
    for other in (None, y):
        exact = plain(model, x, x if other is None else other)
        outputs = exact.shape[0] // 7
        grid = exact.reshape(7, outputs, -1, outputs)
        each = torch.stack([grid[:, k, :, k] for k in range(outputs)])
        for kind, expected in (("full", exact), ("each", each), ("mean", each.mean(0))):
            found = empirical_ntk(model, x, other, outputs=kind, memory=memory)
            assert found.dtype == torch.float64 and found.shape == expected.shape
            assert (found - expected).abs().max() < 1e-12 * exact.abs().max()


def test_only_trained_parameters_count_and_the_model_stays_as_it_is():
    model = dense(outputs=2).double()
    x = torch.randn(6, 5, dtype=torch.float64)
    frozen = (model[0].weight, model[2].bias, model[4].weight)
    for one in frozen:
        one.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    exact = plain(model, x, x)
    found = empirical_ntk(model, x, outputs="full")
    assert (found - exact).abs().max() < 1e-12 * exact.abs().max()
    with torch.no_grad():
        assert torch.equal(empirical_ntk(model, x, outputs="full"), found)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(found, found.T)


def test_single_precision_arrays_and_models_with_one_number_for_a_row():
    model = dense()
    x = np.random.default_rng(0).standard_normal((6, 5))
    found = empirical_ntk(model, x)
    assert found.dtype == torch.float32
    exact = empirical_ntk(model.double(), x)
    assert torch.allclose(found.double(), exact, rtol=1e-5, atol=1e-5 * float(exact.max()))
    assert torch.allclose(empirical_ntk(model, x.tolist()), exact)

    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x).squeeze()

    assert torch.allclose(empirical_ntk(Squeezed(), x, outputs="full"), exact)


def test_tokens_may_be_whole_numbers():
    model = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 1)).double()
    x = torch.randint(0, 7, (5, 3))
    exact = plain(model, x, x)
    assert (empirical_ntk(model, x) - exact).abs().max() < 1e-12 * exact.abs().max()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: empirical_ntk(3, x), "give a torch.nn.Module"),
        (lambda x: empirical_ntk(dense().half(), x), "of torch.float16"),
        (lambda x: empirical_ntk(dense().requires_grad_(False), x), "no parameter of the model"),
        (lambda x: empirical_ntk(normalized(), x), "is a Dropout in training; use model.eval()"),
        (
            lambda x: empirical_ntk(nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)), x),
            "BatchNorm1d that takes the mean over the batch",
        ),
        (
            lambda x: empirical_ntk(
                nn.Sequential(nn.Linear(5, 3), nn.Softmax(dim=0), nn.Linear(3, 1)), x
            ),
            "depend on the other rows or on chance",
        ),
        (lambda x: empirical_ntk(dense(), x[:, :4]), r"does not take inputs of shape \(3, 4\)"),
        (lambda x: empirical_ntk(dense(), x[:0]), "give at least one row"),
        (lambda x: empirical_ntk(dense(), x / 0.0), "not finite"),
        (lambda x: empirical_ntk(dense(), x, outputs="all"), "outputs = 'all' is not allowed"),
        (lambda x: empirical_ntk(dense(), x, memory=1), "memory = 1 is not allowed"),
        (lambda x: empirical_ntk(dense(width=3000), x, memory=1e5), "give a larger memory="),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(NtkspecError, match=message) as caught:
        call(torch.randn(3, 5))
    assert "\n" not in str(caught.value)


def gaussian(model):
    """Normal weights and biases of the variances of PyTorch's own initialization."""
    for layer in model:
        if isinstance(layer, nn.Linear):
            for p in (layer.weight, layer.bias):
                nn.init.normal_(p, 0.0, (3 * layer.in_features) ** -0.5)
    return model.double()


def test_one_hidden_layer_scatters_as_a_sum_over_neurons():
    """K is a sum of independent neurons' parts, whose variances are sampled without a network."""
    width, dim, seeds = 512, 4, 200
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, dim))

    def make():
        return gaussian(nn.Sequential(nn.Linear(dim, width), nn.Tanh(), nn.Linear(width, 1)))

    w, b = (rng.normal(0.0, (3 * dim) ** -0.5, size) for size in ((200_000, dim), (200_000, 1)))
    a = rng.normal(0.0, (3 * width) ** -0.5, 200_000)
    z = np.tanh(w @ x.T + b)
    slope = a[:, None] * (1.0 - z**2)
    inner = x @ x.T + 1.0
    mean = (z.T @ z + inner * (slope.T @ slope)) / len(a)
    square = (
        (z**2).T @ z**2
        + 2.0 * inner * ((z * slope).T @ (z * slope))
        + inner**2 * ((slope**2).T @ slope**2)
    ) / len(a)
    infinite = describe(make(), parameterization="pytorch").network.ntk_matrix(x, fan_in=True)
    assert np.abs(width * mean + 1.0 - infinite).max() < 0.01 * infinite.max()
    kernels = np.array([empirical_ntk(make(), x).numpy() for _ in range(seeds)])
    expected = width * np.sum(square - mean**2)
    measured = np.mean(np.sum((kernels - infinite) ** 2, axis=(1, 2)))
    # Three standard errors of the mean of 200 squares with about one degree of freedom.
    assert measured == pytest.approx(expected, rel=0.3)


@pytest.mark.parametrize("sigma", [nn.Tanh, nn.ReLU, nn.GELU])
def test_two_hidden_layers_approach_the_infinite_kernel_like_the_root_of_the_width(sigma):
    """The mean over networks is the infinite kernel; the scatter falls by two in four widths.

    Its constant still grows by a fifth between these widths, and by two from a width of 64 on.
    """
    x, distances = np.random.default_rng(1).standard_normal((12, 10)), {}
    torch.manual_seed(0)
    for width, seeds in ((256, 60), (1024, 40)):
        network = describe(dense(10, width, 1, sigma), parameterization="pytorch").network
        infinite = network.ntk_matrix(x, fan_in=True)
        own = np.array(
            [empirical_ntk(gaussian(dense(10, width, 1, sigma)), x).numpy() for _ in range(seeds)]
        )
        apart = (own - infinite) / np.linalg.norm(infinite)
        distances[width] = np.mean(np.sum(apart**2, axis=(1, 2))) ** 0.5
        error = distances[width] / seeds**0.5
        assert np.linalg.norm(apart.mean(axis=0)) < 2.5 * error
        assert distances[width] < 4.0 / width**0.5
    assert 1.3 < distances[256] / distances[1024] < 2.6


def test_frozen_biases_and_weights_have_their_own_rates():
    model = gaussian(nn.Sequential(nn.Linear(3, 4096), nn.ReLU(), nn.Linear(4096, 1)))
    model[0].weight.requires_grad_(False)
    model[2].weight.requires_grad_(False)
    network = describe(model, parameterization="pytorch").network
    x = np.random.default_rng(2).standard_normal((8, 3))
    infinite = network.ntk_matrix(x, fan_in=True)
    own = empirical_ntk(model, x).numpy()
    assert np.linalg.norm(own - infinite) < 0.1 * np.linalg.norm(infinite)
    # Only biases: what each adds is 1, times s_w E[slopes] for the first, at most 1/3.
    assert infinite.min() > 1.0 and infinite.max() < 4.0 / 3.0
