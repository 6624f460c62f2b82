"""Fitted laws against derived ones."""

import csv
import io
import json

import numpy as np
import pytest
from command_line import ntkspec
from sweeping import table_of

from ntkspec import fit
from ntkspec.errors import NtkspecError
from ntkspec.laws import law
from ntkspec.laws.fit import fit_law
from ntkspec.networks import Network
from ntkspec.opening import open_table
from ntkspec.spectra import eigenvalues, spectrum

RECIPE = """\
dims = "3,10"
degrees = "0:301"

[[networks]]
activation = "relu"

[[networks]]
activation = "leaky_relu"
slope = 0.2

[[networks]]
activation = "sigmoid"

[[networks]]
activation = "tanh"
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of(RECIPE, tmp_path_factory.mktemp("fit"))


def test_the_table_supports_what_is_derived(table):
    with open_table(table) as source:
        found = fit(source)
    assert len(found) == 8  # four networks, two dimensions, one parity each
    for one in found:
        best = one.fit.best
        assert one.fit.supported == one.derived.kind, one
        assert abs(best.power - one.derived.power) < 4.0 * best.power_error
        assert abs(best.log_constant - one.derived.log_constant) < 4.0 * best.log_constant_error
        assert abs(best.rate - one.derived.rate) <= 4.0 * best.rate_error
        assert best.power_error < (1e-4 if best.kind == "power" else 0.3)
        assert one.fit.from_degree is not None


@pytest.mark.parametrize(
    "parameters, power_off",
    [
        (dict(activation="relu", depth=2, bias_variance=0.2), 1e-5),
        (dict(activation="elu"), 1e-4),
        (dict(activation="abs", depth=2), 1e-5),
        (dict(activation="softplus"), 0.1),
        (dict(activation="erf"), 1e-4),
        (dict(activation="gaussian", bias_variance=0.5), 1e-5),
    ],
)
def test_other_networks(parameters, power_off):
    net = Network(**parameters)
    log = eigenvalues(net, 3, range(301), log=True)
    model = law(net, 3)
    for parity in (0, 1):
        if (one := model.of_parity(parity)) is None:
            continue
        k = np.arange(parity, 301, 2)
        found = fit_law(k, log[k], dim=3)
        assert found.supported == one.kind
        assert found.best.power == pytest.approx(one.power, abs=power_off)
        assert found.best.rate == pytest.approx(one.rate, abs=1e-3)


@pytest.mark.parametrize("parameters, dim", [("sin", 3), ("tanh", 64), ("sigmoid", 64)])
def test_none_where_the_data_do_not_tell(parameters, dim):
    """sin falls faster than all three; 300 degrees are few in 64 dimensions."""
    k = np.arange(1, 300, 2)
    assert fit_law(k, eigenvalues(parameters, dim, k, log=True), dim=dim).supported == "none"


def test_noise_that_is_no_law_supports_none():
    k = np.arange(1, 300)
    noise = np.random.default_rng(1).normal(size=k.size)
    assert fit_law(k, noise).supported == "none"


def test_a_noisy_power_law_keeps_its_error_bar():
    k = np.arange(4, 2000, 2)
    noise = 1e-3 * np.random.default_rng(2).normal(size=k.size)
    found = fit_law(k, -3.0 * np.log(k) + noise)
    assert found.supported == "power"
    assert abs(found.best.power + 3.0) < 4.0 * found.best.power_error < 0.2


def test_too_few_degrees_support_none():
    found = fit_law(range(1, 8), np.zeros(7))
    assert (found.supported, found.best, found.laws) == ("none", None, {})


def test_from_degree_describes_the_data():
    k = np.arange(2, 301, 2)
    log = eigenvalues("relu", 3, k, log=True)
    found = fit_law(k, log, dim=3)
    rest = (log - found.best.log_eigenvalue(k))[k >= found.from_degree]
    assert np.ptp(rest) <= 0.02
    assert found.from_degree > 2


def test_bad_data_are_refused():
    with pytest.raises(NtkspecError, match="one length"):
        fit_law([1, 2], [0.0])
    with pytest.raises(NtkspecError, match="NaN"):
        fit_law([1, 2], [0.0, np.nan])


def test_command_line_text(table):
    result = ntkspec("fit", table, "--dim", "3", "--network", "tanh")
    assert result.exit_code == 0
    assert "stretched" in result.output
    assert "3.2175" in result.output
    assert "not the distance to the law" in result.output


def test_command_line_csv_and_json_agree(table):
    rows = list(csv.DictReader(io.StringIO(ntkspec("fit", table, "--format", "csv").output)))
    found = json.loads(ntkspec("fit", table, "--format", "json").output)
    assert len(rows) == len(found) == 24
    assert {row["law"] for row in rows} == {"power", "stretched", "geometric"}
    assert float(rows[0]["power"]) == found[0]["power"]
    assert found[0]["derived_power"] == -3.0


def test_what_is_missing_gets_a_message(table):
    assert ntkspec("fit", table, "--dim", "5").exit_code == 2
    assert ntkspec("fit", table, "--network", "relu_power").exit_code == 2
    assert ntkspec("fit", str(table) + "x").exit_code == 3


@pytest.mark.parametrize("dim", [2, 10**6, 2**53])
@pytest.mark.parametrize("size", [1.0, 1e9, 1e154, 1e308])
@pytest.mark.filterwarnings("error")
def test_what_no_law_determines(dim, size):
    """Where columns are the same in doubles or sums overflow there is no fit, and no warning."""
    noise = np.random.default_rng(5).uniform(-1.0, 1.0, 40)
    assert fit_law(np.arange(1, 41), size * noise, dim=dim).supported == "none"
    assert fit_law(np.arange(1, 41) + 2.0**53, size * noise, dim=dim).supported == "none"


def test_fits_are_tables_in_notebooks():
    k = np.arange(10, 400, 2)
    found = fit_law(k, -3.0 * np.log(k + 1.0))
    html = found._repr_html_()
    assert "the power law is supported" in html and html.count("<tr>") == 4
    assert found.best._repr_html_().count("<tr>") == 2
    assert "no law is supported" in fit_law(k[:3], -np.log(k[:3]))._repr_html_()
    (one,) = fit(spectrum("tanh", 3, range(1, 100, 2)))
    assert "<caption>Fit of tanh, dim = 3 (ntk), odd k" in one._repr_html_()


def test_a_fit_draws_its_data_and_laws():
    from matplotlib.figure import Figure

    (even, odd) = fit(spectrum(Network("relu", depth=2), 3, range(101)))
    assert even == even and even != odd
    axes = even.plot(ax=Figure().subplots())
    data, supported, derived = axes.lines
    np.testing.assert_array_equal(data.get_xdata(), even.degrees)
    np.testing.assert_allclose(np.log(data.get_ydata()), even.log_eigenvalues)
    assert even.fit.best is not None and supported.get_label() == "supported law"
    assert derived.get_xdata()[0] >= even.derived_from
    with pytest.raises(NtkspecError, match="ax = 3 is not allowed"):
        even.plot(ax=3)


def test_a_derived_law_that_is_off_everywhere_says_so():
    from matplotlib.figure import Figure

    words = "not within 10 % at any of these degrees"
    (off,) = fit(spectrum(Network("tanh", depth=3), 10, range(1, 201, 2)))
    ratio = off.log_eigenvalues[-1] - off.derived.log_eigenvalue(off.degrees[-1])
    assert off.derived_is_off and abs(np.expm1(ratio)) > 0.1
    legend = off.plot(ax=Figure().subplots()).get_legend()
    shown = [legend.get_texts()[-1].get_text(), repr(off), off._repr_html_()]
    assert all(words in text for text in shown)
    (near, _) = fit(spectrum(Network("relu", depth=2), 3, range(101)))
    # Without a constant there is nothing to compare.
    (unknown,) = fit(spectrum(Network("erf", weights="sphere"), 3, range(1, 60, 2)))
    for one in (near, unknown):
        assert one.derived is not None and not one.derived_is_off and "10 %" not in repr(one)
