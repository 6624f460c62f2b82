"""Spectra of kernel matrices on data: eigenvalues, bounds, memory, workers, densities."""

import math
import os
import pickle
import signal
import tracemalloc

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ntkspec
from ntkspec import Linear, Network, NtkspecError, Residual, data_spectrum
from ntkspec.jobs.progress import Observer
from ntkspec.spectra.data_set import compute, lanczos
from ntkspec.spectra.data_set.operator import DataMatrix, Operator
from ntkspec.spectra.data_set.rows import ZonalRows
from ntkspec.threads import _libraries, one_blas_thread
from ntkspec.zonal import arc_cosine, gaussian, laplace


def cloud(n, dim, seed=0, spread=0.5):
    """Vectors of norms between which there are factors of several."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, dim)) * np.exp(spread * rng.standard_normal((n, 1)))


def circle(n):
    angles = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def matrix_of(network, x, kernel="ntk", **options):
    named = ntkspec.networks.as_network(network)
    return (named.ntk_matrix if kernel == "ntk" else named.nngp_matrix)(x, **options) / len(x)


def iterated(monkeypatch):
    """Have few vectors go through the block Lanczos method."""
    monkeypatch.setattr(compute, "FEW", 0)
    monkeypatch.setattr(compute, "LEAST_WIDTH", 8)


NETWORKS = {
    "relu": Network("relu"),
    "erf": Network("erf", depth=2, trained="all", bias_variance=0.1),
    "tanh": Network("tanh", weight_variance=0.1),
    "gelu": Network("gelu"),
    "parts": Network.serial(
        Linear(), Residual("relu", Linear(2.0), scale=0.5), "erf", Linear(bias_variance=0.2)
    ),
}


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "anew"])
@pytest.mark.parametrize("name", NETWORKS)
def test_eigenvalues_are_those_of_the_matrix(name, kept, monkeypatch):
    """Against LAPACK's eigenvalues of the full matrix; three vectors are repeated."""
    iterated(monkeypatch)
    if not kept:
        monkeypatch.setattr(compute._Plan, "__new__", without_matrix(compute._Plan.__new__))
    x = cloud(360, 6, spread=0.1)
    x[[5, 100, 200]] = x[[6, 101, 101]]
    network = NETWORKS[name]
    s = data_spectrum(network, x, count=8, further=12)
    assert (s.products > 3) and ("kept" in s.route) == kept
    full, vectors = np.linalg.eigh(matrix_of(network, x))
    true = full[::-1][:20]
    assert s.residuals[:8].max() <= 1e-6
    assert np.all(np.abs(s.eigenvalues - true) <= s.relative_error * s.eigenvalues)
    assert s.relative_error[:8].max() < 1e-8
    np.testing.assert_allclose(s.eigenvalues[:8], true[:8], rtol=1e-11)
    rest = matrix_of(network, x) @ s.eigenvectors - s.eigenvectors * s.eigenvalues
    np.testing.assert_allclose(
        np.linalg.norm(rest, axis=0) / s.eigenvalues, s.residuals, rtol=1e-3, atol=1e-11
    )
    np.testing.assert_allclose(s.eigenvectors.T @ s.eigenvectors, np.eye(20), atol=1e-12)
    assert abs(vectors[:, -1] @ s.eigenvectors[:, 0]) == pytest.approx(1.0, abs=1e-12)
    assert s.trace == pytest.approx(full.sum(), rel=1e-12)
    assert s.frobenius_norm == pytest.approx(np.linalg.norm(full), rel=1e-12)
    assert s.explained == pytest.approx(true.sum() / full.sum(), rel=1e-5)
    assert s.repeated == 3 and "3 are repeated, so that the matrix is singular" in repr(s)


def without_matrix(make):
    """Plans that do not keep the matrix."""
    return lambda cls, direct, keep, width, most: make(cls, direct, False, width, most)


