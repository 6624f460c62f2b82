"""Spectra on the torus against references that share no formula with the routes."""

from __future__ import annotations

import itertools
import math

import command_line
import numpy as np
import pytest
from draws import examples
from flint import arb, ctx
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ntkspec
from ntkspec import Network, NtkspecError, Sphere, Torus, spectrum
from ntkspec.activations import ACTIVATIONS
from ntkspec.predict import choose_features
from ntkspec.spectra.parity import Parity
from ntkspec.spectra.torus.grids import by_grid
from ntkspec.spectra.torus.powers import by_powers
from ntkspec.spectra.torus.reach import box, reached


def ball_coefficients(function, torus, points, wanted, bits=1400):
    """Means of K(t(z)) cos(2 pi m.z) over a grid in balls, K(t) a function of one.

    Nothing is transformed and no frequency is left out, so that the mean is that of a trapezoid
    rule, whose error falls geometrically.
    """
    before, ctx.prec = ctx.prec, bits
    try:
        cosines = [(2 * arb.pi() * arb(i) / points).cos() for i in range(points)]
        amplitudes = [arb(a) ** 2 for a in torus.amplitudes]
        total = sum(amplitudes, arb(0))
        sums = {m: arb(0) for m in wanted}
        for z in itertools.product(range(points), repeat=torus.dim):
            t = arb(0)
            for b, a in zip(torus.frequencies, amplitudes):
                t += a * cosines[sum(x * y for x, y in zip(b, z)) % points]
            value = function(t / total)
            for m in wanted:
                sums[m] += value * cosines[sum(x * y for x, y in zip(m, z)) % points]
        return {m: x / points**torus.dim for m, x in sums.items()}
    finally:
        ctx.prec = before


def erf_ntk(t):
    """t E[sigma' sigma'] of erf, weight variance 1 (Williams 1997): t (4/pi) / sqrt(9 - 4 t^2)."""
    return 4 * t / (arb.pi() * (9 - 4 * t * t).sqrt())


def tanh_like(t):
    """An analytic kernel with a closed form: the NNGP kernel of erf, (2/pi) asin(2t/3)."""
    return 2 * (2 * t / 3).asin() / arb.pi()


def relative(found, m, true):
    """Relative distance of an eigenvalue, in and beyond the range of doubles, and its bound."""
    at = found._place(m)
    value = arb(float(found.mantissas[at])) * arb(2) ** int(found.exponents[at])
    return abs(float((value / true - 1).mid())), float(found.relative_error[at])


@pytest.mark.parametrize("function, kernel", [(erf_ntk, "ntk"), (tanh_like, "nngp")])
@pytest.mark.parametrize(
    "torus, size",
    [
        (Torus([[1]]), 121),
        (Torus([[1], [2], [4]], amplitudes=[1.0, 0.5, 2.0]), 200),
        (Torus([[3], [5]], amplitudes=[1.0, 1e-3]), 64),
    ],
)
def test_one_dimension_to_all_digits(function, kernel, torus, size):
    found = spectrum("erf", torus, size, kernel=kernel)
    wanted = [(m,) for m in range(size + 1)]
    true = ball_coefficients(function, torus, 4096, wanted)
    seen = 0
    for m in wanted:
        if float(found.relative_error[found._place(m)]) == 0.0:
            assert abs(float(true[m].mid())) < 1e-300 and found[m] == 0.0
            continue
        error, bound = relative(found, m, true[m])
        assert error <= bound <= 2e-12, m
        seen += 1
    assert seen >= size // 2


