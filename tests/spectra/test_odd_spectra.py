"""softsign and finer against stored integrals.

One layer without a bias is in data/odd_spectra.csv, deep networks with a bias in
data/deep_odd_spectra.csv; data/make_odd_spectra.py and data/make_deep_odd_spectra.py wrote them.
"""

import csv
from collections import defaultdict
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy.special import eval_legendre

from ntkspec import Network, spectrum

DATA = Path(__file__).parents[1] / "data"


def cases(file, *names):
    """Degrees and values by what the columns of these names hold, and the dimension."""
    found = defaultdict(list)
    with (DATA / file).open() as rows:
        for row in csv.DictReader(rows):
            key = tuple(row[name] for name in names)
            found[*key, int(row["dim"])].append((int(row["degree"]), mpmath.mpf(row["value"])))
    return found


CASES = cases("odd_spectra.csv", "activation", "weight_variance", "kernel", "trained")
DEEP = cases("deep_odd_spectra.csv", "activation", "bias_variance", "depth", "kernel")


def check(found, values, rounding, most):
    """Assert that eigenvalues are as near to the stored ones as they say."""
    with mpmath.workdps(30):
        for m, e, value, bound in zip(
            found.mantissas, found.exponents, values, found.relative_error, strict=True
        ):
            error = abs(mpmath.ldexp(float(m), int(e)) / value - 1)
            assert error <= bound + rounding
            assert bound < most


@pytest.mark.parametrize("case", CASES, ids=str)
def test_eigenvalues_agree_with_integrals_over_the_radius(case):
    name, weight, kernel, trained, dim = case
    network = Network(name, weight_variance=float(weight), trained=trained)
    degrees, values = zip(*CASES[case], strict=True)
    # The stored values have 20 digits, and a mantissa is rounded.
    check(spectrum(network, dim, degrees, kernel=kernel), values, 0, 1e-13)


#: Dimensions share a dual, which takes most of the time: of several layers these are compared.
SPREAD = {("ntk", 2), ("nngp", 3), ("ntk", 16)}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", [c for c in DEEP if c[2] == "1" or c[3:] in SPREAD], ids=str)
def test_deep_networks_agree_with_integrals_in_the_plane(case):
    name, bias, depth, kernel, dim = case
    network = Network(name, depth=int(depth), bias_variance=float(bias), trained="all")
    degrees, values = zip(*DEEP[case], strict=True)
    # The stored values have 15 digits: half a unit of the last is up to 5e-15 of a value.
    check(spectrum(network, dim, degrees, kernel=kernel), values, 5e-15, 1e-12)


@pytest.mark.slow
def test_deep_finer_with_a_large_bias_agrees_with_quadrature_of_its_kernel():
    """The kernel at a point comes from polar rules, which share no formula with the series."""
    network = Network("finer", depth=2, bias_variance=0.5, trained="all")
    x, weights = np.polynomial.legendre.leggauss(200)
    angle = 0.5 * np.pi * (x + 1.0)
    weights = 0.25 * np.pi * weights * np.sin(angle) * network.ntk(np.cos(angle))
    found = spectrum(network, 3, range(21))
    assert found.route.startswith("endpoint series")
    for degree, value in enumerate(found.eigenvalues):
        expected = weights @ eval_legendre(degree, np.cos(angle))
        assert abs(value / expected - 1.0) < 1e-12