@pytest.mark.parametrize("entries", [1, 64 * 13, 2**21])
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "anew"])
@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 129, 700, 800])
def test_products_by_tiles_are_those_of_the_matrix(size, kept, entries, monkeypatch):
    """Sizes at the edges of tiles; 13 rows of a tile at a time, and tiles of two sizes."""
    monkeypatch.setattr("ntkspec.spectra.data_set.operator.ENTRIES", entries)
    monkeypatch.setattr("ntkspec.spectra.data_set.operator.TILES", 3)
    x, v = cloud(size, 3), np.random.default_rng(1).standard_normal((size, 2))
    matrix = matrix_of("relu", x)
    rows = []
    operator = Operator(
        DataMatrix(Network("relu"), x, "ntk", 1e-12, False), keep=kept, done=rows.append
    )
    for _ in range(2):
        np.testing.assert_allclose(operator.times(v), matrix @ v, rtol=1e-12, atol=1e-13)
    assert sum(rows) == 2 * size
    np.testing.assert_allclose(operator.sizes.diagonal, size * np.diagonal(matrix), rtol=1e-13)
    assert operator.sizes.frobenius == pytest.approx(size * np.linalg.norm(matrix), rel=1e-12)
    if kept:
        np.testing.assert_allclose(np.tril(operator.lower()), np.tril(matrix), rtol=1e-12)


def test_equally_spaced_points_of_the_circle(monkeypatch):
    """A circulant matrix, whose eigenvalues are the Fourier transform of the closed form's row."""
    iterated(monkeypatch)
    n = 400
    angle = np.minimum(np.arange(n), n - np.arange(n)) * 2 * np.pi / n
    row = np.cos(angle) * (np.pi - angle) / (2 * np.pi)  # t E[1_u 1_v]
    true = np.sort(np.fft.fft(row).real / n)[::-1]
    s = data_spectrum("relu", circle(n), count=15)
    assert not s.route.startswith("all")
    np.testing.assert_allclose(s.eigenvalues, true[:15], rtol=1e-10)
    assert np.all(np.abs(s.eigenvalues - true[:15]) <= s.relative_error * s.eigenvalues)
    # The other way from norms: relu is homogeneous, and the eigenvalues grow as the square.
    tripled = data_spectrum("relu", 3.0 * circle(n), count=15)
    np.testing.assert_allclose(tripled.eigenvalues, 9.0 * s.eigenvalues, rtol=1e-10)


