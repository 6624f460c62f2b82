"""Networks of parts: their forms, what is refused, and their kernels and spectra."""

import csv
import math
import pickle
from collections import defaultdict
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import DATA

import ntkspec
from ntkspec import Linear, Network, Normalize, NtkspecError, Residual, spectrum
from ntkspec.rules import Activate, Affine, Branch, Join, Scale


def stored():
    """Eigenvalues by network, kernel, dim and block, from tests/data/make_general_networks.py."""
    found = defaultdict(list)
    with (DATA / "general_networks.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            degree = int(row["degree"])
            block = "high" if degree > 31 else "low"
            key = row["layers"], row["kernel"], int(row["dim"]), block
            found[key].append((degree, float(row["eigenvalue"])))
    return found


REFERENCES = stored()


def takes_seconds(key):
    """Mixed kinks and poles go by balls in low dimensions; so does a residual tanh far out."""
    layers, _, dim, block = key
    mixed = "'relu', Linear(1.0), 'tanh'" in layers and dim < 16
    return mixed or (block == "high" and "Residual('gelu', Linear(2.0), scale=0.5)" in layers)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(key, marks=pytest.mark.slow if takes_seconds(key) else (), id=str(key))
        for key in REFERENCES
    ],
)
def test_spectra_are_those_of_the_reference(key):
    layers, kernel, dim, _ = key
    degrees, values = zip(*REFERENCES[key], strict=True)
    found = spectrum(Network(layers=layers), dim, degrees, kernel=kernel)
    for value, mine, bound in zip(values, found.eigenvalues, found.relative_error, strict=True):
        assert abs(mine - value) <= min(bound + 3e-16, 1e-12) * value
        assert abs(mine - value) <= 1e-13 * value


# --- forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "short, parts",
    [
        (Network("relu"), [Linear(), "relu", Linear(trained=False)]),
        (Network("relu", trained="all"), [Linear(), "relu", Linear()]),
        (
            Network("tanh,erf", weight_variance=[4.0, 1.0], bias_variance=0.1, trained="all"),
            [Linear(4.0, 0.1), "tanh", Linear(1.0, 0.1), "erf", Linear()],
        ),
        (
            Network("relu", depth=2, bias="zero", bias_variance=1.0),
            [
                *[Linear(1.0, 1.0, bias="zero"), "relu"] * 2,
                Linear(trained=False),
            ],
        ),
        (
            Network("gelu", normalize=True, readout_variance=2.0, readout_bias_variance=0.5),
            [Linear(), Normalize(), "gelu", Linear(2.0, 0.5, trained=False)],
        ),
        (
            Network("tanh", depth=2, trained={1, 3}),
            [Linear(), "tanh", Linear(trained=False), "tanh", Linear()],
        ),
        (Network("swish(1)"), [Linear(), "silu", Linear(trained=False)]),
    ],
    ids=str,
)
def test_short_and_long_forms_are_equal(short, parts):
    long = Network.serial(*parts)
    assert long == short and hash(long) == hash(short)
    assert repr(long) == repr(short) and long.parameters() == short.parameters()
    assert Network(**long.parameters()) == short
    assert pickle.loads(pickle.dumps(long)) == short


SIGMAS = ("relu", "tanh", "gelu", "leaky_relu(0.3)", "swish(2)")
VARIANCES = st.sampled_from([0.5, 1.0, 2.0])


@st.composite
def linears(draw):
    return Linear(
        draw(VARIANCES), draw(st.sampled_from([0.0, 0.25])), trained=draw(st.booleans()),
        bias=draw(st.sampled_from(["gaussian", "zero"])),
    )  # fmt: skip


@st.composite
def branches(draw, depth=2):
    """Parts that may follow a Linear and end with one."""
    found = []
    for _ in range(draw(st.integers(1, 2))):
        if depth and draw(st.booleans()):
            found.append(Residual(*draw(branches(depth - 1)), scale=draw(VARIANCES)))
        if draw(st.booleans()):
            found.append(Normalize())
        found += [draw(st.sampled_from(SIGMAS)), draw(linears())]
    return found


@given(linears(), branches())
def test_a_network_is_read_back_from_its_text(first, branch):
    network = Network.serial(first, *branch)
    assert Network(**network.parameters()) == network
    assert Network.serial(*network.parts) == network
    assert eval(repr(network), vars(ntkspec).copy() | {"Network": Network}) == network


