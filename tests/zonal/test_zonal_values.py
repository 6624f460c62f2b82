"""Eigenvalues of the built-in kernels against quadrature, and against published formulas."""

import math
import warnings

import mpmath
import numpy as np
import pytest
from flint import arb, ctx
from scipy import special

import ntkspec
from ntkspec import Network, certify, law, spectrum
from ntkspec.reference.balls.zonal import zonal_references
from ntkspec.spectra.zonal import by_powers, by_series
from ntkspec.zonal import (
    arc_cosine,
    gamma_exponential,
    gaussian,
    laplace,
    matern,
    poisson,
    polynomial,
    rational_quadratic,
)

KERNELS = [
    gaussian(0.5), laplace(), laplace(0.2), matern(1.5, 0.5), matern(2), matern(0.3, 0.4),
    gamma_exponential(1.5, 0.5), gamma_exponential(0.3), rational_quadratic(0.5),
    rational_quadratic(2, 0.3), polynomial(7, 0.3), polynomial(4, 0), arc_cosine(0), arc_cosine(1),
    arc_cosine(3), poisson(0.3),
]  # fmt: skip


def off(found, references):
    """Largest relative distance of a spectrum's eigenvalues from their references."""
    worst = 0.0
    with mpmath.workdps(40):
        for k, m, e in zip(found.degrees, found.mantissas, found.exponents, strict=True):
            value = references[found.dim, int(k)].value
            if value == 0 or m == 0.0:
                assert value == m == 0
            else:
                worst = max(worst, float(abs(mpmath.ldexp(mpmath.mpf(m), int(e)) / value - 1)))
    return worst


def check(kernel, dims, degrees):
    wanted = {dim: list(degrees) for dim in dims}
    references = zonal_references["sphere"](kernel, wanted, kernel="ntk", digits=20)
    for dim in dims:
        found = spectrum(kernel, dim, degrees)
        assert off(found, references) < 1e-13
        assert found.relative_error.max() < 1e-13


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_eigenvalues_are_the_integrals(kernel):
    check(kernel, [3], [0, 1, 2, 5, 8])


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_eigenvalues_are_the_integrals_in_more_dimensions(kernel):
    check(kernel, [2, 5, 16, 64], [0, 1, 2, 3, 5, 12, 31])


@pytest.mark.parametrize(
    ("dim", "degree", "length"), [(2, 4096, 1.0), (3, 500, 0.05), (16, 31, 3.0), (10**6, 4096, 0.5)]
)
def test_gaussian_as_minh_niyogi_and_yao_have_it(dim, degree, length):
    """Mercer's theorem, feature maps, and smoothing (2006), theorem 2: K = exp(-r^2 / sigma^2).

    lambda_k = exp(-2/sigma^2) sigma^(n-2) I_(k+n/2-1)(2/sigma^2) Gamma(n/2).
    """
    with ctx.workprec(300):
        square = 2 * arb(length) ** 2
        order = arb(degree) + arb(dim) / 2 - 1
        value = (-2 / square).exp() * square ** (arb(dim - 2) / 2)
        log = (value * (2 / square).bessel_i(order) * (arb(dim) / 2).gamma()).log()
        found = spectrum(gaussian(length), dim, [degree])
        mine = arb(float(found.mantissas[0])).log() + int(found.exponents[0]) * arb(2).log()
        assert abs(mine - log) < 1e-13


@pytest.mark.parametrize("dim", [2, 3, 10])
def test_polynomial_as_minh_niyogi_and_yao_have_it(dim):
    """The same, of (1 + t)^p: 2^(p+n-2) p!/(p-k)! Gamma(p+(n-1)/2) Gamma(n/2) / (sqrt(pi)
    Gamma(p+k+n-1)).
    """  # fmt: skip
    p = 6
    for k, value in enumerate(ntkspec.eigenvalues(polynomial(p), dim, range(p + 1))):
        right = 2.0 ** (p + dim - 2) * math.factorial(p) / math.factorial(p - k)
        right *= math.gamma(p + (dim - 1) / 2) * math.gamma(dim / 2) / math.sqrt(math.pi)
        assert value == pytest.approx(right / math.gamma(p + k + dim - 1), rel=1e-13)


@pytest.mark.parametrize("dim", [2, 3, 5, 16])
def test_laplace_and_the_ntk_decay_alike(dim):
    """Geifman et al. (2020) theorems 1 and 2, and Chen and Xu (2020): k^-d in R^d."""
    network = Network("relu", depth=2, bias_variance=0.1, trained="all")
    assert law(laplace(0.7), dim=dim).power == law(network, dim=dim).power == -dim


@pytest.mark.parametrize(("order", "sigma"), [(0, "step"), (1, "relu"), (2, "relu_power")])
def test_arc_cosine_is_twice_the_nngp_kernel(order, sigma):
    """Cho and Saul (2009), equation 1."""
    for dim in (2, 3, 50):
        mine = spectrum(arc_cosine(order), dim, range(60)).log_eigenvalues
        theirs = spectrum(Network(sigma), dim, range(60), kernel="nngp").log_eigenvalues
        with np.errstate(invalid="ignore"):
            assert np.nan_to_num(mine - theirs - math.log(2.0)) == pytest.approx(0.0, abs=1e-13)
    t = np.linspace(-1.0, 1.0, 9)
    network = Network(sigma).nngp(t)
    assert arc_cosine(order).in_doubles(t) == pytest.approx(2.0 * network, abs=1e-13)


