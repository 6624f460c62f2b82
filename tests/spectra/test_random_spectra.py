"""Random networks, dimensions and degrees against data/random_spectra.csv.

The routes of its generator, data/make_random_spectra.py, share no formula with the engine.
"""

import zlib
from collections import defaultdict

import numpy as np
import pytest

from bench.references import errors, references
from ntkspec.activations import ACTIVATIONS

#: Cases of the default suite.
SAMPLE = 75
#: Cases of degrees 501 to 4096.
FAR = 40
CASES = references()
FAMILIES = sorted({case.family for case in CASES})


def sample():
    """As many cases of each activation, depth and kind of dimension as there are, in turn."""
    strata = defaultdict(list)
    for case in sorted(CASES, key=lambda case: zlib.crc32(repr(case).encode())):
        kind = np.searchsorted([2, 10, 1000], case.dim)
        strata[case.network.activation, case.network.depth, kind].append(case)
    most = max(map(len, strata.values()))
    turns = [cases[i] for i in range(most) for cases in strata.values() if i < len(cases)]
    return turns[:SAMPLE]


def check(cases):
    found = errors(cases)
    for case, error, bound in found:
        # The references have 20 digits.
        assert error <= bound + 1e-19, case
    sizes = [error for _, error, _ in found]
    assert max(sizes) <= 1e-12
    assert np.quantile(sizes, 0.9) <= 1e-13


def test_a_sample():
    check(sample())


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_case(family):
    check([case for case in CASES if case.family == family])


def test_the_file_covers_what_it_should():
    assert len(CASES) >= 2000
    assert {case.network.activation for case in CASES} <= set(ACTIVATIONS)
    assert {case.network.depth for case in CASES} == {1, 2, 3, 4}
    assert sum(case.degree > 500 for case in CASES) >= FAR
    dims = {case.dim for case in CASES}
    assert set(range(2, 11)) <= dims and max(dims) > 500_000