@given(linears(), branches(), st.integers(2, 40))
def test_the_trace_is_the_kernel_at_one(first, branch, dim):
    """K(1) = sum N lambda: the first degrees stay below, from the pointwise tables."""
    network = Network.serial(first, *branch)
    if len(network.sigmas) > 3 or len({sigma.singularity.kind for sigma in network.sigmas}) > 1:
        return
    found = spectrum(network, dim, range(12), kernel="nngp")
    total = float(np.sum(found.eigenvalues * found.multiplicities))
    assert total <= float(network.nngp(1.0)) * (1.0 + 1e-12)
    assert np.all(found.eigenvalues >= 0.0)


def test_parameterizations_weigh_the_layers():
    for parameterization, rates in (
        ("standard", [(0.0, 0.0), (1.0, 0.0), (1.0, 0.0)]),
        ("mup", [(1.0, 1.0), (1.0, 1.0), (1.0, 0.0)]),
        ("ntk", [(2.0, 0.1), (2.0, 0.1), (1.0, 0.0)]),
    ):
        network = Network(
            "tanh", depth=2, weight_variance=2.0, bias_variance=0.1, trained="all",
            parameterization=parameterization,
        )  # fmt: skip
        linear = [part for part in network.parts if isinstance(part, Linear)]
        assert [part.rule[2:] for part in linear] == rates
    assert Network("relu", depth=3, parameterization="mup") == Network("relu", depth=3)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts, message",
    [
        ([Linear(), "relu"], "ends with 'relu': its kernel stays random"),
        (["relu", Linear()], "relu follows the inputs"),
        ([Linear(), "relu", "tanh", Linear()], "tanh follows an activation"),
        ([Linear(), "relu", Normalize(), Linear()], "follows an activation, whose mean"),
        ([Normalize(), Linear()], "before anything random"),
        ([Linear(), Normalize(), Normalize(), "relu", Linear()], "changes nothing"),
        ([Linear(), Residual("relu"), Linear()], "has no Linear"),
        ([Linear(), Residual(Linear(), "relu"), Linear()], "ends with an activation"),
        ([], "has no parts"),
        ([Linear], "Linear is a class"),
        ([Linear(), np.tanh, Linear()], "is a bare function"),
        ([Linear(), 3, Linear()], "3 in the network is no part"),
        ([Linear(), "relo", Linear()], "did you mean relu"),
    ],
)
def test_orders_that_no_rule_covers_are_refused(parts, message):
    with pytest.raises(NtkspecError) as caught:
        Network.serial(*parts)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Residual(Linear(), scale=0.0), "changes nothing"),
        (lambda: Residual(), "has no parts"),
        (lambda: Linear(-1.0), "weight_variance = -1.0"),
        (lambda: Linear(1.0, -1.0), "bias_variance = -1.0"),
        (lambda: Linear(bias="none"), "bias = 'none'"),
        (lambda: Linear(trained=1), "trained = 1"),
        (lambda: Linear(rates=(1.0,)), "rates = (1.0,)"),
        (lambda: Network(), "no activation is given"),
        (lambda: Network([]), "activation = [] is empty"),
        (lambda: Network(["relu", "tanh"], depth=3), "2 values for 3 hidden layers"),
        (lambda: Network("relu", depth=2, weight_variance=[1.0, 2.0, 3.0]), "3 values for 2"),
        (lambda: Network("relu", weight_variance=[1.0, -2.0]), "weight_variance[1] = -2.0"),
        (lambda: Network("relu", weight_variance=[]), "is empty"),
        (lambda: Network("relu", bias="zero"), "which has no bias"),
        (lambda: Network("relu", trained=set()), "is empty"),
        (lambda: Network("relu", trained={3}), "trained = 3"),
        (lambda: Network("relu", normalize="yes"), "normalize = 'yes'"),
        (lambda: Network("relu", depth=2, parameterization="mean_field"), "one hidden layer"),
        (lambda: Network("relu", weights="sphere", normalize=True), "with weights = 'sphere'"),
        (lambda: Network("relu", layers=[Linear()]), "is given with layers"),
        (lambda: Network(layers="Linear(1.0"), "cannot be read"),
        (lambda: Network(layers="__import__('os')"), "is not known"),
        (lambda: Network(layers=3), "layers = 3 is not allowed"),
    ],
)
def test_nonsense_gets_one_sentence(make, message):
    with pytest.raises(NtkspecError) as caught:
        make()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_frozen_network_has_no_tangent_kernel():
    frozen = Network.serial(Linear(trained=False), "relu", Linear(trained=False))
    assert frozen.nngp(1.0) == 0.5
    with pytest.raises(NtkspecError, match="no layer is trained"):
        frozen.ntk(1.0)