def test_points_of_the_sphere_tend_to_its_spectrum():
    """Equally spaced points alias: the eigenvalues are those of the circle to n^-2 (ReLU)."""
    s = data_spectrum("relu", circle(1200), count=5)
    zero, one, two = ntkspec.spectrum("relu", 2, degrees=[0, 1, 2]).eigenvalues
    np.testing.assert_allclose(s.eigenvalues, [one, one, zero, two, two], rtol=1e-4)
    x = np.random.default_rng(1).standard_normal((1500, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    s = data_spectrum("relu", x, count=4)
    zero, one = ntkspec.spectrum("relu", 3, degrees=[0, 1]).eigenvalues
    # Random points: within some n^-1/2.
    np.testing.assert_allclose(s.eigenvalues, [one, one, one, zero], rtol=0.1)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(80, 110), st.integers(1, 6), st.integers(1, 3),
    st.sampled_from(["fast", "slow", "multiple", "low rank", "flat"]),
)  # fmt: skip
def test_true_errors_are_within_the_bounds(seed, size, count, times, kind):
    """Matrices with known eigenvalues, iterated until residuals are anything from 1e-1 to 1e-8."""
    rng = np.random.default_rng(seed)
    true = {
        "fast": 0.5 ** np.arange(size),
        "slow": 1.0 / (1.0 + np.arange(size)) ** 1.5,
        "multiple": np.repeat(1.0 / (1.0 + np.arange(size)), 3 * times)[:size],
        "low rank": np.where(np.arange(size) < count, 1.0, 0.0),
        "flat": 1.0 - 1e-3 * np.arange(size) / size,
    }[kind]
    turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
    matrix = (turn * true) @ turn.T
    found = lanczos.leading(
        lambda v: matrix @ v, size, (count, count + 1),
        (count + times, min(size // 2 + 5, size - count - times)),
        10.0 ** rng.uniform(-8, -1), lambda: 1e-14, rng, lambda worst: None,
    )  # fmt: skip
    norm = np.linalg.norm(true)
    bounds = lanczos.error_bounds(found, found.residuals, size, 1e-14, norm)
    error = true[: count + 1] - found.values
    assert np.all(error >= -1e-13)
    assert np.all(error <= bounds + 1e-13)
    assert np.all(found.residuals >= 0.0)


def test_a_basis_that_is_full_is_restarted():
    true = 1.0 / (1.0 + np.arange(500.0))
    products = []

    def times(v):
        products.append(v.shape[1])
        return true[:, np.newaxis] * v

    found = lanczos.leading(
        times, 500, (5, 6), (6, 36), 1e-8, lambda: 1e-15, np.random.default_rng(0), products.append
    )
    assert len(products) > 2 * 36 / 6
    np.testing.assert_allclose(found.values[:5], true[:5], rtol=1e-13)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanczos, "MOST_PRODUCTS", 3)
        with pytest.raises(NtkspecError, match=r"after 3 products .* above tolerance = 1e-08"):
            lanczos.leading(
                times, 500, (5, 6), (6, 36), 1e-8, lambda: 1e-15, np.random.default_rng(0), print
            )


def test_a_kernel_of_low_rank_has_eigenvalues_that_are_0_to_rounding(monkeypatch):
    """A linear network: K = X X' has rank 3, and repeated vectors alone leave rank 2."""
    iterated(monkeypatch)
    x = cloud(200, 3)
    network = Network("polynomial(0, 1)")
    s = data_spectrum(network, x, count=6)
    true = np.linalg.svd(x, compute_uv=False) ** 2 / 200
    scale = s.eigenvalues[0] / true[0]
    np.testing.assert_allclose(s.eigenvalues[:3], scale * true, rtol=1e-12)
    assert np.all(s.eigenvalues[3:] <= 1e-12 * s.eigenvalues[0])
    assert np.all(s.relative_error[3:] >= 1.0), "nothing is known of the digits of a 0"
    two = np.repeat(cloud(2, 3), 150, axis=0)
    s = data_spectrum("erf", two, count=3)
    assert s.repeated == 298 and s.eigenvalues[2] < 1e-12 * s.eigenvalues[0]
    nothing = data_spectrum("relu", np.zeros((5, 2)), count=2)
    assert nothing.eigenvalues.tolist() == [0.0, 0.0] and nothing.explained == 0.0


def test_float32_fan_in_nngp_and_other_containers():
    x = cloud(120, 4).astype(np.float32)
    network = Network("erf", depth=2)
    s = data_spectrum(network, x, count=3, fan_in=True, kernel="nngp")
    double = matrix_of(network, x.astype(float), "nngp", fan_in=True)
    np.testing.assert_allclose(s.eigenvalues, np.linalg.eigvalsh(double)[:-4:-1], rtol=1e-12)
    again = data_spectrum(network, x.tolist(), count=3, fan_in=True, kernel="nngp")
    assert np.array_equal(again.eigenvalues, s.eigenvalues)
    assert s.points is x, "no copy"
    assert pickle.loads(pickle.dumps(s)) == s


@pytest.mark.parametrize("kernel", [gaussian(1.0), laplace(0.5)], ids=["gaussian", "laplace"])
def test_zonal_kernels_of_unit_vectors(kernel):
    x = circle(60)
    x[30] = x[0]
    t = np.clip(x @ x.T, -1.0, 1.0)
    distance = np.linalg.norm(x[:, np.newaxis] - x, axis=2)
    values = {  # exp(-|x-y|^2 / (2 l^2)) and exp(-|x-y| / l)
        gaussian(1.0): np.exp(-(distance**2) / 2.0), laplace(0.5): np.exp(-distance / 0.5)
    }[kernel]  # fmt: skip
    s = data_spectrum(kernel, x, count=5)
    np.testing.assert_allclose(s.eigenvalues, np.linalg.eigvalsh(values / 60)[:-6:-1], rtol=1e-9)
    assert s.trace == pytest.approx(1.0, rel=1e-14)
    with pytest.raises(NtkspecError, match=r"X\[0\] has norm 2, and .* of unit vectors"):
        data_spectrum(kernel, 2 * x, count=5)
    with pytest.raises(NtkspecError, match="fan_in = True is not allowed"):
        data_spectrum(kernel, x, count=5, fan_in=True)
    assert t.max() <= 1.0


def test_a_zonal_kernel_with_a_radial_power_takes_any_norm():
    """(|x| |y|)^p times the kernel of the directions."""
    x = cloud(40, 3)
    norms = np.linalg.norm(x, axis=1)
    kernel = ntkspec.ZonalKernel(lambda t: t + t**2, radial_power=2.0)
    t = (x @ x.T) / np.outer(norms, norms)
    true = np.linalg.eigvalsh(np.outer(norms, norms) ** 2 * (t + t**2) / 40)[::-1]
    np.testing.assert_allclose(data_spectrum(kernel, x, count=4).eigenvalues, true[:4], rtol=1e-11)


@pytest.mark.parametrize("e", [1e-2, 1e-5, 1e-8])
@pytest.mark.parametrize("dim", [5, 20])
def test_a_zonal_kernel_keeps_the_digits_of_close_and_opposite_points(e, dim):
    """1 - t is not rounded with t: a kernel with a root there would lose half of its digits."""
    x = np.random.default_rng(dim).standard_normal((2, dim))
    x[1] = x[0] + e * x[1]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    with mpmath.workdps(60):
        rows = [mpmath.matrix(row.tolist()) for row in (*x, *-x)]
        t = [[mpmath.fdot(a, b) / (mpmath.norm(a) * mpmath.norm(b)) for a in rows] for b in rows]
        of_laplace = np.array([[mpmath.exp(-mpmath.sqrt(2 * abs(1 - v))) for v in r] for r in t])
        angles = [[mpmath.acos(max(-1, min(1, v))) for v in r] for r in t]
        of_angle = np.array([[1 - v / mpmath.pi for v in r] for r in angles])
        true = (of_laplace[0, 0] - of_laplace[0, 1]) / 2
    for kernel, values in ((laplace(), of_laplace), (arc_cosine(0), of_angle)):
        out = np.empty((4, 4))
        ZonalRows(kernel, np.array([*x, *-x]), False).fill(slice(0, 4), slice(0, 4), out)
        assert np.abs(out - values).max() < 1e-15
    s = data_spectrum(laplace(), x, count=2)
    assert abs(s.eigenvalues[1] - true) <= s.relative_error[1] * s.eigenvalues[1]
    mine = ntkspec.ZonalKernel(lambda t: np.exp(-np.sqrt(2 - 2 * t)))  # t is rounded
    s = data_spectrum(mine, x, count=2)
    off = abs(s.eigenvalues[1] - true)
    assert s.relative_error[1] == math.inf or off <= s.relative_error[1] * s.eigenvalues[1]


def test_close_points_of_a_zonal_kernel_take_no_room():
    """Differences of all pairs of 256 points of dimension 1000 would take 500 MB."""
    x = np.random.default_rng(0).standard_normal(1000) + np.zeros((256, 1))
    x += 1e-6 * np.random.default_rng(1).standard_normal(x.shape)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    kernel = ntkspec.ZonalKernel(lambda t: t)
    data_spectrum(kernel, x[:2], count=1)  # compiled
    tracemalloc.start()
    try:
        s = data_spectrum(kernel, x, count=1)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
    assert s.eigenvalues[0] == pytest.approx(1.0, rel=1e-9)


@pytest.fixture(scope="module")
def two_workers():
    """A client of two workers, in threads of this process: processes take seconds of imports."""
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0",
        silence_logs=50, memory_limit=0,
    ) as cluster, Client(cluster) as client:  # fmt: skip
        yield client


@pytest.mark.parametrize("name", ["relu", "erf"])
def test_workers_give_the_same_bits(name, two_workers, monkeypatch):
    monkeypatch.setattr("ntkspec.spectra.data_set.operator.ENTRIES", 64 * 50)
    x = cloud(600, 5)
    here = data_spectrum(NETWORKS[name], x, count=4)
    there = data_spectrum(NETWORKS[name], x, count=4, client=two_workers)
    assert "anew" in there.route and "kept" in here.route
    for one in ("eigenvalues", "eigenvectors", "residuals", "trace", "frobenius_norm"):
        assert np.array_equal(getattr(here, one), getattr(there, one)), one
    first = here.density([1e-3], probes=4, steps=4)
    assert first == there.density([1e-3], probes=4, steps=4, client=two_workers)


@pytest.mark.slow
def test_processes_of_workers_give_the_same_bits():
    from distributed import Client, LocalCluster

    x = cloud(3000, 5)
    here = data_spectrum("relu", x, count=4)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        there = data_spectrum("relu", x, count=4, client=client)
    assert np.array_equal(here.eigenvectors, there.eigenvectors)
    assert np.array_equal(here.eigenvalues, there.eigenvalues)


class Killer(Observer):
    """Ends workers, or the scheduler, at some of the reports."""

    def __init__(self, cluster, client, which):
        self.cluster, self.client, self.which, self.reports = cluster, client, which, 0

    def progress(self, state):
        self.reports += 1
        if self.reports not in (3, 40):
            return
        if self.which == "scheduler":
            self.cluster.close()
            return
        workers = list(self.client.run(os.getpid).values())
        for process in workers if self.which == "all" else workers[:1]:
            os.kill(process, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["one", "all", "scheduler"])
def test_workers_that_are_killed(which):
    from distributed import Client, LocalCluster

    x = cloud(6000, 5)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=60
        ) as cluster,
        Client(cluster) as client,
    ):
        killer = Killer(cluster, client, which)
        if which == "scheduler":
            with pytest.raises(NtkspecError, match="scheduler is gone"):
                data_spectrum("relu", x, count=4, client=client, observer=killer)
            return
        there = data_spectrum("relu", x, count=4, client=client, observer=killer)
    here = data_spectrum("relu", x, count=4)
    assert killer.reports > 3
    assert np.array_equal(here.eigenvectors, there.eigenvectors)
    assert np.array_equal(here.eigenvalues, there.eigenvalues)


