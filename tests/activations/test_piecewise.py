"""Symmetries and polynomial parts of piecewise polynomials, which follow from their kinks."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

import ntkspec
from ntkspec import Network, NtkspecError
from ntkspec.activations import Kink, piecewise_polynomial

SMALL = st.integers(-3, 3).map(lambda n: Fraction(n, 2))
KINKS = st.lists(st.tuples(SMALL, st.sampled_from([1, 2]), SMALL), min_size=1, max_size=3)
X = np.linspace(-4.0, 4.0, 161)


@given(st.lists(SMALL, max_size=2), KINKS, st.sampled_from([0, 1, -1]))
def test_parities_are_those_of_the_values(left, kinks, mirrored):
    """Of random functions, and of those made even or odd but for a line."""
    if mirrored:  # the mirror image of J (x - p)_+^m, and a polynomial
        kinks = kinks + [(-p, m, mirrored * (-1) ** (m + 1) * j) for p, m, j in kinks]
    kinks = [Kink(*one) for one in kinks]
    try:
        sigma = piecewise_polynomial("drawn", left, kinks)
    except NtkspecError:  # the jumps cancel
        reject()
    values, turned = sigma.value(X), sigma.value(-X)
    for parity, part in enumerate([(values + turned) / 2, (values - turned) / 2]):
        fit = np.polynomial.Polynomial.fit(X, part, 2)
        plain = np.abs(fit(X) - part).max() < 1e-12
        known = (sigma.polynomial is not None and sigma.polynomial % 2 == parity) or (
            sigma.symmetry == ("odd", "even")[parity]
        )
        assert plain == known
        if plain:
            assert (np.abs(part).max() == 0.0) == (sigma.symmetry is not None)
        if plain and sigma.polynomial is not None:
            degrees = np.flatnonzero(np.abs(fit.convert().coef) > 1e-12)
            assert sigma.polynomial == degrees.max()


@pytest.mark.parametrize(
    ("left", "jumps", "zero"),
    [
        ([-1], (1, -1), [0, 2, 4]),
        ([-1, -1], (1, 1), [1, 3, 5]),
        ([-1, 0], (1, 1), [3, 5]),  # x and an even function
    ],
)
@pytest.mark.parametrize("place", [1, 2])
def test_zeros_need_no_declaration(left, jumps, zero, place):
    kinks = [Kink(Fraction(p), 1, Fraction(j)) for p, j in zip((-place, place), jumps, strict=True)]
    found = ntkspec.spectrum(
        Network(piecewise_polynomial("clip", left, kinks)), 3, degrees=range(6)
    )
    assert [k for k in range(6) if found.eigenvalues[k] == 0.0] == zero


def test_jumps_that_cancel_are_refused():
    kinks = [Kink(Fraction(1), 1, Fraction(2)), Kink(Fraction(1), 1, Fraction(-2))]
    with pytest.raises(NtkspecError, match="cancel: use a polynomial"):
        piecewise_polynomial("none", [1, 1], kinks)