# --- elsewhere -----------------------------------------------------------------------------------


def test_pointwise_kernels_are_sums_of_the_spectrum():
    layers = next(islice(REFERENCES, 2, None))[0]
    network = Network(layers=layers)
    found = spectrum(network, 3, range(60))
    t = np.array([-0.6, 0.1, 0.7])
    legendre = np.polynomial.legendre.legval(t, found.eigenvalues * found.multiplicities)
    assert np.allclose(legendre, network.ntk(t), rtol=1e-10, atol=0.0)


@pytest.mark.parametrize("power", [1, 2, 3, 5])
@pytest.mark.parametrize("first", [np.tanh, lambda x: x * np.tanh(np.log1p(np.exp(x)))])
def test_powers_after_smooth_activations_are_double_integrals(first, power):
    z, weight = np.polynomial.hermite_e.hermegauss(140)
    weight = weight / weight.sum()
    angle, t = np.linspace(0.0, np.pi, 9), np.cos(np.linspace(0.0, np.pi, 9))
    u = z[:, None] * t[:, None, None] + z * np.sin(angle)[:, None, None]
    inner = np.einsum("i,j,tij,i->t", weight, weight, first(u), first(z))
    # E[x^p y^p, x, y > 0] in polar coordinates, at variance 1 after LayerNorm.
    rho = np.arccos(np.clip(inner / inner[0], -1.0, 1.0))
    x, w = np.polynomial.legendre.leggauss(60)
    half = (np.pi - rho) / 2
    turn = rho[:, None] - np.pi / 2 + half[:, None] * (x + 1)
    waves = np.abs(np.cos(turn) * np.cos(turn - rho[:, None])) ** power
    expected = waves @ w * half * 2.0**power * math.factorial(power) / (2 * np.pi)
    name = "tanh" if first is np.tanh else "mish"
    network = Network.serial(
        Linear(), name, Linear(), Normalize(), f"relu_power({power})", Linear()
    )
    assert np.allclose(network.nngp(t), expected, rtol=1e-12, atol=1e-14 * expected[0])
    assert np.allclose(network.nngp(t), network.with_error(t, kernel="nngp")[0], rtol=1e-15)


def test_laws_of_networks_with_kinks():
    for layers, power in (
        ([Linear(), Residual("relu", Linear(2.0)), "relu", Linear()], -3.0),
        ([Linear(1.0, 1.0, bias="zero"), "relu", Linear()], -3.0),
        ([Linear(), Normalize(), "abs", Linear(), "relu_power(2)", Linear()], -3.0),
    ):
        law = ntkspec.law(Network.serial(*layers), dim=3)
        assert law.power == power
        even, odd = spectrum(Network.serial(*layers), 3, [2000, 2001]).log_eigenvalues
        assert abs(float(law.log_eigenvalue(2000)) - even) < 5e-3
        if law.parity is not None and law.other is None:
            assert odd == -np.inf
        else:
            assert abs(float((law.other or law).log_eigenvalue(2001)) - odd) < 5e-3


def test_certificates_of_networks_of_parts():
    network = Network("tanh,gelu", bias_variance=0.1)
    proof = ntkspec.certify(network, dim=3, degrees=[1, 4], digits=12)
    values = spectrum(network, 3, [1, 4]).eigenvalues
    assert all(float(low) * (1 - 1e-13) <= x <= float(high) * (1 + 1e-13)
               for low, x, high in zip(proof.lower, values, proof.upper, strict=True))  # fmt: skip
    with pytest.raises(NtkspecError, match="no proof is known"):
        ntkspec.certify(
            Network.serial(Linear(), Residual("relu", Linear()), "relu", Linear()), dim=3
        )


def test_steps_of_different_kinds_are_not_equal():
    """An activation and a normalization of one number, or a layer and a tuple of its numbers."""
    numbered = [Activate(0), Scale(0), Join(0.0), Branch(), Affine(1.0, 0.0, 1.0, 0.0)]
    assert len({*numbered, (0,), (), (1.0, 0.0, 1.0, 0.0)}) == 8
    assert Activate(0) == Activate(0) != Activate(1)
