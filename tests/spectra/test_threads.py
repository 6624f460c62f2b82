"""Answers do not depend on threads, processes, earlier calls or the order of arguments.

The right bits are those that a process of its own computes, with one thread and nothing before.
"""

import json
import multiprocessing
import random
import subprocess
import sys
import threading

import flint
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import TESTS

import ntkspec
from ntkspec import Cube, Gaussian, Network, ZonalKernel, precision, spectrum
from ntkspec.activations import user_activation
from ntkspec.laws import law
from ntkspec.locks import cached_property
from ntkspec.predict import fractional_variances
from ntkspec.reference.balls import reference_eigenvalue
from ntkspec.spectra import table_block
from ntkspec.spectra.certified import certify
from ntkspec.verification import check_entry

T = np.linspace(-1.0, 1.0, 7)


def laplace(t):
    return (-(2 - 2 * t).sqrt()).exp()


def by_mpmath(t):
    return mpmath.exp(t) / 3


def quartic(x):
    return x**4 / 24


def hexed(*arrays):
    """All bits of some arrays of doubles or whole numbers."""
    return [[x.hex() if isinstance(x, float) else x for x in np.ravel(a).tolist()] for a in arrays]


def of_spectrum(network, dim, degrees, kernel="ntk"):
    s = ntkspec.spectrum(network, dim, degrees, kernel=kernel)
    return hexed(s.mantissas, s.exponents, s.relative_error)


def of_cube(network, dim):
    s = spectrum(network, Cube(dim))
    return hexed(s.mantissas, s.exponents, s.relative_error)


def of_gaussian(network, dim, degrees):
    s = spectrum(network, Gaussian(dim, 2), degrees)
    return hexed(s.mantissas, s.exponents, s.relative_error)


def of_table(network, dims, degrees):
    block = table_block(network, dims, degrees)
    return hexed(block.eigenvalues, block.log_eigenvalues, block.relative_error)


def of_values(network):
    points = np.random.default_rng(1).standard_normal((4, 3))
    points /= np.linalg.norm(points, axis=1)[:, np.newaxis]
    return hexed(network.ntk(T), network.nngp(T), network.ntk_matrix(points))


def of_law(network, dim, kernel="ntk"):
    found = law(network, dim, kernel=kernel)
    return hexed([found.log_constant, found.power, found.rate])


def of_reference(network, dim, degree):
    found = reference_eigenvalue(network, dim, degree, digits=20)
    return [str(found.value._mpf_), str(found.error._mpf_), found.method]


def of_check(network, dim, degree):
    s = ntkspec.spectrum(network, dim, [degree])
    found = check_entry(
        network, dim, degree, s.eigenvalues[0], s.log_eigenvalues[0], 1e-12, digits=20
    )
    return [found.reference, float(found.relative_error).hex(), found.passed]


#: One job for each route and cache of the engine.
JOBS = {
    "relu, sphere": lambda: of_spectrum(Network("relu", weights="sphere"), 4, range(24)),
    "relu, sphere, other dim": lambda: of_spectrum(Network("relu", weights="sphere"), 5, range(20)),
    "tanh, sphere": lambda: of_spectrum(Network("tanh", weights="sphere"), 3, range(12)),
    "relu, depth 2": lambda: of_spectrum(Network("relu", depth=2), 3, range(30)),
    "relu, depth 2, other dim": lambda: of_spectrum(Network("relu", depth=2), 8, [40, 3]),
    "gelu, depth 2": lambda: of_spectrum(Network("gelu", depth=2), 3, range(90)),
    "gelu, depth 2, few": lambda: of_spectrum(Network("gelu", depth=2), 3, [1, 2, 7]),
    "tanh, depth 2": lambda: of_spectrum(Network("tanh", depth=2, bias_variance=0.1), 4, range(9)),
    "elu": lambda: of_spectrum(Network("elu"), 3, range(5)),
    "tanh": lambda: of_spectrum("tanh", 3, range(0, 900, 7)),
    "sigmoid": lambda: of_spectrum(Network("sigmoid", trained="all"), 30, range(700)),
    "relu": lambda: of_spectrum("relu", 3, range(2000)),
    "zonal, flint": lambda: of_spectrum(ZonalKernel(laplace, arithmetic="flint"), 3, range(12)),
    "zonal, mpmath": lambda: of_spectrum(ZonalKernel(by_mpmath, arithmetic="mpmath"), 3, range(4)),
    "table": lambda: of_table(Network("erf", depth=2), range(2, 9), range(20)),
    "table, tanh": lambda: of_table("tanh", range(2, 30), range(90)),
    "cube": lambda: of_cube(Network("relu", depth=2), 12),
    "cube, tanh": lambda: of_cube("tanh", 15),
    "shares": lambda: hexed(fractional_variances(Network("erf", depth=2), 9)),
    "gaussian": lambda: of_gaussian("erf", 5, [1, 3]),
    "gaussian, homogeneous": lambda: of_gaussian(Network("relu", depth=2), 5, range(5)),
    "certify": lambda: list(certify(Network("relu", depth=2), 3, range(5), digits=25).balls),
    "certify, smooth": lambda: list(certify(Network("tanh"), 3, [1, 7], digits=15).balls),
    "values": lambda: of_values(Network("relu", depth=3, bias_variance=0.3, trained="all")),
    "values, silu": lambda: of_values(Network("silu", depth=2)),
    "law": lambda: of_law(Network("erf", depth=3, bias_variance=0.5), 4, "nngp"),
    "reference": lambda: of_reference(Network("relu", depth=2), 3, 4),
    "reference, tanh": lambda: of_reference("tanh", 5, 3),
    "check": lambda: of_check("relu", 4, 6),
    "user": lambda: of_spectrum(
        Network(user_activation(quartic, arithmetic="flint", symmetry="even")), 3, [0, 2]
    ),
}


