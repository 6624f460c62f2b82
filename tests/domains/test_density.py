"""Spectra under densities: independent references, closed cases, bounds, and what is refused."""

from __future__ import annotations

import copy
import csv
import json
import math
import pickle
from itertools import groupby

import command_line
import mpmath
import numpy as np
import pytest
from draws import examples
from hypothesis import given
from hypothesis import strategies as st
from paths import DATA

import ntkspec
from ntkspec import (
    Cap,
    DensityFunction,
    Network,
    NtkspecError,
    Pieces,
    Sphere,
    VonMises,
    ZonalKernel,
    spectrum,
)
from ntkspec.domains import DensitySphere, named_domain
from ntkspec.spectra.density import solver
from ntkspec.spectra.density.compute import density_spectrum

RELU = Network("relu", bias_variance=0.1)
#: The kernel of tests/data/make_density_spectra.py.
ERF = Network("erf", bias_variance=0.1)


def references():
    with (DATA / "density_spectra.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    for (dim, density, azimuthal), group in groupby(rows, key=lambda row: tuple(row[:3])):
        values = [float(row[4]) for row in group]
        yield pytest.param(int(dim), density, int(azimuthal), values, id=f"{density}, {azimuthal}")


@pytest.mark.parametrize("dim, density, azimuthal, values", list(references()))
def test_eigenvalues_are_those_of_nystrom_in_balls(dim, density, azimuthal, values):
    sphere = Sphere(dim, density=eval(density, vars(ntkspec)))
    s = spectrum(ERF, sphere, max_degree=70)
    at = slice(None) if azimuthal < 0 else s.azimuthal == azimuthal
    found, bound = s.eigenvalues[at][: len(values)], s.relative_error[at][: len(values)]
    assert found.size == len(values)
    off = np.abs(found / values - 1.0)
    assert np.all(off <= bound)
    vanishes = isinstance(sphere.density, Cap)
    assert off.max() <= (1e-7 if vanishes else 1e-12)


@pytest.mark.parametrize("dim", [2, 3, 10])
@pytest.mark.parametrize(
    "density", [VonMises(0.0), Pieces([2, 2, 2]), Cap(1.0, outside=1.0), lambda x: 7.0 + 0.0 * x]
)
def test_a_uniform_density_has_the_uniform_spectrum(dim, density):
    s = spectrum(RELU, Sphere(dim, density=density), count=30)
    uniform = spectrum(RELU, dim, range(31))
    if dim == 2:
        expected = np.delete(np.repeat(uniform.eigenvalues, 2), 0)
        assert np.all(s.multiplicities == 1.0)
    else:  # degree k is in the blocks 0 to k
        expected = np.repeat(uniform.eigenvalues, np.arange(31) + 1)
    expected = np.sort(expected)[:-31:-1]
    np.testing.assert_array_less(np.abs(s.eigenvalues / expected - 1), s.relative_error)
    assert s.relative_error.max() < 1e-12


def test_multiplicities_of_a_degree_add_up():
    """Blocks j = 0 to k of the uniform sphere have N(d, k) functions of degree k."""
    for dim in (3, 4, 7):
        s = spectrum("erf", Sphere(dim, density=VonMises(0.0)), count=8)
        first = np.isclose(s.eigenvalues, s.eigenvalues[1], rtol=1e-10)
        assert s.multiplicities[first].sum() == dim


def few(network, sphere):
    """Twenty eigenvalues of few degrees, with errors of truncation of some percent."""
    return spectrum(network, sphere, count=20, max_degree=60, tolerance=0.5)


def test_turning_a_density_changes_no_eigenvalue():
    one = few(RELU, Sphere(2, density=Pieces([1, 2, 4])))
    edges = np.linspace(0.0, 2.0 * math.pi, 4) - 0.7
    turned = few(RELU, Sphere(2, density=Pieces([1, 2, 4], edges)))
    scaled = few(RELU, Sphere(2, density=Pieces([3, 6, 12])))
    mirrored = few(RELU, Sphere(2, density=Pieces([4, 2, 1])))
    for other in (turned, scaled, mirrored):
        np.testing.assert_allclose(other.eigenvalues, one.eigenvalues, rtol=1e-12)
        np.testing.assert_allclose(other.truncation, one.truncation, rtol=0.1)
    angles = np.linspace(0.0, 6.0, 50)
    moved = turned.eigenfunction(5, angles - 0.7) / one.eigenfunction(5, angles)
    np.testing.assert_allclose(np.abs(moved), 1.0, rtol=1e-8)


@pytest.mark.parametrize("dim", [2, 3, 6])
def test_a_density_may_be_given_in_several_ways(dim):
    """Functions of the angle and of t, with and without symmetry, and pieces as a cap."""

    def bump(x):
        return np.exp(3.0 * (np.cos(x) if dim == 2 else x))

    edges = [-1.2, 1.2, 2.0 * math.pi - 1.2] if dim == 2 else [-1.0, math.cos(1.2), 1.0]
    weights = [3.0, 1.0] if dim == 2 else [1.0, 3.0]

    def step(x):
        return np.where(np.minimum(x, 2 * math.pi - x) < 1.2 if dim == 2 else x > edges[1], 3, 1)

    breaks = [1.2, 2.0 * math.pi - 1.2] if dim == 2 else [edges[1]]
    for several in (
        [VonMises(3.0), bump],
        [Cap(1.2, outside=1 / 3), Pieces(weights, edges), DensityFunction(step, breaks)],
    ):
        found = [few(RELU, Sphere(dim, density=one)) for one in several]
        for other in found[1:]:
            np.testing.assert_allclose(other.eigenvalues, found[0].eigenvalues, rtol=2e-12)


@pytest.mark.parametrize("dim, density", [(2, Pieces([1, 3])), (3, VonMises(1.0)), (4, Cap(2.0))])
def test_eigenvalues_sum_to_the_trace(dim, density):
    s = spectrum("erf", Sphere(dim, density=density), count=40)
    total = float(Network("erf").ntk(1.0))
    np.testing.assert_allclose(s.multiplicities @ s.eigenvalues, total, rtol=2e-4)
    assert s.multiplicities @ s.eigenvalues <= total * (1 + 1e-12)


def bump(width):
    return lambda angle: 1.0 + 5.0 / width * np.exp(-(((angle - 1.0) / width) ** 2))


@pytest.mark.parametrize("width", [0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4])
def test_narrow_features_are_seen(width):
    """Against Fourier coefficients of the density on 2^17 points; what is narrow is refused."""
    sphere = Sphere(2, density=bump(width))
    if width < 0.02:
        with pytest.raises(NtkspecError, match="is not smooth"):
            spectrum("erf", sphere, count=3)
        return
    size, last = 2**17, 60
    angles = 2 * np.pi * np.arange(size) / size
    p = np.fft.fft(bump(width)(angles)) / size
    k = np.arange(-last, last + 1)
    t = np.cos(angles[::32])
    of_erf = np.fft.fft(t * 4 / np.pi / np.sqrt(9 - 4 * t * t)).real / t.size
    roots = np.sqrt(np.maximum(of_erf[abs(k)], 0.0))
    matrix = roots[:, np.newaxis] * p[k[:, np.newaxis] - k] / p[0] * roots
    true = np.linalg.eigvalsh(matrix)[:-4:-1]
    np.testing.assert_allclose(spectrum("erf", sphere, count=3).eigenvalues, true, rtol=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_feature_between_the_points_that_see_it_is_refused(dim):
    """No division by 0 where the density vanishes at all points at which it is tried."""
    narrow = DensityFunction(lambda x: np.where(abs(x - 0.7) < 2e-3, 1.0, 0.0) * (x > 0.69))
    with pytest.raises(NtkspecError, match=r"is not smooth|too narrow|0 everywhere|too little"):
        spectrum("erf", Sphere(dim, density=narrow), count=3)
    narrow = DensityFunction(lambda x: np.exp(-1e6 * (x - 0.7) ** 2))
    with pytest.raises(NtkspecError, match=r"is not smooth|too narrow|0 everywhere|too little"):
        spectrum("erf", Sphere(dim, density=narrow), count=3)


densities = st.one_of(
    st.builds(VonMises, st.floats(0.0, 6.0)),
    st.builds(Cap, st.floats(0.3, 3.0), st.floats(0.0, 3.0)),
    st.builds(
        Pieces,
        st.lists(st.floats(0.0, 4.0), min_size=1, max_size=4).filter(lambda w: max(w) > 0.1),
    ),
)


@examples(8, 25)
@given(densities, st.sampled_from([2, 3, 5]), st.sampled_from(["relu", RELU, "tanh", "erf"]))
def test_bounds_of_few_degrees_hold_against_more(density, dim, network):
    """Eigenvalues grow with the degrees, by no more than the bound says."""
    sphere = Sphere(dim, density=density)
    try:
        few = spectrum(network, sphere, max_degree=14, tolerance=0.5)
        more = spectrum(network, sphere, max_degree=60, count=len(few), tolerance=0.5)
    except NtkspecError:  # too few degrees for a narrow density
        return
    grown = more.eigenvalues / few.eigenvalues - 1.0
    rounding = few.relative_error - few.truncation + more.relative_error - more.truncation
    assert np.all(grown >= -rounding)
    assert np.all(grown <= few.relative_error + rounding)
    assert np.all(np.diff(few.log_eigenvalues) <= 0.0)


def test_eigenvalues_of_a_kink_are_those_of_a_matrix():
    """The matrix of the kernel on 600 points, whose error is of the order of their distance^2."""
    s = spectrum(RELU, Sphere(2, density=Pieces([1, 2, 4])), count=12)
    n = 600
    angles = 2.0 * math.pi * (np.arange(n) + 0.5) / n
    weights = np.sqrt(s.density(angles) / n)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    matrix = RELU.ntk(np.clip(points @ points.T, -1.0, 1.0)) * np.outer(weights, weights)
    found = np.linalg.eigvalsh(matrix)[::-1][:12]
    np.testing.assert_allclose(s.eigenvalues, found, rtol=1.2e-3)


@pytest.mark.parametrize(
    "dim, density", [(2, Pieces([1, 2, 4])), (2, VonMises(2.0)), (3, VonMises(1.0)), (5, Cap(2.0))]
)
def test_eigenfunctions_solve_the_equation(dim, density):
    """Values at random points against the integral over points drawn from the uniform sphere.

    On the circle by the trapezoid rule, elsewhere by a product rule of Gauss.
    """
    s = spectrum(ERF, Sphere(dim, density=density), count=7)
    rng = np.random.default_rng(3)
    at = rng.standard_normal((6, dim))
    at /= np.linalg.norm(at, axis=1, keepdims=True)
    if dim == 2:
        angles = np.concatenate(
            [2.0 * math.pi / 3.0 * (k + 0.5 * (1.0 + np.polynomial.legendre.leggauss(60)[0]))
             for k in range(3)]
        )  # fmt: skip
        weights = np.tile(np.polynomial.legendre.leggauss(60)[1] / 6.0, 3)
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    else:
        points, weights = rng.standard_normal((400_000 if dim > 3 else 0, dim)), None
        if dim == 3:
            t, w = np.polynomial.legendre.leggauss(60)
            phi = 2.0 * math.pi * np.arange(60) / 60
            sine = np.sqrt(1.0 - t**2)
            points = np.stack(
                [np.repeat(t, 60), np.outer(sine, np.cos(phi)).ravel(),
                 np.outer(sine, np.sin(phi)).ravel()], axis=1,
            )  # fmt: skip
            weights = np.repeat(w / 120.0, 60)
        else:
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            weights = np.full(len(points), 1.0 / len(points))
    values = s.eigenfunctions(points) * (weights * s.density(points))
    left = values @ ERF.ntk(np.clip(at @ points.T, -1.0, 1.0)).T
    right = s.eigenvalues[:, np.newaxis] * s.eigenfunctions(at)
    gram = values @ s.eigenfunctions(points).T
    close = 1e-11 if dim <= 3 else 0.02
    np.testing.assert_allclose(gram, np.eye(7), atol=close)
    np.testing.assert_allclose(left, right, atol=close * s.eigenvalues[0])
    np.testing.assert_allclose(s.eigenfunction(3, at), s.eigenfunctions(at)[3], rtol=1e-13)


@pytest.mark.slow
def test_weyls_law_gives_the_zeros_and_the_ranks():
    """Basri et al. 2020: the local frequency goes as the root of the density."""
    sphere = Sphere(2, density=Pieces([1, 2, 4]))
    s = spectrum(RELU, sphere, count=120)
    third = 2.0 * math.pi / 3.0
    for rank in (60, 90, 119):
        counted, expected = [], []
        for k in range(3):
            angles = np.linspace(k * third, (k + 1) * third, 4001)
            values = s.eigenfunction(rank, angles)
            counted.append(np.count_nonzero(np.diff(np.sign(values))))
            # An eigenfunction of frequency xi has xi / pi zeros in a unit of the angle.
            frequency = s.local_frequency(rank, [(k + 0.5) * third])[0]
            expected.append(frequency * third / math.pi)
        assert np.all(np.abs(np.subtract(counted, expected)) <= 1.6)
        assert counted[2] / counted[0] == pytest.approx(2.0, rel=0.15)  # root of 4
        # As many eigenvalues are larger as there are frequencies, of both signs, below.
        assert rank == pytest.approx(sum(expected), abs=3.0)


def test_the_local_frequency_of_a_uniform_density_is_the_degree():
    """From degree 5 on, as lambda_4 exceeds lambda_3."""
    s = spectrum(RELU, Sphere(2, density=Pieces([1.0])), count=20)
    found = [s.local_frequency(rank, 1.0)[0] for rank in range(9, 20)]
    np.testing.assert_allclose(found, (np.arange(9, 20) + 1) // 2, atol=1e-9)


def test_logarithmic_scales_agree_with_lapack_and_go_beyond():
    """One-sided Jacobi in logarithms against dgejsv, and the product of all against det(R D)^2."""
    rng = np.random.default_rng(5)
    triangle = np.linalg.qr(np.eye(30) + 0.2 * rng.standard_normal((30, 30)), mode="r")
    mantissas = 1.0 + rng.random(30)
    exponents = -rng.permutation(np.arange(30) * 10)
    usual = solver.solved(triangle, mantissas, exponents)
    roots, powers = np.sqrt(np.ldexp(mantissas, exponents & 1)), exponents // 2
    (found, scale), left = solver._by_logarithms(triangle, roots, powers)
    np.testing.assert_allclose(
        np.ldexp(found, scale), np.ldexp(usual.mantissas, usual.exponents), rtol=1e-13
    )
    np.testing.assert_allclose(np.abs(left), np.abs(usual.left), atol=1e-12)
    far = solver.solved(triangle, mantissas, exponents * 40)
    total = solver.log2(far.mantissas, far.exponents).sum()
    own = solver.log2(mantissas, exponents * 40).sum()
    expected = 2.0 * np.log2(np.abs(np.diag(triangle))).sum() + own
    assert total == pytest.approx(expected, rel=1e-14)
    assert far.exponents.min() < -10_000


def test_eigenvalues_of_scales_beyond_doubles_are_those_of_mpmath():
    """D R' R D with roots from 1 to 2^-1500, with 1200 digits."""
    rng = np.random.default_rng(11)
    size = 9
    triangle = np.linalg.qr(np.eye(size) + 0.3 * rng.standard_normal((size, size)), mode="r")
    mantissas, exponents = 1.0 + rng.random(size), -rng.permutation(np.arange(size) * 375)
    found = solver.solved(triangle, mantissas, exponents)
    with mpmath.workdps(1200):
        factor = mpmath.matrix(triangle.tolist())
        for k in range(size):
            root = mpmath.sqrt(mpmath.ldexp(mantissas[k], int(exponents[k])))
            for i in range(size):
                factor[i, k] *= root
        expected = sorted(mpmath.eigsy(factor.T * factor, eigvals_only=True), reverse=True)
        off = [
            float(mpmath.ldexp(m, int(e)) / x - 1)
            for m, e, x in zip(found.mantissas, found.exponents, expected)
        ]
    assert np.abs(off).max() < 1e-14


def test_eigenvalues_beyond_doubles():
    """Those of sin on the circle; more degrees change none of them."""
    sphere = Sphere(2, density=VonMises(0.5))
    s, more = (spectrum("sin", sphere, max_degree=n) for n in (250, 280))
    assert s.log_eigenvalues[-1] < -1000.0 and s.relative_error[-1] < 1e-2
    known = s.relative_error < 1e-11
    assert np.count_nonzero(known) > 200 and s.log_eigenvalues[known][-1] < -900.0
    np.testing.assert_allclose(
        s.log_eigenvalues[known], more.log_eigenvalues[: len(s)][known], rtol=0, atol=1e-12
    )


def test_densities_that_vanish_lose_only_the_smallest():
    """A cap without inputs: kappa grows, and what it does not bound is not given."""
    s = spectrum("tanh", Sphere(3, density=Cap(1.5)), max_degree=60)
    rounding = s.relative_error - s.truncation
    assert rounding[:50].max() < 1e-12
    with pytest.raises(NtkspecError, match=r"from the rounding; ask for a count of at most \d+"):
        spectrum("tanh", Sphere(2, density=Cap(0.5)), count=100)


def test_densities_are_values():
    one = Sphere(2, density=VonMises(2))
    assert one == Sphere(2, density=VonMises(2.0)) != Sphere(2) and len({one, one, Sphere(2)}) == 2
    assert repr(one) == "Sphere(dim=2, density=VonMises(concentration=2.0))"
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    assert named_domain("sphere", 2, density=VonMises(2)) == one
    assert isinstance(one, DensitySphere) and not isinstance(one, Sphere)
    s = spectrum("erf", one, count=3)
    assert s == pickle.loads(pickle.dumps(s)) and s == spectrum("erf", one, count=3)
    assert "VonMises(concentration=2.0)" in repr(s) and len(s) == 3 and s[1] == s.eigenvalues[1]
    assert s.to_pandas().shape == (3, 7) and s.to_xarray().sizes == {"rank": 3}
    assert ntkspec.eigenvalues("erf", one, count=3, log=True).tolist() == s.log_eigenvalues.tolist()


def test_spheres_without_a_density_are_as_they_were():
    sphere = Sphere(3)
    assert hash(sphere) == hash((3,)) and repr(sphere) == "Sphere(dim=3)"
    assert sphere.__dict__ == {"dim": 3} and Sphere(3, density=None) == sphere
    assert pickle.dumps(sphere, 4) == (
        b"\x80\x04\x954\x00\x00\x00\x00\x00\x00\x00\x8c\x16ntkspec.domains.sphere\x94\x8c\x06Sphere"
        b"\x94\x93\x94)\x81\x94}\x94\x8c\x03dim\x94K\x03sb."
    )


def test_pictures():
    plt = pytest.importorskip("matplotlib.pyplot")
    s = spectrum(RELU, Sphere(2, density=Pieces([1, 4])), count=20)
    figure, axes = plt.subplots(3)
    s.plot(axes[0])
    s.plot_eigenfunction(19, axes[1])
    s.plot_local_frequency(19, axes[2])
    assert [len(ax.lines) for ax in axes] == [1, 1, 1]
    y = axes[1].lines[0].get_ydata()
    np.testing.assert_allclose(y[0], y[-1])
    plt.close(figure)


def kinked(angle):
    return np.abs(np.sin(angle))


SPHERE = Sphere(2, density=VonMises(1.0))
NEGATIVE = ZonalKernel(lambda t: t.exp() - 2 * t, arithmetic="flint")


@pytest.mark.parametrize(
    "text, density",
    [
        ("von_mises(2)", VonMises(2.0)), ("cap(1.0, outside=0.1)", Cap(1.0, 0.1)),
        ("cap(1.5)", Cap(1.5)), ("pieces(1, 2, 4)", Pieces([1, 2, 4])),
        ("pieces(1, 2, edges=[0, 1, 6.283185307179586])", Pieces([1, 2], [0, 1, 2 * math.pi])),
    ],
)  # fmt: skip
def test_the_command_line_takes_densities_by_name(text, density):
    sphere = Sphere(2, density=density)
    assert Sphere(2, density=text) == sphere
    call = ["eig", "erf", "--dim", 2, "--density", text, "--count", 3, "--format", "csv"]
    head, *rows = (row.split(",") for row in command_line.ntkspec(*call).stdout.splitlines())
    found = spectrum("erf", sphere, count=3)
    assert head == list(found.columns())
    assert [float(row[head.index("eigenvalue")]) for row in rows] == found.eigenvalues.tolist()


def test_the_command_line_says_what_a_density_was_and_how_it_was_computed():
    call = ["eig", "erf", "--dim", 3, "--density", "cap(2)", "--count", 2, "--explain"]
    text = command_line.ntkspec(*call).stdout
    assert "# density: singular values of each azimuthal degree" in text
    assert "density = Cap(angle=2.0, outside=0.0)" in text and "probability measure" in text
    told = json.loads(command_line.ntkspec(*call, "--format", "json").stdout)
    assert told["density"] == "cap(2)" and told["domain"] == "sphere with a density"
    assert len(told["eigenvalue"]) == 2 and told["other_routes"] == []


@pytest.mark.parametrize(
    "options, words",
    [
        (["--domain", "cube", "--density", "cap(1)"], "--density is for --domain sphere, not for"),
        (["--density", "cap"], "cap takes the angle and the density outside"),
        (["--density", "bump(1)"], "write 'von_mises(2)', 'pieces(1, 2, 4)'"),
        (["--density", "cap(1)", "--degrees", "0:4"], "belong to no degree"),
        (["--density", "cap(1)", "--size", "4"], "give count"),
        (["--count", "4"], "count = 4 is not allowed without a density; give degrees"),
        (["--domain", "torus", "--frequencies", "1", "--count", "4"], "density; give size"),
    ],
)
def test_the_command_line_refuses_in_a_sentence(options, words):
    result = command_line.ntkspec("eig", "erf", *options)
    assert result.exit_code == 2 and words in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Sphere(2, density=3), r"density = 3 is not allowed; give ntkspec.VonMises"),
        (lambda: Sphere(2, density=VonMises), "give ntkspec.VonMises"),
        (lambda: Sphere(2, density=np.cos), "density is -0.006.* at angle = 1.57"),
        (lambda: Sphere(3, density=lambda t: t), "at t = -0.01.*; it must be a number from 0"),
        (lambda: Sphere(2, density=lambda x: np.nan * x), "density is nan at angle"),
        (lambda: Sphere(2, density=lambda x: 0 * x), "density is 0 everywhere"),
        (lambda: Sphere(2, density=lambda x: 1 / 0), "failed .* ZeroDivisionError"),
        (lambda: Sphere(2, density=lambda x: "a"), "must return a real number for each"),
        (lambda: Sphere(2, density=lambda x: x[:3]), "must return a real number for each"),
        (lambda: Sphere(1, density=VonMises(1)), "dim = 1 is not allowed on the sphere with a"),
        (lambda: Sphere(2000, density=VonMises(1)), "from 2 to 1000"),
        (lambda: VonMises(-1), "concentration = -1 is not allowed"),
        (lambda: VonMises(math.nan), "concentration = nan is not allowed"),
        (lambda: Cap(0.0), "angle = 0.0 is not allowed; the edge"),
        (lambda: Cap(1.0, outside=-1), "outside = -1 is not allowed"),
        (lambda: Pieces([1, -1]), r"weights = \[1, -1\] is not allowed"),
        (lambda: Pieces([1, math.nan]), "give a list of numbers"),
        (lambda: Pieces([]), r"weights = \[\] is not allowed"),
        (lambda: Pieces("12"), "give a list of numbers"),
        (lambda: Pieces([0, 0]), "leave no inputs"),
        (lambda: Pieces([1, 2], [0, 1]), "2 weights need 3 edges"),
        (lambda: Pieces([1, 2], [0, 2, 1]), "they must increase"),
        (lambda: Sphere(2, density=Pieces([1, 2], [0, 1, 2])), "the last 2 pi after the first"),
        (lambda: Sphere(3, density=Pieces([1, 2], [0, 1, 2])), "from -1 to 1"),
        (lambda: Sphere(2, density=DensityFunction(np.cosh, [7.0])), "breaks = .* is not allowed"),
        (lambda: spectrum(RELU, Sphere(2, density=kinked)), "not smooth .* breaks="),
        (lambda: spectrum(RELU, SPHERE, range(5)), "degrees = .* belong to no degree"),
        (lambda: spectrum(RELU, SPHERE, 5), "degrees = 5 is not allowed"),
        (lambda: spectrum(RELU, SPHERE, normalization="surface"), "whose measure is a probability"),
        (lambda: spectrum(RELU, SPHERE, count=0), "count = 0 is not allowed"),
        (lambda: spectrum(RELU, SPHERE, max_degree=5000), "max_degree = 5000 is not allowed"),
        (lambda: spectrum(RELU, SPHERE, count=60, max_degree=20), r"count = 60.*at most \d+"),
        (lambda: spectrum(RELU, [SPHERE, SPHERE]), "is not allowed with others"),
        (lambda: spectrum(RELU, 3, count=5), "count = 5 is not allowed without a density"),
        (lambda: spectrum(RELU, 3, max_degree=5), "max_degree = 5 is not allowed without"),
        (lambda: spectrum(Network("leaky_relu", slope=1), SPHERE, count=9), "only 2 eigenvalues"),
        (lambda: spectrum(NEGATIVE, SPHERE), "not positive definite: its eigenvalue of degree 1"),
        (lambda: spectrum(RELU, Sphere(900, density=VonMises(1e4))), "leaves a share of"),
        (lambda: spectrum(RELU, Sphere(100, density=Cap(0.01)), count=2), "first 0 eigenvalues"),
        (lambda: ntkspec.law(RELU, SPHERE), "law does not take a density"),
        (lambda: ntkspec.law(spectrum(RELU, SPHERE, count=2)), "law does not take a density"),
        (lambda: ntkspec.fit(spectrum(RELU, SPHERE, count=2)), "fit does not take a density"),
        (lambda: ntkspec.certify(RELU, SPHERE), "certify does not take a density"),
        (lambda: spectrum(RELU, SPHERE, size=3), "size = 3 is .* torus only; give count"),
        (lambda: Sphere(2, density="von_mises"), "takes the concentration: 'von_mises"),
        (lambda: Sphere(2, density="uniform(1)"), r"density = 'uniform\(1\)' is .*; write 'von_mi"),
        (lambda: Sphere(2, density="cap(1.0"), "is not allowed; write"),
        (lambda: Sphere(2, density="cap(1.0, 0.1, 2)"), "cap takes the angle"),
        (lambda: Sphere(2, density="pieces(1, ends=[0])"), "pieces takes weights, and edges"),
        (lambda: Sphere(2, density="von_mises('2')"), "concentration = '2' is not allowed"),
        (lambda: SPHERE.multiplicity([1]), "multiplicity is not allowed"),
        (lambda: spectrum(RELU, SPHERE, count=2).eigenfunctions([[1.0, 1.0]]), "norm of point 0"),
        (lambda: spectrum(RELU, SPHERE, count=2).eigenfunctions(np.ones((2, 3))), r"\(P, 2\) unit"),
        (lambda: spectrum(RELU, SPHERE, count=2).eigenfunctions([math.nan]), "are not allowed"),
        (lambda: spectrum(RELU, SPHERE, count=2).eigenfunction(2, [0.0]), "rank = 2"),
        (lambda: spectrum("relu", SPHERE, count=2).local_frequency(1, [0.0]), "opposite points"),
    ],
)  # fmt: skip
def test_what_is_refused(call, words):
    with pytest.raises(NtkspecError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_answer_does_not_depend_on_threads_or_on_the_count():
    few = spectrum(ERF, Sphere(3, density=VonMises(2.0)), count=5, max_degree=40)
    many = spectrum(ERF, Sphere(3, density=VonMises(2.0)), count=30, max_degree=40)
    assert few.eigenvalues.tolist() == many.eigenvalues[:5].tolist()
    assert density_spectrum(ERF, few.domain, 5, 40, "ntk", None) == few
