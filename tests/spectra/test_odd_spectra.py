"""softsign and finer against data/odd_spectra.csv, whose generator is data/make_odd_spectra.py."""

import csv
from collections import defaultdict
from pathlib import Path

import mpmath
import pytest

from ntkspec import Network, spectrum

PATH = Path(__file__).parents[1] / "data/odd_spectra.csv"


def cases():
    """Degrees and values by (activation, weight variance, kernel, trained, dimension)."""
    found = defaultdict(list)
    with PATH.open() as file:
        for row in csv.DictReader(file):
            key = tuple(
                row[name] for name in ("activation", "weight_variance", "kernel", "trained")
            )
            found[*key, int(row["dim"])].append((int(row["degree"]), mpmath.mpf(row["value"])))
    return found


CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_eigenvalues_agree_with_integrals_over_the_radius(case):
    name, weight, kernel, trained, dim = case
    network = Network(name, weight_variance=float(weight), trained=trained)
    degrees, values = zip(*CASES[case])
    found = spectrum(network, dim, degrees, kernel=kernel)
    with mpmath.workdps(30):
        for m, e, value, bound in zip(
            found.mantissas, found.exponents, values, found.relative_error
        ):
            # The references have 20 digits, and a mantissa is rounded.
            assert abs(mpmath.ldexp(float(m), int(e)) / value - 1) <= bound
    assert found.relative_error.max() < 1e-13