def test_errors_of_workers_and_wrong_clients(two_workers):
    # Refused where the rows are prepared.
    with pytest.raises(NtkspecError, match="longest vector grows beyond doubles in gelu"):
        data_spectrum("gelu", 1e155 * cloud(600, 3), count=2, client=two_workers)
    for client, words in ((3, "client = 3"), ("tcp://127.0.0.1:1", "give a dask")):
        with pytest.raises(NtkspecError, match=words):
            data_spectrum("relu", np.eye(3), count=2, client=client)


def test_the_number_of_threads_and_other_rows_change_no_bit(monkeypatch):
    x = cloud(600, 5)
    monkeypatch.setattr("ntkspec.spectra.data_set.operator.ENTRIES", 64 * 7)
    one = data_spectrum("relu", x, count=4)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    other = data_spectrum("relu", x, count=4)
    assert one == other
    matrix = DataMatrix(Network("erf"), x, "ntk", 1e-12, False)
    whole, part = np.empty((600, 600)), np.empty((13, 331))
    matrix.rows.fill(slice(0, 600), slice(0, 600), whole)
    matrix.rows.fill(slice(201, 214), slice(70, 401), part)
    assert np.array_equal(whole[201:214, 70:401], part)
    np.testing.assert_allclose(whole, Network("erf").ntk_matrix(x), rtol=1e-13)


