"""The dimension walk against the direct routes."""

from dataclasses import replace
from threading import Thread

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import POSTER

from ntkspec.errors import NtkspecError
from ntkspec.kernels import walk
from ntkspec.networks import Network
from ntkspec.spectra import spectrum, table_block
from ntkspec.spectra.rows import normalized
from ntkspec.spectra.walk import MOST_STEPS


def assert_block_is_direct(block, net, kernel):
    for i, dim in enumerate(block.dims):
        s = spectrum(net, int(dim), block.degrees, kernel=kernel)
        zero = s.mantissas == 0
        np.testing.assert_array_equal(block.log_eigenvalues[i] == -np.inf, zero)
        np.testing.assert_array_equal(block.eigenvalues[i] == 0, s.eigenvalues == 0)
        bound = block.relative_error[i] + s.relative_error[0]
        log = s.log_eigenvalues[~zero]
        assert np.all(np.abs(block.log_eigenvalues[i][~zero] - log) <= bound + 3e-16 * np.abs(log))
        kept = s.eigenvalues > 0
        np.testing.assert_allclose(
            block.eigenvalues[i][kept], s.eigenvalues[kept], rtol=bound, atol=0
        )


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(POSTER), st.sampled_from(["ntk", "nngp"]), st.integers(2, 900),
    st.integers(1, 40), st.integers(0, 900), st.integers(1, 90), st.integers(1, 3),
    st.integers(1, 3), st.floats(0.1, 10.0),
)  # fmt: skip
def test_any_block_is_the_direct_route(
    name, kernel, dim, rows, degree, columns, dim_step, degree_step, variance
):
    net = Network(name, weight_variance=variance)
    dims = range(dim, dim + rows * dim_step, dim_step)
    degrees = range(degree, degree + columns * degree_step, degree_step)
    assert_block_is_direct(table_block(net, dims, degrees, kernel=kernel), net, kernel)


@pytest.mark.parametrize("name", POSTER)
def test_long_walks_stay_within_their_bound(name):
    block = table_block(name, range(2, 603), range(1200))
    assert 0 < block.relative_error.max() < 1e-12
    picked = [0, 1, 2, 29, 30, 598, 599, 600]
    rows = ("dims", "eigenvalues", "log_eigenvalues", "relative_error")
    thinned = replace(block, **{name: getattr(block, name)[picked] for name in rows})
    assert_block_is_direct(thinned, name, "ntk")


def test_blocks_do_not_depend_on_their_neighbours_beyond_the_bound():
    """The last degrees of a small block against the middle of a large one: the tail columns."""
    large = table_block("tanh", range(2, 200), range(900))
    small = table_block("tanh", range(2, 100), range(450))
    inner = large.eigenvalues[:98, :450]
    np.testing.assert_allclose(small.eigenvalues, inner, rtol=2e-13, atol=0)


def test_the_same_block_twice_is_the_same_to_the_bit():
    for name in POSTER:
        one, two = (table_block(name, range(5, 70), range(300)) for _ in range(2))
        np.testing.assert_array_equal(one.eigenvalues, two.eigenvalues)
        np.testing.assert_array_equal(one.log_eigenvalues, two.log_eigenvalues)


def test_sparse_requests_are_computed_row_by_row():
    block = table_block("relu", [2, 1000, 100000, 10**6], [0, 1, 100, 4000])
    assert_block_is_direct(block, Network("relu"), "ntk")


@pytest.mark.parametrize("dims,degrees", [([], [1]), ([3, 2], [1]), ([2, 2], [1]), ([2], [3, 1])])
def test_ranges_must_increase(dims, degrees):
    with pytest.raises(NtkspecError, match=r"increasing|empty"):
        table_block("relu", dims, degrees)