def test_pointwise_values_are_those_of_scikit_learn():
    """As its gaussian_process.kernels and metrics.pairwise define them."""
    t = np.array([-1.0, -0.3, 0.0, 0.6, 1.0])
    r = np.sqrt(2.0 - 2.0 * t)
    z = np.sqrt(2 * 0.8) * r / 0.7
    with np.errstate(invalid="ignore"):
        general = 2.0**0.2 / special.gamma(0.8) * z**0.8 * special.kv(0.8, z)
    for kernel, right in (
        (gaussian(0.7), np.exp(-((r / 0.7) ** 2) / 2)),
        (laplace(0.7), np.exp(-r / 0.7)),
        (matern(1.5, 0.7), (1 + np.sqrt(3) * r / 0.7) * np.exp(-np.sqrt(3) * r / 0.7)),
        (matern(0.8, 0.7), np.where(r > 0, general, 1.0)),
        (gamma_exponential(1.3, 0.7), np.exp(-((r / 0.7) ** 1.3))),
        (rational_quadratic(1.5, 0.7), (1 + r**2 / (2 * 1.5 * 0.7**2)) ** -1.5),
        (polynomial(3, 0.5), (t + 0.5) ** 3),
    ):
        assert kernel.in_doubles(t) == pytest.approx(right, abs=1e-14)


def test_poisson_kernel_is_the_sum_of_its_eigenvalues():
    domain, t = ntkspec.Sphere(5), np.linspace(-1.0, 1.0, 7)
    found = spectrum(poisson(0.4), domain, range(90))
    assert found.eigenvalues == pytest.approx(0.4 ** np.arange(90.0), rel=1e-13)
    total = (found.multiplicities * found.eigenvalues) @ domain.zonal(found.degrees, t)
    assert total == pytest.approx((1 - 0.16) / (1 - 0.8 * t + 0.16) ** 2.5, rel=1e-12)


@pytest.mark.parametrize("kernel", [laplace(0.3), matern(2.0), gamma_exponential(1.5)], ids=str)
def test_powers_of_one_minus_t_and_taylor_series_agree(kernel):
    with ctx.workprec(300):
        powers, series = by_powers(kernel, 300, [40]), by_series(kernel, 300, [40])
        assert powers[0].overlaps(series[0])
        assert powers[0].rel_accuracy_bits() > 200 < series[0].rel_accuracy_bits()


def test_far_degrees_and_high_dimensions_are_served():
    for kernel in KERNELS:
        for dim in (2, 10**6):
            found = spectrum(kernel, dim, [0, 1, 4094, 4095, 4096])
            assert found.relative_error.max() < 1e-13


def test_walked_tables_are_the_spectra():
    for kernel in (laplace(0.5), gaussian(), polynomial(4), arc_cosine(2), poisson(0.3)):
        part = ntkspec.spectra.table_block(kernel, range(2, 12), range(20))
        for dim in (2, 5, 11):
            alone = ntkspec.eigenvalues(kernel, dim, range(20))
            assert part[dim] == pytest.approx(alone, rel=1e-12, abs=0.0)


def test_laws_meet_the_spectra():
    for kernel in KERNELS:
        if kernel.zeros[2] is not None:
            continue
        found = law(kernel, dim=3)
        degrees = np.array([2000, 2001]) if found.parity is None else [2000 + found.parity]
        logs = spectrum(kernel, 3, degrees).log_eigenvalues
        # The next power is smaller by k^-gamma only.
        near = 0.2 if kernel == gamma_exponential(0.3) else 2e-2
        assert logs == pytest.approx(found.log_eigenvalue(degrees), abs=near)


def test_certificates_enclose_the_spectra():
    for kernel in KERNELS:
        proof = certify(kernel, dim=4, degrees=[0, 1, 9], digits=25)
        found = spectrum(kernel, 4, [0, 1, 9]).eigenvalues
        assert found == pytest.approx([float(x) for x in proof.lower], rel=1e-13, abs=0.0)
        wide = max(float((u - v) / (u or 1)) for u, v in zip(proof.upper, proof.lower, strict=True))
        assert wide < 1e-24


def test_on_the_cube():
    kernels = [k for k in KERNELS if k.fixed]
    for kernel in kernels[:2] + kernels[-2:]:
        wanted = {9: list(range(10))}
        references = zonal_references["cube"](kernel, wanted, kernel="ntk", digits=20)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert off(spectrum(kernel, ntkspec.Cube(9), range(10)), references) < 1e-13


def test_predictions_take_them():
    for kernel in (laplace(), gaussian(0.5), arc_cosine(1), poisson(0.5)):
        times = ntkspec.predict.learning_times(kernel, dim=3, degrees=[1, 2], error=0.1)
        values = ntkspec.eigenvalues(kernel, 3, [1, 2])
        assert np.asarray(times.times) * values == pytest.approx(math.log(10.0))
        curve = ntkspec.predict.learning_curve(kernel, 3, samples=[50, 500], power={1: 1.0})
        assert curve.test_error[1] < curve.test_error[0]