@pytest.mark.filterwarnings("ignore:the function of 'mine' has the values of")
def test_rows_of_a_users_function_and_of_one_norm():
    x = circle(12)
    mine = Network(ntkspec.user_activation(np.tanh, name="mine"))
    np.testing.assert_allclose(
        data_spectrum(mine, x, count=4).eigenvalues,
        data_spectrum("tanh", x, count=4).eigenvalues, rtol=1e-6,
    )  # fmt: skip


def test_progress_reaches_the_end():
    class Watcher(Observer):
        def __init__(self):
            self.seen = []

        def progress(self, state):
            self.seen.append(state)

    watcher = Watcher()
    s = data_spectrum("relu", cloud(700, 4), count=3, observer=watcher)
    last = watcher.seen[-1]
    assert last.done == last.total == 700 * s.products == 700 * last.products
    assert all(0 < state.done <= state.total for state in watcher.seen)
    assert last.facts(1.0)["residual"] <= 1e-6 and "residual" in last.details(1.0)


SPOILT = cloud(5, 3)
SPOILT[3, 1] = math.nan


@pytest.mark.parametrize(
    "x, options, words",
    [
        (np.empty((0, 3)), {}, r"X of shape \(0, 3\) cannot be used; give at least one vector"),
        (np.ones(3), {}, r"shape \(3,\) .*numpy.newaxis"),
        (np.ones((3, 2, 2)), {}, r"shape \(3, 2, 2\) .*reshape"),
        (SPOILT, {"count": 2}, r"X\[3, 1\] = nan is not allowed; fill in or leave out"),
        ([["a", "b"]], {"count": 1}, "give numbers"),
        (np.eye(3) * 1j, {}, "give numbers"),
        (np.eye(3), {}, "count = 20 is not allowed; 3 vectors have no more than 3 eigenvalues"),
        (np.eye(3), {"count": 0}, "count = 0"),
        (np.eye(3), {"count": 1, "further": -1}, "further = -1"),
        (np.eye(3), {"count": 1, "tolerance": 0}, "tolerance = 0"),
        (np.eye(3), {"count": 1, "memory": "much"}, "memory = 'much' is not allowed; write it as"),
        (np.eye(3), {"count": 1, "kernel": "ntkk"}, "kernel = 'ntkk'"),
        (cloud(700, 3), {"memory": 10**6}, r"at least \d+\.?\d* MB to work in, and memory = 1 MB"),
        (cloud(700, 3), {"count": 400, "memory": "1MB"}, "need the whole matrix, 19.6 MB in all"),
        (1e-90 * np.eye(3), {"count": 1}, r"kernel of X\[0\] with itself is .* out of range"),
        (1e-170 * np.eye(3), {"count": 1}, r"X\[0\] is so short that its kernel leaves the range"),
        (1e90 * np.eye(3), {"count": 1}, r"kernel of X\[0\] with itself is .* out of range"),
    ],
)
def test_refusals(x, options, words):
    with pytest.raises(NtkspecError, match=words):
        data_spectrum("relu", x, **options)