def walked(rows, tail, dims, degrees, first):
    """The compiled walk of one chain of scaled numbers, into columns first, first + 2, ...."""
    count = np.array([degrees.size])
    value = np.empty((1, walk.BAND + 2, degrees.size))
    scale = np.zeros((1, degrees.size), np.int64)
    (low, high), (low_exponent, high_exponent) = rows
    walk.start(low, low_exponent, high, high_exponent, value[0, walk.BAND :], scale[0])
    out, log = np.full((2, dims.size + 2, 2 * degrees.size + 3), np.nan)
    mantissa, exponent = tail
    walk.walk(
        dims, degrees[:1], np.array([first]), count, mantissa[None], exponent[None], value, scale,
        out, log, 1, 2, 2 * degrees.size - 1 + first,
    )  # fmt: skip
    inside = np.s_[1:-1, 2 : 2 * degrees.size + 1 + first]
    for array in (out, log):
        rest = array.copy()
        rest[inside] = np.nan
        assert np.isnan(rest).all()  # nothing is written elsewhere
    return out[inside], log[inside]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(3, 45), st.integers(1, 23), st.integers(2, 10**6), st.integers(0, 10**6),
    st.integers(0, 1), st.integers(0, 2**32), st.sampled_from([0, 3, 60, 700, 5000]),
    st.integers(0, 200),
)  # fmt: skip
def test_any_walk_is_the_recurrence(rows, columns, dim, degree, first, seed, fall, apart):
    """Random positive seeds, decreasing as fast as they like, against mpmath's recurrence."""
    rng = np.random.default_rng(seed)
    dims, degrees = dim + np.arange(rows), degree + 2 * np.arange(columns)
    powers = -np.cumsum(rng.integers(0, fall + 1, columns)) + rng.integers(-2000, 1500)
    mantissa = rng.uniform(1, 2, (2, columns))
    exponent = np.stack([powers, powers - apart])
    zero = rng.integers(0, columns + 1) if rng.random() < 0.2 else columns
    mantissa[:, zero:] = 0.0
    tail = normalized(rng.uniform(1, 2, rows - 2) * (zero == columns), powers[-1] - fall)
    value, log = walked((mantissa, exponent), tail, dims, degrees, first)
    with mpmath.workdps(30):
        above = [[mpmath.ldexp(m, int(e)) for m, e in zip(*row)] for row in zip(mantissa, exponent)]
        for i in range(rows - 1, -1, -1):
            if i >= rows - 2:
                exact = above[i - rows + 2]
            else:
                exact, right = [], mpmath.ldexp(tail[0][i], int(tail[1][i]))
                for k, up in zip(degrees.tolist()[::-1], above[1][::-1]):
                    right += (1 + mpmath.mpf(2 * k) / int(dims[i])) * up
                    exact.insert(0, right)
                above = [exact, above[0]]
            steps = 0 if i >= rows - 2 else columns + 3 * ((rows - 1 - i) // 2)
            mine = zip(value[i, first::2].tolist(), log[i, first::2].tolist(), exact)
            for found, logarithm, true in mine:
                if true == 0:
                    assert found == 0 and logarithm == -np.inf
                    continue
                known = mpmath.log(true)
                unit = np.spacing(abs(float(known)))
                assert abs(logarithm - known) <= steps * 2.0**-53 + unit
                if 2.3e-308 < true < 1.7e308:
                    assert abs(found / true - 1) <= steps * 2.0**-53 * (1 + 1e-6)
                elif true < 2.2e-308:
                    assert found == 0
    others = np.arange(value.shape[1]) % 2 != first
    assert np.all(value[:, others] == 0) and np.all(log[:, others] == -np.inf)


@pytest.mark.parametrize("low,high", [(0, -800), (-800, 0), (300, -300)])
def test_rows_that_are_too_far_apart_are_refused(low, high):
    """They would become subnormal; eigenvalues of neighboring dimensions are never so far apart."""
    one, degrees = np.ones(3), np.arange(0, 6, 2)
    rows = (one, one), (np.full(3, low), np.full(3, high))
    with pytest.raises(ValueError, match="differ too much"):
        walked(rows, normalized(np.ones(2), np.int64(-900)), np.arange(3, 7), degrees, 0)


@pytest.mark.parametrize("shape", [(4, 2 * MOST_STEPS + 1), (MOST_STEPS, 3), (4, 1), (5, 2)])
def test_large_blocks_are_walked_in_parts(shape):
    name = "relu" if shape[1] > 10 else "tanh"
    dims, degrees = 7 + np.arange(shape[0]), 3 + np.arange(shape[1])
    block = table_block(name, dims, degrees)
    assert block.relative_error.max() <= 1e-12
    for i in (0, shape[0] // 2, shape[0] - 1):
        single = spectrum(name, int(dims[i]), degrees)
        bound = block.relative_error[i] + single.relative_error[0]
        np.testing.assert_allclose(block.eigenvalues[i], single.eigenvalues, rtol=bound, atol=0)


def test_walks_leave_room_for_the_bound_of_their_first_rows():
    network = Network("tanh", depth=4, bias_variance=3.0)
    dims, degrees = np.arange(1000, 6450), np.arange(6)
    block = table_block(network, dims, degrees)
    assert spectrum(network, 1000, degrees).relative_error.max() > 1e-13
    assert block.relative_error.max() <= 1e-12
    for i in (0, 2700, 5440):
        single = spectrum(network, int(dims[i]), degrees)
        np.testing.assert_allclose(block.eigenvalues[i], single.eigenvalues, rtol=2e-12, atol=0)


@pytest.mark.parametrize("network", [Network("tanh"), Network("relu", depth=2)])
@pytest.mark.parametrize("degrees", [range(30), range(3, 40, 3), [5]])
def test_arrays_that_are_given_are_filled(network, degrees):
    plain = table_block(network, range(3, 12), degrees)
    out = np.ones((2, 9, len(degrees)))
    filled = table_block(network, range(3, 12), degrees, out=tuple(out))
    assert filled.eigenvalues.base is out and filled == plain


@pytest.mark.parametrize(
    "array", [np.ones((4, 3)), np.ones((3, 4), np.float32), np.ones((4, 3)).T, [[0.0] * 4] * 3]
)
def test_arrays_that_cannot_be_filled_are_refused(array):
    with pytest.raises(NtkspecError, match="float64 arrays of shape"):
        table_block("relu", [2, 3, 4], range(4), out=(np.ones((3, 4)), array))


def test_threads_that_walk_do_not_meet():
    blocks = {}
    cases = [("relu", range(2, 90), range(700)), ("tanh", range(3, 80), range(5, 800))] * 3
    expected = [table_block(*case) for case in cases[:2]]
    threads = [
        Thread(target=lambda i=i, case=case: blocks.update({i: table_block(*case)}))
        for i, case in enumerate(cases)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(blocks[i] == expected[i % 2] for i in range(len(cases)))