def test_two_dimensions_to_all_digits():
    torus = Torus([[1, 0], [1, 2], [0, 3]], amplitudes=[1.0, 0.7, 1.3])
    found = spectrum("erf", torus, 6)
    wanted = [(0, 1), (1, 0), (2, 3), (3, -4), (6, 6), (6, -6), (0, 5)]
    true = ball_coefficients(erf_ntk, torus, 128, wanted, bits=200)
    for m in wanted:
        if found.relative_error[found._place(m)] == 0.0:
            assert abs(float(true[m].mid())) < 1e-30
        else:
            error, bound = relative(found, m, true[m])
            assert error <= bound + 1e-15 and bound < 1e-12, m


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3).flatmap(
        lambda dim: st.lists(
            st.tuples(st.tuples(*[st.integers(-3, 3)] * dim), st.floats(0.1, 3.0)),
            min_size=1, max_size=4,
        )
    ),
    st.booleans(), st.integers(1, 5),
)  # fmt: skip
def test_powers_are_those_of_enumerated_walks(features, mirrored, power):
    # Features with their mirror images along the last coordinate are walked on half of it.
    if mirrored:
        features = [*features, *[((*b[:-1], -b[-1]), a) for b, a in features]]
    torus = Torus([b for b, _ in features], [a for _, a in features])
    found = spectrum(ntkspec.zonal.polynomial(power, 0.5), torus, 4)
    steps, weights = torus.distinct
    there = {(0,) * torus.dim: 1.0}
    for _ in range(power):
        after = {m: 0.5 * p for m, p in there.items()}
        for m, p in there.items():
            for b, w in zip(steps.tolist(), weights.tolist(), strict=True):
                for sign in (1, -1):
                    moved = tuple(x + sign * y for x, y in zip(m, b, strict=True))
                    after[moved] = after.get(moved, 0.0) + 0.5 * w * p
        there = after
    true = np.array(
        [there.get(m, 0.0) for m in map(tuple, box(torus.dim, 4).reshape(-1, torus.dim).tolist())]
    )
    values = found.eigenvalues.ravel()
    assert np.array_equal(values > 0.0, true > 0.0)
    assert np.all(np.abs(values - true) <= (found.relative_error.ravel() + 1e-14) * true)


def test_exponential_of_a_sum_is_a_product():
    # exp(t) on the plain torus is the product of modified Bessel functions I_m(1/2).
    kernel = ntkspec.ZonalKernel(
        lambda t: t.exp(), arithmetic="flint", coefficients=lambda n: 1 / arb(math.factorial(n)),
        radius=math.inf, name="exp",
    )  # fmt: skip
    found = spectrum(kernel, Torus.plain(2), 40)
    bessel = [arb("0.5").bessel_i(arb(m)) for m in range(41)]
    for m in itertools.product((0, 1, 7, 40), repeat=2):
        error, bound = relative(found, m, bessel[m[0]] * bessel[m[1]])
        assert error <= bound < 1e-12


@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n not in ("softsign", "finer")])
def test_one_frequency_is_the_circle(name, kernel):
    network = Network(name, bias_variance=0.1)
    if (name, kernel) == ("step", "ntk"):
        with pytest.raises(NtkspecError, match="no neural tangent kernel"):
            spectrum(network, Torus([[1]]), 32, kernel=kernel)
        return
    circle = spectrum(network, Sphere(2), range(33), kernel=kernel)
    found = spectrum(network, Torus([[1]]), 32, kernel=kernel)
    known = ~np.isnan(found.eigenvalues)
    assert known[:4].all()
    distance = np.abs(found.eigenvalues - circle.eigenvalues)[known]
    allowed = (found.relative_error + circle.relative_error) * circle.eigenvalues
    assert np.all(distance <= allowed[known])
    assert np.all(circle.eigenvalues[~known] <= found.floor)


def test_kinks_keep_digits_in_one_dimension():
    # The circle's come from another route.
    network = Network("relu", bias_variance=0.1)
    circle = spectrum(network, Sphere(2), range(513))
    found = spectrum(network, Torus([[1]]), 512)
    error = np.abs(found.eigenvalues / circle.eigenvalues - 1.0)
    assert np.all(error <= found.relative_error + circle.relative_error)
    assert error[:65].max() < 1e-12 and found.relative_error.max() < 1e-9


