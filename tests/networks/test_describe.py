"""Networks of infinite width from PyTorch models: their parts, kernels of wide ones, refusals."""

import math
import re

import numpy as np
import pytest

from ntkspec import Linear, Network, Normalize, NtkspecError, Residual

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install 'ntkspec[torch]'"
)
nn = torch.nn
describe = pytest.importorskip("ntkspec.torch").describe

UNIFORM = "the uniform distribution of the 3 weights of each unit of the first layer"


class Block(nn.Module):
    def __init__(self, width, scale=1.0):
        super().__init__()
        self.inner, self.scale = nn.Sequential(nn.ReLU(), nn.Linear(width, width)), scale

    def forward(self, x):
        return x + self.scale * self.inner(x)


class WithFunctions(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 64, bias=False), nn.Linear(64, 1, bias=False)

    def forward(self, x):
        return self.last(torch.sin(self.first(x)))


def test_a_sequential_has_pytorchs_variances():
    found = describe(nn.Sequential(nn.Linear(3, 512), nn.Tanh(), nn.Linear(512, 1)))
    third = 1.0 / 3.0
    assert found.input_norm == math.sqrt(3.0)
    assert found.network == Network.serial(
        Linear(third, 1.0 / 9.0), "tanh", Linear(third, 1.0 / (3.0 * 512))
    )
    assert [text.split(",")[0] for text in found.left_out] == [UNIFORM]


def test_residual_blocks_and_normalization():
    width = 32
    model = nn.Sequential(
        nn.Linear(3, width, bias=False), Block(width, 0.5), nn.LayerNorm(width), nn.Dropout(0.1),
        nn.GELU(), nn.Linear(width, 1, bias=False),
    )  # fmt: skip
    found = describe(model, input_norm=1.0)
    assert found.input_norm == 1.0
    third = 1.0 / 3.0
    assert found.network == Network.serial(
        Linear(third / 3.0),
        Residual("relu", Linear(third, 1.0 / (3.0 * width)), scale=0.5),
        Normalize(), "gelu", Linear(third),
    )  # fmt: skip
    assert [text.split(",")[0] for text in found.left_out] == [
        UNIFORM, "the scale and shift of LayerNorm", "Dropout",
    ]  # fmt: skip


def test_functions_and_frozen_layers():
    model = WithFunctions()
    model.first.weight.requires_grad_(False)
    network = describe(model, parameterization="standard").network
    assert network == Network.serial(
        Linear(1.0 / 3.0, trained=False), "sin", Linear(1.0 / 3.0, rates=(1.0, 0.0))
    )


def test_biases_and_weights_are_frozen_one_by_one():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    model[0].weight.requires_grad_(False)
    model[2].bias.requires_grad_(False)
    third = 1.0 / 3.0
    rates = {"ntk": (third, 0.0), "mup": (1.0, 0.0), "pytorch": (4.0, 0.0)}
    firsts = {"ntk": (0.0, 1.0 / 9.0), "mup": (0.0, 1.0), "pytorch": (0.0, 1.0)}
    for kind, last in rates.items():
        assert describe(model, parameterization=kind).network == Network.serial(
            Linear(third, 1.0 / 9.0, rates=firsts[kind]), "relu",
            Linear(third, 1.0 / 12.0, rates=last),
        )  # fmt: skip


def test_pytorchs_own_rates_tend_to_the_standard_ones():
    width = 10**6
    layers = [Linear(1.0 / 3.0, rates=(3.0, 1.0)), "tanh", Linear(1.0 / 3.0, rates=(width, 1.0))]
    found = Network.serial(*layers).ntk([0.0, 1.0]) / width
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(3, width, bias=False), nn.Tanh(), nn.Linear(width, 1))
    standard = describe(model, parameterization="standard").network.ntk([0.0, 1.0])
    assert found == pytest.approx(standard, abs=1e-5)


def test_variances_found_in_the_weights():
    model = nn.Sequential(nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 1))
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.weight.fill_(0.25)
            layer.bias.fill_(0.5)
    network = describe(model, variances="weights").network
    assert network == Network.serial(Linear(4 * 0.0625, 0.25), "relu", Linear(256 * 0.0625, 0.25))


def test_outputs_of_wide_models_have_the_nngp_covariance():
    torch.manual_seed(0)
    x = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]], dtype=torch.float64) * math.sqrt(3.0)
    outputs = []
    for _ in range(400):
        model = nn.Sequential(
            nn.Linear(3, 256), Block(256), nn.LayerNorm(256), nn.Tanh(), nn.Linear(256, 8)
        ).double()
        outputs.append(model(x).detach().numpy())
    values = np.concatenate(outputs, axis=1)
    network = describe(model).network
    covariance = values @ values.T / values.shape[1]
    expected = np.array([[float(network.nngp(t)) for t in row] for row in ((1.0, 0.6), (0.6, 1.0))])
    assert np.allclose(covariance, expected, rtol=0.1)


@pytest.mark.parametrize(
    "model, message",
    [
        (nn.Sequential(nn.Conv1d(1, 1, 1)), "has no rule"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "stays random"),
        (nn.Sequential(nn.Linear(2, 2), nn.GELU("tanh"), nn.Linear(2, 1)), "has no rule"),
        (3, "give a torch.nn.Module"),
    ],
)
def test_what_is_refused(model, message):
    with pytest.raises(NtkspecError, match=message):
        describe(model)


def test_numbers_are_shown_with_six_digits_and_kept_with_all():
    torch.manual_seed(0)
    inner = [nn.LeakyReLU(0.1), nn.Linear(64, 64), Block(64, 1e-3)]
    model = nn.Sequential(nn.Linear(3, 64), *inner, nn.Linear(64, 1))
    for variances in ("initial", "weights"):
        found = describe(model, variances=variances)
        first, *left_out = repr(found).splitlines()
        numbers = re.findall(r"[\d.]*\d(?:e[-+]?\d+)?", first)
        assert numbers and all(len(one.split("e")[0].replace(".", "").strip("0")) <= 6
                               for one in numbers)  # fmt: skip
        assert "0.1" in numbers and "0.001" in numbers
        assert left_out == [f"left out: {one}" for one in found.left_out]
        names = {"Network": Network, "Linear": Linear, "Residual": Residual}
        assert eval(repr(found.network), names) == found.network
