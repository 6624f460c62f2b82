"""The engine against data/spectra.csv, whose route shares no formula with it."""

import csv
from functools import lru_cache

import mpmath
import numpy as np
import pytest
from paths import DATA
from problems import POSTER

from ntkspec.networks import Network
from ntkspec.spectra import spectrum, table_block

REFERENCES = DATA / "spectra.csv"


def references():
    with REFERENCES.open() as file:
        return list(csv.DictReader(file))


def network(row):
    return Network(
        row["activation"], weight_variance=float(row["weight_variance"]), trained=row["trained"]
    )


@lru_cache
def engine(net, dim, kernel):
    """Spectrum of degrees 0..4096: one call, so that runs of neighbouring degrees are used."""
    return spectrum(net, dim, range(4097), kernel=kernel)


def relative_error(mantissa, exponent, reference):
    with mpmath.workdps(60):
        true = mpmath.mpf(reference)
        if true == 0:
            return 0.0 if mantissa == 0 else np.inf
        return abs(float(mpmath.ldexp(mpmath.mpf(float(mantissa)), int(exponent)) / true - 1))


def test_the_file_covers_what_it_should():
    rows = references()
    for name in ("relu", "leaky_relu", "sigmoid", "tanh"):
        mine = [r for r in rows if r["activation"] == name]
        assert {int(r["dim"]) for r in mine} == {2, 3, 4, 7, 32, 256, 1024}
        assert max(int(r["degree"]) for r in mine) >= 1024
    logs = [float(mpmath.log10(mpmath.mpf(r["value"]))) for r in rows if r["value"] != "0"]
    assert min(logs) < -1000


@pytest.mark.parametrize("name", POSTER)
def test_every_reference_is_met_and_every_bound_holds(name):
    errors = []
    for row in references():
        if row["activation"] != name:
            continue
        s = engine(network(row), int(row["dim"]), row["kernel"])
        k = int(row["degree"])
        error = relative_error(s.mantissas[k], s.exponents[k], row["value"])
        assert error <= s.relative_error[k], row
        if s.mantissas[k] != 0:
            with mpmath.workdps(30):
                true = float(mpmath.log(mpmath.mpf(row["value"])))
            # The logarithm as a double: its own rounding, and the eigenvalue's error
            assert abs(s.log_eigenvalues[k] - true) <= s.relative_error[k] + 3e-16 * abs(true)
        errors.append(error)
    assert len(errors) > 60
    assert max(errors) <= 1e-13
    assert np.quantile(errors, 0.9) <= 1e-14


@pytest.mark.parametrize("name", POSTER)
def test_tables_meet_the_references(name):
    """Walking down from d = 1024 over 4098 degrees: the longest way there is to lose digits."""
    block = table_block(name, range(2, 1025), range(4097))
    assert block.relative_error.max() <= 1e-12
    checked = 0
    for row in references():
        net = network(row)
        if net != Network(name) or row["kernel"] != "ntk":
            continue
        i, j = int(row["dim"]) - 2, int(row["degree"])
        value, log = block.eigenvalues[i, j], block.log_eigenvalues[i, j]
        bound = block.relative_error[i]
        with mpmath.workdps(50):
            true = mpmath.mpf(row["value"])
            if true == 0:
                assert value == 0 and log == -np.inf
                continue
            assert abs(float(mpmath.mpf(log) - mpmath.log(true))) <= bound + 3e-16 * abs(log)
            if true > 2.3e-308:
                assert abs(float(mpmath.mpf(value) / true - 1)) <= min(bound, 1e-13)
            else:
                assert value == 0
        checked += 1
    assert checked >= 25