def test_it_is_said_before_the_work_that_the_memory_is_too_small(monkeypatch):
    def never(*arguments):
        raise AssertionError("it worked")

    monkeypatch.setattr(Operator, "times", never)
    x = np.broadcast_to(np.zeros(1), (10**6, 2))
    with pytest.raises(NtkspecError, match=r"the whole matrix, 8e\+03 GB, is not needed"):
        data_spectrum("relu", x)


def test_counts_of_a_density_agree_with_all_eigenvalues():
    """Within five standard errors, or what the Gauss rules leave, of numpy's eigenvalues."""
    x = cloud(500, 4, spread=0.2)
    true = np.linalg.eigvalsh(matrix_of("relu", x))
    s = data_spectrum("relu", x, count=10)
    found = s.density(probes=24, steps=25, seed=1)
    exact = (true >= found.levels[:, np.newaxis]).sum(axis=1)
    assert np.all(found.at_least <= exact + 1e-6) and np.all(exact <= found.at_most + 1e-6)
    assert np.all(np.abs(found.above - exact) <= 5 * found.above_error + 0.05 * exact + 1.0)
    counted = found.levels > s.eigenvalues[-1]
    assert np.array_equal(found.above[counted], exact[counted]) and counted.sum() >= 2
    assert np.all(np.diff(found.above) <= 1e-9)
    assert found.to_pandas().shape == (25, 7)
    for options, words in (
        ({"levels": [2.0, 1.0]}, "levels = .* rising order"), ({"levels": [0.0]}, "above 0"),
        ({"probes": 1}, "probes = 1"), ({"steps": 1}, "steps = 1"),
    ):  # fmt: skip
        with pytest.raises(NtkspecError, match=words):
            s.density(**options)


def test_one_blas_thread_ends_with_its_last_user():
    """Also for scipy's library, which is another than numpy's and may be loaded later."""
    from threadpoolctl import threadpool_info

    known = [one["filepath"] for one in _libraries().info() if one["user_api"] == "blas"]
    assert any("scipy.libs" in path for path in known) or len(known) == 1

    def counts():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    before = counts()
    with one_blas_thread():
        with one_blas_thread():
            assert set(counts()) <= {1}
        assert set(counts()) <= {1}
    assert counts() == before


def test_results_are_like_the_others(tmp_path):
    s = data_spectrum("relu", cloud(30, 3), count=4)
    assert (len(s), s[2], list(s)) == (4, s.eigenvalues[2], [0, 1, 2, 3])
    frame = s.to_pandas()
    assert list(frame) == ["rank", "eigenvalue", "residual", "relative_error", "share"]
    assert frame.attrs["points"] == 30
    dataset = s.to_xarray()
    assert dataset["eigenvector"].dims == ("row", "rank")
    assert s.plot().get_xlabel().startswith("rank")
    assert s == data_spectrum("relu", cloud(30, 3), count=4)
    s.save(tmp_path / "s.csv")
    assert np.loadtxt(tmp_path / "s.csv", delimiter=",", skiprows=1)[:, 1].tolist() == list(
        s.eigenvalues
    )
    s.save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        assert np.array_equal(file["eigenvector"], s.eigenvectors)
        assert float(file["trace"]) == s.trace
    with pytest.raises(NtkspecError, match=r"ends with \.csv"):
        s.save(tmp_path / "s.txt")


@pytest.mark.parametrize("more", [{"a": [1.0]}, {"a": 1.0}, {"eigenvalue": [1.0, 2.0]}])
@pytest.mark.parametrize("name", ["s.csv", "s.npz"])
def test_further_columns_have_a_number_for_each_rank_and_names_of_their_own(more, name, tmp_path):
    s = data_spectrum("relu", np.eye(3), count=2)
    with pytest.raises(NtkspecError, match=r"more\['.*'\] of shape"):
        s.save(tmp_path / name, more)
    assert not (tmp_path / name).exists()
