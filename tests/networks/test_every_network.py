"""Every activation, depth, bias and kernel against the independent Gaussian expectations."""

import numpy as np
import pytest

import ntkspec
from ntkspec import Network
from ntkspec.activations import ACTIVATIONS
from ntkspec.reference.balls import Case, reference_spectra
from ntkspec.reference.mpmath import gauss_jacobi_spectrum

DEGREES = [0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 21, 28, 37, 49, 50, 64, 79, 91, 99, 100]


#: Those whose duals take minutes in balls.
SLOW = ("mish", "softsign", "finer", "celu", "swish", "gabor")
PARAMETERS = (
    "swish(0.5)",
    "swish(3)",
    "celu(0.3)",
    "celu(2)",
    "snake(0.5)",
    "snake(3)",
    "gabor(2, 0.5)",
    "gabor(0, 1)",
    "gabor(3, 0)",
    "selu",
    "exp",
)


def kernels(name):
    yield "nngp", "hidden"
    if name != "step":
        yield "ntk", "hidden"
        yield "ntk", "all"


def worst_error(name, bias, depths, dims, degrees, variance=1.0):
    """Largest relative error, after asserting that exact zeros are exact on both sides."""
    cases = [
        Case(dim, kernel, depth, trained)
        for depth in depths
        for kernel, trained in kernels(name)
        for dim in dims
    ]
    network = Network(name, bias_variance=bias, weight_variance=variance)
    references = reference_spectra(network, cases, degrees, digits=16)
    worst = 0.0
    for case in cases:
        network = Network(
            name, depth=case.depth, bias_variance=bias, weight_variance=variance,
            trained=case.trained,
        )  # fmt: skip
        result = ntkspec.spectrum(network, case.dim, degrees, kernel=case.kernel)
        for i, reference in enumerate(references[case]):
            assert (result.mantissas[i] == 0.0) == reference.is_zero, (case, degrees[i])
            if not reference.is_zero:
                exact = np.ldexp(result.mantissas[i], 0)
                scaled = reference.value * 2 ** -int(result.exponents[i])
                worst = max(worst, abs(float(exact / scaled - 1)))
        assert np.all(result.relative_error <= 1e-12)
    return worst


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in SLOW])
def test_every_activation_at_depth_one_and_two(name):
    assert worst_error(name, 0.2, (1, 2), (3,), [0, 1, 2, 3, 7, 12]) < 1e-13


@pytest.mark.slow
def test_mish():
    """softsign and finer take ten minutes here: spectra/test_odd_spectra.py has stored values."""
    assert worst_error("mish", 0.0, (1,), (2, 3, 5, 16, 64), [1, 2, 3, 7, 12, 31]) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("dim", [2, 3, 5, 16, 64])
def test_deep_networks_of_mish_against_the_trapezoid_rule_in_the_plane(dim, depth):
    network = Network("mish", depth=depth, bias_variance=0.2, trained="all")
    degrees = [0, 1, 2, 7, 15, 30, 31]
    found = ntkspec.spectrum(network, dim, degrees)
    exact = gauss_jacobi_spectrum(network, dim, degrees, digits=16)
    for m, e, bound, right in zip(
        found.mantissas, found.exponents, found.relative_error, exact, strict=True
    ):
        assert abs(float(right.value * 2 ** -int(e)) / m - 1) <= bound < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_activations_with_parameters(name, bias):
    degrees = [0, 1, 2, 3, 7, 12, 30, 31]
    assert worst_error(name, bias, (1, 2), (2, 3, 5, 16, 64), degrees) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("bias", [0.0, 0.3])
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in SLOW])
def test_every_network(name, bias):
    # References of these take more than 20 minutes of processor time from depth 3 on.
    depths = (1, 2) if name in ("exp", "shifted_relu") else (1, 2, 3, 4)
    assert worst_error(name, bias, depths, (2, 3, 10, 64), DEGREES) < 1e-13