def test_kinks_in_two_dimensions_against_a_finer_grid():
    # The kernel of ReLU written out, on a grid of another size, whose own aliases are smaller.
    torus, points = Torus([[1, 0], [0, 1], [1, 1]]), 3 * 1024
    found = spectrum("relu", torus, 12)
    z = np.arange(points) / points
    x, y = np.meshgrid(2 * math.pi * z, 2 * math.pi * z, indexing="ij")
    minus = (2.0 / 3.0) * (np.sin(x / 2) ** 2 + np.sin(y / 2) ** 2 + np.sin((x + y) / 2) ** 2)
    half = np.sqrt(minus / 2)
    angle = 2 * np.arcsin(np.minimum(half, 1.0))
    true = np.fft.rfft2((1 - minus) * (math.pi - angle) / (2 * math.pi)).real / points**2
    for m in itertools.product(range(13), repeat=2):
        value, bound = found[m], found.relative_error[found._place(m)]
        if value == 0.0 or math.isnan(value):
            continue
        assert abs(value / true[m] - 1.0) <= bound, m
    assert np.nanmax(found.relative_error) < 1e-2


def walked(steps, powers, size, least=12, room=24):
    """Frequencies of the powers, by steps on a grid until no more come; half a box of them."""
    dim = len(steps[0])
    there = np.zeros((2 * room + 1,) * dim, np.bool_)
    there[(room,) * dim] = True
    seen, before = np.zeros_like(there), np.zeros_like(there)
    for n in itertools.count():
        if not powers.vanishes(n):
            seen |= there
        after = np.zeros_like(there)
        for b in steps:
            for sign in (1, -1):
                moved = np.roll(there, [sign * x for x in b], range(dim))
                for axis, x in enumerate(b):  # what left the grid
                    edge = [slice(None)] * dim
                    edge[axis] = slice(0, x * sign) if x * sign > 0 else slice(x * sign, None)
                    if x:
                        moved[tuple(edge)] = False
                after |= moved
        if n > least and np.array_equal(after, before):  # one step before
            break
        before, there = there, after
    inner = slice(room - size, room + size + 1)
    return seen[(slice(room, room + size + 1), *[inner] * (dim - 1))]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 2).flatmap(
        lambda dim: st.lists(st.tuples(*[st.integers(-4, 4)] * dim), min_size=1, max_size=3)
    ),
    st.sampled_from([Parity(), Parity(0), Parity(1), Parity(0, (1,)), Parity(1, (0, 2)),
                     Parity(0, (1, 3), 4), Parity(1, (), 5), Parity(None, (), 4)]),
)  # fmt: skip
@example([(0, 4), (3, 2), (4, -3)], Parity(0))  # 44 steps to (0, 4)
def test_exact_zeros_are_those_of_walks(steps, powers):
    assert powers.vanishing(9).tolist() == [powers.vanishes(n) for n in range(9)]
    torus = Torus(steps)
    found = reached(torus, powers, box(torus.dim, 4))
    assert np.array_equal(found, walked(torus.distinct[0].tolist(), powers, 4))


def test_zeros_of_finite_classes_by_hand():
    # ReLU without bias has t and even powers: 3 is 1 + 2 or 3 itself, 9 none of both.
    found = spectrum("relu", Torus([[2], [6]]), 12)
    assert found[2] > 0 and found[6] > 0 and found[4] > 0 and found[8] > 0
    assert found[10] == 0.0 and found[1] == 0.0 and found[3] == 0.0


