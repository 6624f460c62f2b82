"""Networks with a kink at 0: powers at the ends against balls, parities, degrees to 10^6."""

import numpy as np
import pytest

from ntkspec import Network
from ntkspec.domains import Sphere
from ntkspec.spectra.endpoint import ROUTE, Kinked, has_parts
from ntkspec.spectra.rows import both_parities
from ntkspec.spectra.seeds import BallSeeds

NETWORKS = [
    (Network("relu", depth=2), "ntk"),
    (Network("relu", depth=3, bias_variance=0.1, trained="all"), "ntk"),
    (Network("relu", depth=2, bias_variance=1e-6), "nngp"),
    (Network("relu", bias_variance=1e3, weight_variance=0.01, trained="all"), "ntk"),
    (Network("leaky_relu", depth=4, weight_variance=2.0), "nngp"),
    (Network("leaky_relu", slope=0.3, depth=2, bias_variance=1e-9), "ntk"),
    (Network("abs", depth=2), "ntk"),
    (Network("abs", depth=3, bias_variance=0.3, trained="all"), "ntk"),
    (Network("step", depth=2), "nngp"),
    (Network("step", depth=3, bias_variance=0.1), "nngp"),
    (Network("relu_power"), "ntk"),
    (Network("relu_power", power=3, depth=2, bias_variance=0.01), "nngp"),
    (Network("elu", bias_variance=0.2), "ntk"),
]


def gap(one, other):
    """Largest relative difference of scaled values, which must have the same zeros."""
    (mine, shift), (theirs, scale) = one, other
    assert np.array_equal(mine == 0.0, theirs == 0.0)
    some = theirs != 0.0
    ratio = mine[some] / theirs[some] * 2.0 ** (shift[some] - scale[some])
    return np.abs(ratio - 1.0).max(initial=0.0)


@pytest.mark.parametrize(("network", "kernel"), NETWORKS)
@pytest.mark.parametrize("dim", [2, 9])
def test_rows_agree_with_balls(network, kernel, dim):
    assert ROUTE.takes(network, Sphere(dim), kernel) and has_parts(network, kernel)
    rows, degrees = Kinked(network, kernel), np.arange(81)
    known = both_parities(BallSeeds.of_network(network, kernel), dim, degrees)
    assert gap(both_parities(rows, dim, degrees), known) <= rows.relative_error
    assert rows.relative_error < 1e-15


@pytest.mark.parametrize(("network", "kernel"), NETWORKS)
def test_columns_are_those_of_rows(network, kernel):
    rows = Kinked(network, kernel)
    for degree in (0, 3, 40, 101):
        dims = np.array([3, 5, 7, 65, 1001])
        column = rows.column(degree, dims)
        for i, dim in enumerate(dims):
            one = rows.row(int(dim), np.array([degree]))
            assert gap(one, (column[0][i : i + 1], column[1][i : i + 1])) <= 4e-16
