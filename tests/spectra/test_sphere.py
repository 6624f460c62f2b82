"""Weights on a sphere of fixed radius."""

import math

import mpmath
import numpy as np
import pytest

import ntkspec
from ntkspec import Network, NtkspecError
from ntkspec.activations import ACTIVATIONS, activation
from ntkspec.reference.balls import reference_eigenvalue
from ntkspec.spectra import table_block

#: Kinks away from 0 are refused.
SERVED = [name for name in ACTIVATIONS if not activation(name).kinks]


def integral(function, dim, degree, radius):
    """phi_k by mpmath: the Gegenbauer integral of the activation itself, in two halves."""
    nu = mpmath.mpf(dim - 2) / 2

    def legendre(t):
        if dim == 2:
            return mpmath.chebyt(degree, t)
        return mpmath.gegenbauer(degree, nu, t) / mpmath.gegenbauer(degree, nu, 1)

    constant = mpmath.gamma(mpmath.mpf(dim) / 2) / (
        mpmath.sqrt(mpmath.pi) * mpmath.gamma(mpmath.mpf(dim - 1) / 2)
    )
    weight = lambda a: legendre(mpmath.cos(a)) * mpmath.sin(a) ** (dim - 2)  # noqa: E731
    return constant * mpmath.quad(
        lambda a: function(radius * mpmath.cos(a)) * weight(a),
        [0, mpmath.pi / 4, mpmath.pi / 2, 3 * mpmath.pi / 4, mpmath.pi],
        method="gauss-legendre",
    )


FUNCTIONS = {
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "relu_power": lambda x: max(x, mpmath.mpf(0)) ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dim", [2, 3, 7])
def test_nngp_is_the_square_of_an_integral(name, dim):
    degrees = [0, 1, 2, 3, 8]
    got = ntkspec.eigenvalues(
        Network(name, weights="sphere", weight_variance=1.5), dim, degrees, kernel="nngp"
    )
    with mpmath.workdps(30):
        radius = mpmath.sqrt(mpmath.mpf(1.5) * dim)
        exact = [integral(FUNCTIONS[name], dim, k, radius) ** 2 for k in degrees]
    for value, reference in zip(got, exact):
        if reference < 1e-40:
            assert value == 0.0
        else:
            assert value == pytest.approx(float(reference), rel=1e-13)


@pytest.mark.parametrize("trained", ["hidden", "all"])
def test_homogeneous_kernels_are_those_of_gaussian_weights(trained):
    # relu is homogeneous: only E|w|^2 = s_w d counts, which is the same for both laws
    for dim in (2, 3, 12):
        sphere = Network("relu", weights="sphere", weight_variance=2.0, trained=trained)
        gauss = Network("relu", weight_variance=2.0, trained=trained)
        assert ntkspec.eigenvalues(sphere, dim, range(20)) == pytest.approx(
            ntkspec.eigenvalues(gauss, dim, range(20)), rel=1e-13
        )


def test_tanh_decays_geometrically():
    # poles of tanh(R t) at t = i pi / (2 R): rate 2 asinh(pi / (2 R))
    result = ntkspec.spectrum(Network("tanh", weights="sphere"), 3, range(1, 400, 2))
    slope = np.diff(result.log_eigenvalues)[-20:] / 2
    assert slope == pytest.approx(-2 * math.asinh(math.pi / (2 * math.sqrt(3))), rel=2e-2)


def test_gaussian_weights_are_the_limit_of_large_dimensions():
    for name in ("tanh", "gelu"):
        sphere = ntkspec.eigenvalues(Network(name, weights="sphere"), 2000, [1, 2, 3])
        gauss = ntkspec.eigenvalues(name, 2000, [1, 2, 3])
        some = gauss > 0
        assert sphere[some] == pytest.approx(gauss[some], rel=2e-2)


@pytest.mark.parametrize("name", SERVED)
def test_every_activation_has_a_row(name):
    kernel = "nngp" if name == "step" else "ntk"
    result = ntkspec.spectrum(
        Network(name, weights="sphere", trained="all"), 4, range(21), kernel=kernel
    )
    assert np.all(result.mantissas >= 0.0)
    assert result.mantissas.max() > 0.0


def test_kinks_away_from_0_are_refused():
    with pytest.raises(NtkspecError, match="kinks away from 0"):
        ntkspec.spectrum(Network("relu6", weights="sphere"), 3)


@pytest.mark.parametrize("name", SERVED)
def test_the_independent_reference_agrees(name):
    kernel = "nngp" if name == "step" else "ntk"
    network = Network(name, weights="sphere", weight_variance=1.5, trained="all")
    for dim, degree in ((3, 0), (5, 7), (2, 4)):
        reference = reference_eigenvalue(network, dim, degree, kernel=kernel, digits=20)
        value = ntkspec.eigenvalues(network, dim, [degree], kernel=kernel)[0]
        assert reference.is_zero == (value == 0.0)
        if value != 0.0:
            assert abs(float(value / reference.value) - 1) < 4e-15


def test_rows_and_tables_agree():
    network = Network("tanh", weights="sphere")
    block = table_block(network, [2, 3, 5, 9], range(12))
    for i, dim in enumerate((2, 3, 5, 9)):
        assert np.array_equal(block.eigenvalues[i], ntkspec.eigenvalues(network, dim, range(12)))


def test_a_pointwise_kernel_is_refused_with_a_reason():
    with pytest.raises(NtkspecError, match="dimension"):
        Network("tanh", weights="sphere").ntk(0.5)