@examples(5, 12)
@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=4),
    st.data(),
    st.sampled_from(["erf", "gelu", "sin", "tanh"]),
    st.floats(0.0, 0.5) | st.integers(-16, -2).map(lambda e: 10.0**e),
)
def test_routes_agree_within_their_bounds(frequencies, data, name, bias):
    amplitudes = data.draw(
        st.lists(
            st.floats(0.01, 10.0), min_size=len(frequencies), max_size=len(frequencies)
        )
    )  # fmt: skip
    network, torus = Network(name, bias_variance=bias), Torus(frequencies, amplitudes)
    found = [route(network, torus, 16, "ntk") for route in (by_powers, by_grid)]
    first, second = (np.ldexp(m, e) for m, e, _ in found)
    bounds = [error for _, _, error in found]
    known = (bounds[0] < 0.5) & (bounds[1] < 0.5)
    distance = np.abs(first - second)[known]
    assert np.all(
        distance <= bounds[0][known] * first[known] + bounds[1][known] * np.abs(second[known])
    )


def test_wide_features_do_not_wrap():
    # A box that ends inside the spectrum: sums over the whole of it are below K(1), by an FFT.
    torus = Torus.random_features(8, 6.0, dim=2, seed=3)
    found = spectrum("gelu", torus, 12)
    by_fft = by_grid(Network("gelu"), torus, 12, "ntk")
    value = np.ldexp(by_fft[0], by_fft[1])
    known = by_fft[2] < 0.5
    assert np.all(
        np.abs(found.eigenvalues - value)[known]
        <= (by_fft[2] * np.abs(value) + found.relative_error * found.eigenvalues)[known]
    )
    assert found.relative_error.max() < 1e-11


def test_what_is_not_known_is_marked_and_bounded():
    network = Network("elu")
    found = spectrum(network, Torus([[1]]), 64, kernel="nngp", tolerance=1e-8)
    circle = spectrum(network, Sphere(2), range(65), kernel="nngp")
    unknown = np.isnan(found.eigenvalues)
    assert unknown.any() and np.all(circle.eigenvalues[unknown] <= found.floor)
    assert np.all(found.relative_error[~unknown] <= 1e-8)


def test_common_divisor_and_repeated_features():
    plain = spectrum("relu", Torus([1, 2]), 8)
    wide = spectrum("relu", Torus([3, -3, 6, 6], [1.0, 0.0, 1.0, 0.0]), 24)
    assert np.array_equal(wide.eigenvalues[::3], plain.eigenvalues)
    assert not wide.eigenvalues[1::3].any()
    assert Torus([3, -3, 6, 0]).collapsed == 2


def test_random_features_are_seeded():
    one, two = (Torus.random_features(16, 4.0, seed=s) for s in (1, 1))
    assert one == two and one != Torus.random_features(16, 4.0, seed=2)
    assert Torus.random_features(16, 0.1, seed=1).collapsed == 16
    assert Torus.siren(50, 30.0, dim=1).distinct[0].max() <= 30 / math.pi + 0.5


def test_features_are_unit_vectors_with_the_cosine():
    torus = Torus([[1, 2], [0, 3]], amplitudes=[2.0, -1.0])
    x = np.array([[0.1, 0.7], [0.45, 0.2]])
    both = torus.features(x)
    assert np.allclose(np.sum(both**2, axis=1), 1.0)
    assert np.allclose(both[0] @ both[1], torus.cosine(x[:1] - x[1:]))


def test_choices_are_ranked_by_the_smallest_eigenvalue():
    network = Network("gelu", bias_variance=0.1)
    found = choose_features(network, "sigma", [0.5, 3.0, 9.0], band=(1, 6), count=32, dim=1, seed=1)
    each = [
        spectrum(network, Torus.random_features(32, s, 1, seed=1), 6).eigenvalues[1:].min()
        for s in (0.5, 3.0, 9.0)
    ]
    assert (
        np.array_equal(found.eigenvalues, each) and found.best == [0.5, 3.0, 9.0][np.argmax(each)]
    )
    assert found[found.best] == found.times.min()
    # Every second frequency is missing without a bias and with one odd frequency.
    none = choose_features("erf", "bands", [1], band=(1, 6))
    with pytest.raises(NtkspecError, match="bias"):
        getattr(none, "best")  # noqa: B009


