"""Spectra of networks whose variances fall with the depth, against the independent check."""

from contextlib import suppress

import mpmath
import pytest

from ntkspec import Network, spectrum
from ntkspec.duals import hermite
from ntkspec.errors import NtkspecError
from ntkspec.kernels import moments
from ntkspec.verification import check_entry


def exact_moment(n, q, double):
    """The moment's integral in u = c s, c = pi / (2 sqrt q), by mpmath's own quadrature."""
    q = mpmath.mpf(q)
    c = mpmath.pi / 2 / mpmath.sqrt(q)

    def value(u):
        pole = c * mpmath.cosh(u) / mpmath.sinh(u) ** 2 if double else 1 / mpmath.sinh(u)
        return u**n * mpmath.exp(-((u / c) ** 2) / 2) * pole

    places = [0, 0.5, 1.5, *(n + x * n**0.5 for x in (3, 8, 20)), 2 * n + 150]
    return mpmath.quad(value, places) / c ** (n + 1) / mpmath.sqrt(mpmath.factorial(n) * q)


@pytest.mark.parametrize("q", [2.4e-8, 9.803526929215953e-19, 1e-289])
@pytest.mark.parametrize("n,double", [(2, True), (5, False), (121, False)])
def test_moments_of_small_variances(n, double, q):
    with mpmath.workdps(30):
        mantissa, exponent = moments.hermite_moment(n, q, 0.0, double)
        found = mpmath.ldexp(mpmath.mpf(mantissa), int(exponent))
        assert abs(found / exact_moment(n, q, double) - 1) < (16 + 8 * n) * 2.0**-53


@pytest.mark.parametrize("q,count", [(1e-4, 4), (1e-6, 20)])
def test_powers_of_small_variances_are_in_the_trapezoid_rules_balls(q, count, monkeypatch):
    from flint import arb

    from ntkspec.precision import working_precision

    with working_precision(160):
        powers = hermite.tanh_moments(arb(q), count, 100.0)
        monkeypatch.setattr(hermite, "_powers_needed", lambda *_: None)
        rule = hermite.tanh_moments(arb(q), count, 100.0)
    assert all(x.overlaps(y) for x, y in zip(powers, rule, strict=True))
    assert powers[-1].rel_accuracy_bits() > 150


@pytest.mark.parametrize("depth", [3, 8])
@pytest.mark.parametrize("name", ["tanh", "silu", "sigmoid", "erf"])
def test_deep_networks_of_the_smallest_weights(name, depth):
    network = Network(name, depth=depth, weight_variance=0.01)
    found = spectrum(network, 16, [1, 2])
    assert found.relative_error.max() <= 1e-12
    for k, value, log in zip((1, 2), found.eigenvalues, found.log_eigenvalues, strict=True):
        assert check_entry(network, 16, k, value, log, promised=1e-12).passed


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "sin", "selu", "snake"])
def test_great_depth_is_served_or_refused(name):
    network = Network(name, depth=100, weight_variance=0.01)
    with suppress(NtkspecError):
        assert spectrum(network, 16, [1]).relative_error.max() <= 1e-12