#: Those that take longest; and a few for the tests that compute them again and again.
LONG = {"elu", "certify", "gaussian", "tanh, depth 2", "zonal, flint", "user"}
QUICK = [
    "relu, sphere", "relu, depth 2", "gelu, depth 2", "tanh", "cube", "certify, smooth", "values",
]  # fmt: skip


def bits_of_a_new_process(names):
    script = (
        "import json, sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/spectra']; "
        "from test_threads import JOBS; "
        "print(json.dumps({name: JOBS[name]() for name in sys.argv[:1:-1]}))"
    )
    folder = str(TESTS)
    done = subprocess.run(
        [sys.executable, "-c", script, folder, *names], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_properties_made_by_one_function_have_values_of_their_own():
    def made(number):
        return cached_property(lambda self: number)

    class Several:
        one, two = made(1), made(2)

    several = Several()
    assert (several.one, several.two, several.one) == (1, 2, 1)
    assert several.__dict__ == {"one": 1, "two": 2}


def test_a_property_that_is_computed_keeps_no_other_thread_waiting():
    """As functools.cached_property of Python 3.11 does, in threads and in forked children."""
    begun, finish = threading.Event(), threading.Event()

    class Number:
        def __init__(self, slow):
            self.slow = slow

        @cached_property
        def value(self):
            if self.slow:
                begun.set()
                finish.wait(60)
            return 7

    slow, found = Number(True), []
    thread = threading.Thread(target=lambda: found.append(slow.value), daemon=True)
    other = threading.Thread(target=lambda: found.append(Number(False).value), daemon=True)
    thread.start()
    assert begun.wait(60)
    other.start()
    other.join(60)
    assert found == [7]
    finish.set()
    thread.join(60)
    assert found == [7, 7] and slow.__dict__["value"] == 7


@pytest.fixture(scope="module")
def alone():
    """Bits of the shorter jobs, each computed by one thread."""
    return bits_of_a_new_process([name for name in JOBS if name not in LONG])


def run_in_random_order(seed, names, found):
    order = list(names)
    random.Random(seed).shuffle(order)
    for name in order:
        found.append((name, JOBS[name]()))


@pytest.fixture
def switching():
    """Python changes threads much more often than usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def assert_same(found, alone):
    wrong = sorted({name for name, bits in found if bits != alone[name]})
    assert not wrong, f"{len(wrong)} jobs have other bits: {wrong}"


def compare_threads(alone, times):
    """Eight threads, each job done by `times` of them."""
    found = [[] for _ in range(8)]
    names = list(alone) * times
    random.Random(times).shuffle(names)
    shares = [names[i::8] for i in range(8)]
    threads = [
        threading.Thread(target=run_in_random_order, args=(i, shares[i], found[i]))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(mine) for mine in found] == [len(share) for share in shares]
    for mine in found:
        assert_same(mine, alone)


def test_eight_threads(alone, switching):
    compare_threads(alone, 2)


@pytest.mark.slow
def test_eight_threads_with_long_jobs(switching):
    alone = bits_of_a_new_process(list(JOBS))
    for times in (3, 8):
        compare_threads(alone, times)


def test_four_threads_on_one_network(switching):
    """The example of the issue: weights on a sphere in several dimensions at once."""
    network = Network("relu", weights="sphere")
    right = {d: of_spectrum(network, d, range(30)) for d in range(3, 8)}
    wrong = []

    def work(seed):
        dims = list(right) * 2
        random.Random(seed).shuffle(dims)
        for d in dims:
            # Another kernel of the same network each time, so that nothing is remembered.
            of_spectrum(network, d, range(seed + 2))
            if of_spectrum(network, d, range(30)) != right[d]:
                wrong.append(d)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def _in_child(names, pipe):
    pipe.send([(name, JOBS[name]()) for name in names])
    pipe.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_started_while_threads_work(method, alone, switching):
    """A forked child has neither the threads nor the precision and the locks that they hold."""
    stop = threading.Event()

    def work(seed):
        while not stop.is_set():
            run_in_random_order(seed, QUICK, [])

    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(4)]
    for thread in threads:
        thread.start()
    context = multiprocessing.get_context(method)
    try:
        for attempt in range(2 if method == "fork" else 1):
            receiver, sender = context.Pipe(duplex=False)
            child = context.Process(target=_in_child, args=(QUICK[attempt::2], sender))
            child.start()
            sender.close()
            assert receiver.poll(100), "the child does not answer"
            assert_same(receiver.recv(), alone)
            child.join(20)
            assert child.exitcode == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@given(
    bits=st.sampled_from([2, 20, 53, 300]),
    names=st.lists(st.sampled_from(QUICK), min_size=1, max_size=3),
)
@settings(max_examples=8, deadline=None)
def test_precision_of_others_has_no_effect_and_stays(alone, bits, names):
    with flint.ctx.workprec(bits), mpmath.workprec(bits):
        assert_same([(name, JOBS[name]()) for name in names], alone)
        assert flint.ctx.prec == bits and mpmath.mp.prec == bits


NETWORKS = [
    Network("relu", weights="sphere"),
    Network("relu", depth=2),
    Network("gelu", depth=2),
    Network("erf", bias_variance=0.2, trained="all"),
    Network("silu", depth=2),
]


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_degrees_in_any_order_and_company(data):
    """A ball is rounded to one double; by a series, bits may depend on the last degree alone."""
    network = data.draw(st.sampled_from(NETWORKS))
    dim = data.draw(st.sampled_from([2, 3, 6]))
    degrees = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=8))
    together = ntkspec.spectrum(network, dim, degrees)
    all_of_them = ntkspec.spectrum(network, dim, range(41))
    if "Taylor" not in together.route and "Taylor" not in all_of_them.route:
        assert np.array_equal(together.mantissas, all_of_them.mantissas[degrees])
        assert np.array_equal(together.exponents, all_of_them.exponents[degrees])
    shuffled = data.draw(st.permutations(degrees))
    again = ntkspec.spectrum(network, dim, shuffled)
    assert [again[k] for k in degrees] == [together[k] for k in degrees]
    near = np.ldexp(all_of_them.mantissas[degrees], all_of_them.exponents[degrees])
    off = np.abs(together.eigenvalues - near)
    bounds = together.relative_error + all_of_them.relative_error[degrees]
    assert np.all(off <= bounds * np.abs(near))


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_series_in_any_order_and_after_other_calls(data):
    network = Network("tanh", weight_variance=data.draw(st.sampled_from([0.5, 1.0, 3.0])))
    degrees = data.draw(st.lists(st.integers(0, 3000), min_size=1, max_size=6))
    first = of_spectrum(network, 3, sorted(set(degrees)))
    of_spectrum(network, 5, [data.draw(st.integers(0, 9000))])
    shuffled = data.draw(st.permutations(sorted(set(degrees))))
    again = ntkspec.spectrum(network, 3, shuffled)
    order = np.argsort(shuffled)
    assert hexed(again.mantissas[order], again.exponents[order]) == first[:2]


def test_the_lock_is_taken_again_by_its_thread_only():
    entered, leave, seen = threading.Event(), threading.Event(), []

    def hold():
        with precision.working_precision(200), precision.exclusive(), precision.extra_precision(5):
            seen.append(flint.ctx.prec)
            entered.set()
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(30)
    waiter = threading.Thread(target=lambda: seen.append(str(certify("relu", 3, [1]).balls[0])))
    waiter.start()
    waiter.join(0.3)
    assert waiter.is_alive() and len(seen) == 1
    leave.set()
    waiter.join(30)
    assert len(seen) == 2 and flint.ctx.prec == 53