@pytest.mark.parametrize(
    "values,note",
    [
        ([1.0, 3.0, 9.0], None),
        ([3.0, 1.0], "largest"),
        ([9.0, 3.0], "smallest"),
        ([3.0], None),
    ],
)
def test_choices_say_where_a_wider_list_may_be_better(values, note):
    network = Network("gelu", bias_variance=0.1)
    found = choose_features(network, "sigma", values, band=(1, 6), count=32, dim=1, seed=1)
    assert found.best == 3.0
    for text in (repr(found), found._repr_html_()):
        assert ("may be better" in text) == (note is not None)
        assert note is None or f"The best sigma, 3, is the {note} of these" in text


def test_choices_say_what_collapsed_features_mean():
    found = choose_features("gelu", "sigma", [0.5, 9.0], band=(1, 2), count=32, dim=1, seed=1)
    left = np.unique(np.abs(found.features[0].frequencies))
    assert found.collapsed[0] == 32 - np.count_nonzero(left)
    assert f"{found.collapsed[0]} of 32 with sigma = 0.5" in repr(found)
    bands = choose_features("gelu", "bands", [1, 2], band=(1, 1))
    assert "collapsed:" not in repr(bands)
    assert bands.best == 1 and "may be better" not in repr(bands)  # there is none below 1


@pytest.mark.parametrize("named", [True, False])
def test_features_of_ones_own_are_compared(named):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    network = Network("gelu", bias_variance=0.1)
    mine = {
        "octaves": [1, 2, 4],
        "pairs": np.array([[1], [3]]),
        "weighted": Torus([1, 5], [1, 0.3]),
    }
    names = list(mine) if named else [0, 1, 2]
    given = mine if named else list(mine.values())
    found = choose_features(network, "features", given, band=(1, 5))
    tori = [one if isinstance(one, Torus) else Torus(one) for one in mine.values()]
    each = [spectrum(network, torus, 5).eigenvalues[1:].min() for torus in tori]
    assert np.array_equal(found.eigenvalues, each) and found.features == tuple(tori)
    assert found.best == names[int(np.argmax(each))] and list(found) == names
    assert found[found.best] == found.times.min() and found.best in found
    assert found.to_pandas()["features"].tolist() == names
    figure, ax = pyplot.subplots()
    found.plot(ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == list(map(str, names))
    pyplot.close(figure)
    assert choose_features("erf", "bands", [2], band=(1, 2)).features == (
        Torus.positional_encoding(2),
    )


def test_pictures():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, (left, right) = pyplot.subplots(1, 2)
    spectrum("erf", Torus([[1], [2]]), 8).plot(left)
    found = spectrum("erf", Torus([[1, 0], [1, 2]]), 4)
    found.plot(right)
    picture = right.images[0].get_array()  # the row is m_2, the column m_1
    assert math.isclose(10.0 ** picture[4 + 2, 4 - 1], found[-1, 2])
    assert math.isclose(10.0 ** picture[4 - 2, 4 + 3], found[3, -2])
    pyplot.close(figure)
    with pytest.raises(NtkspecError, match="three dimensions"):
        spectrum("erf", Torus.plain(3), 1).plot()


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Torus([[0.5]]), "whole numbers"),
        (lambda: Torus([[math.nan]]), "whole numbers"),
        (lambda: Torus([]), "shape"),
        (lambda: Torus([[1, 2, 3, 4]]), "shape"),
        (lambda: Torus(np.ones((2, 2, 2))), "shape"),
        (lambda: Torus("abc"), "frequencies"),
        (lambda: Torus([[1], [2]], amplitudes=[1.0]), "amplitudes of shape"),
        (lambda: Torus([[1]], amplitudes=[math.nan]), "finite"),
        (lambda: Torus([[1], [2]], amplitudes=[0.0, 0.0]), "all 0"),
        (lambda: Torus([[10**7]]), "up to 1000000"),
        (lambda: Torus.random_features(0, 1.0), "count"),
        (lambda: Torus.random_features(4, -1.0), "sigma"),
        (lambda: Torus.random_features(4, 1.0, dim=4), "dim"),
        (lambda: Torus.positional_encoding(0), "bands"),
        (lambda: Torus([[1]]).cosine([[1.0, 2.0]]), "shape"),
        (lambda: spectrum("relu", Torus([[1]]), "0:5"), "degrees = .0:5. .* frequency vectors"),
        (lambda: spectrum("relu", Torus([[1]]), range(3)), r"degrees = range\(0, 3\) is not"),
        (lambda: spectrum("relu", Torus([[1]]), -1), "size"),
        (lambda: spectrum("relu", Torus.plain(3), 400), "lower the size"),
        (lambda: spectrum("relu", Torus.plain(2), 1300), "grid points|lower the size"),
        (lambda: spectrum("relu", Torus([[10**6]]), 2, size=3), "twice"),
        (lambda: spectrum("relu", Torus([[10**6], [1]]), 2), "grid points"),
        (lambda: spectrum("relu", 3, size=3), "torus"),
        (lambda: spectrum("relu", Torus([[1]]), normalization="surface"), "normalization"),
        (lambda: spectrum("relu", [Torus([[1]])]), "with others"),
        (lambda: spectrum(Network("relu", weights="sphere"), Torus([[1]])), "weights"),
        (lambda: spectrum(ntkspec.ZonalKernel(abs), Torus([[1]]), 3), "coefficients"),
        (lambda: spectrum("erf", Torus([[1]]), 3)[4], "not in this"),
        (lambda: ntkspec.law("relu", Torus([[1]])), "frequency"),
        (lambda: ntkspec.certify("relu", Torus([[1]]), 3), "frequency"),
        (lambda: Torus([[1]]).multiplicity([1]), "frequency vectors"),
        (lambda: ntkspec.domains.named_domain("torus", 2), "domain"),
        (lambda: choose_features("erf", "colour", [1], band=(1, 2)), "parameter"),
        (lambda: choose_features("erf", "bands", [], band=(1, 2)), "values"),
        (lambda: choose_features("erf", "features", [], band=(1, 2)), "give at least one"),
        (lambda: choose_features("erf", "features", [1.5], band=(1, 2)), "frequencies"),
        (lambda: choose_features("erf", "features", [[1], [[1, 2]]], band=(1, 2)), "one dimension"),
        (lambda: choose_features("erf", "features", [[1]], band=(1, 2), dim=1), "leave it out"),
        (lambda: choose_features("erf", "features", {1: [1]}, band=(1, 2)), "give texts"),
        (lambda: choose_features("erf", "bands", [1], band=(3, 2)), "band"),
        (lambda: choose_features("erf", "bands", [1], band=(0.2, 0.4)), "band"),
        (lambda: choose_features("erf", "bands", [1], band=(1, 2), count=3), "other parameters"),
        (lambda: choose_features("erf", "sigma", [1], band=(1, 2)), "other parameters"),
    ],
)  # fmt: skip
def test_refusals_are_one_sentence(make, words):
    with pytest.raises(NtkspecError, match=words) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_the_command_line_prints_the_same():
    text = command_line.ntkspec("eig", "erf", "--domain", "torus", "--frequencies", "1,2,4",
                           "--size", "3", "--format", "csv").stdout  # fmt: skip
    rows = [line.split(",") for line in text.splitlines() if not line.startswith(("#", "freq"))]
    found = spectrum("erf", Torus([1, 2, 4]), 3)
    assert [float(row[1]) for row in rows] == found.eigenvalues.tolist()


@pytest.mark.parametrize("call", [ntkspec.law, ntkspec.fit])
def test_what_goes_by_degree_refuses_the_spectrum(call):
    with pytest.raises(NtkspecError):
        call(spectrum("erf", Torus([[1]]), 3))
