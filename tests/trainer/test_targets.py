"""Targets: the poster's sum of sines, harmonics on spheres, a user's function."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ntkspec import NtkspecError
from ntkspec.trainer.harmonics import multiplicity
from ntkspec.trainer.points import circle, product_rule, random_points
from ntkspec.trainer.targets import SampledTarget, Target, Term, target_of


def test_the_posters_target():
    # Figure 1: y(x) = sin(2 pi x) + sin(2 pi 4x) + sin(2 pi 8x), x in [0, 1)
    target = Target([Term(k, 1.0, "sine") for k in (1, 4, 8)])
    x = np.arange(64) / 64
    y = target.values(circle(64).x)
    assert y == pytest.approx(
        np.sin(2 * np.pi * x) + np.sin(2 * np.pi * 4 * x) + np.sin(2 * np.pi * 8 * x), abs=1e-13
    )
    spectrum = np.abs(np.fft.rfft(y)) / 32
    assert spectrum[[1, 4, 8]] == pytest.approx(1.0, abs=1e-14)
    assert np.delete(spectrum, [1, 4, 8]) == pytest.approx(0.0, abs=1e-14)
    assert target.degrees == (1, 4, 8)
    assert target.amplitudes == pytest.approx([1 / math.sqrt(2)] * 3)
    assert target.component(4, circle(64).x) == pytest.approx(
        math.sqrt(2) * np.sin(2 * np.pi * 4 * x), abs=1e-13
    )
    assert target.component(2, circle(64).x) is None


def test_zonal_terms_have_the_norm_of_their_amplitude():
    pole = np.array([2.0, -1.0, 2.0])
    x = random_points(30, 3, 0).x
    values = Target([Term(4, 0.5, pole=tuple(pole))]).values(x)
    exact = 0.5 * math.sqrt(9) * special.eval_legendre(4, x @ pole / 3)
    assert values == pytest.approx(exact, abs=1e-14)


TARGETS = {
    "circle": (2, [Term(3, 1.0, "sine"), Term(3, -2.0, "cosine"), Term(0, 0.5, "cosine")]),
    "poles": (3, [Term(2, 1.0), Term(2, 1.5, pole=(1.0, 1.0, 0.0)), Term(5, 2.0, pole=(0, 1, 1))]),
    "mixed": (4, [Term(3, 1.0, "basis", 7), Term(3, 0.3, pole=(1, 2, 3, 4)), Term(1, -1.0)]),
    "turned": (2, [Term(4, 1.0, "sine"), Term(4, 1.0, pole=(0.6, 0.8)), Term(1, 3.0, "basis", 1)]),
    "opposite": (3, [Term(3, 1.0, pole=(0, 0, 1)), Term(3, 0.9, pole=(0, 0, -1))]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_parts_are_of_unit_norm_and_add_up(name):
    dim, terms = TARGETS[name]
    target, rule = Target(terms), product_rule(10, dim)
    total = np.zeros(rule.n)
    for degree, amplitude in zip(target.degrees, target.amplitudes):
        part = target.component(degree, rule.x)
        assert rule.weights @ part**2 == pytest.approx(1.0, abs=1e-13)
        total += amplitude * part
    assert total == pytest.approx(target.values(rule.x), abs=1e-13)
    assert sum(a**2 for a in target.amplitudes) == pytest.approx(
        rule.weights @ target.values(rule.x) ** 2, rel=1e-13
    )


@given(
    st.integers(2, 6),
    st.integers(0, 6),
    # Squares of smaller ones underflow in the norm that the test computes.
    st.lists(st.floats(-3, 3).filter(lambda a: abs(a) > 1e-100), min_size=1, max_size=4),
    st.integers(0, 1000),
)
def test_amplitudes_are_norms(dim, degree, amplitudes, seed):
    rng = np.random.default_rng(seed)
    terms = [
        Term(degree, a, pole=tuple(rng.standard_normal(dim)))
        if rng.random() < 0.5
        else Term(degree, a, "basis", int(rng.integers(multiplicity(dim, degree))))
        for a in amplitudes
    ]
    rule = product_rule(max(2 * degree, 1), dim)
    norm = math.sqrt(rule.weights @ Target(terms).values(rule.x) ** 2)
    assert Target(terms).amplitudes[0] == pytest.approx(norm, abs=1e-7 * sum(map(abs, amplitudes)))


def test_terms_that_cancel_leave_no_component():
    target = Target([Term(2, 1.0), Term(2, -1.0, "basis", 0), Term(3, 0.0)])
    x = random_points(5, 3, 0).x
    assert target.amplitudes == (0.0, 0.0)
    assert target.component(2, x) is None and target.component(3, x) is None
    assert target.values(x) == pytest.approx(0.0, abs=1e-15)
    # the same function twice, by its pole and by its place in the basis
    target = Target([Term(2, 1.0, pole=(0, 0, 1)), Term(2, -1.0, "basis", 0)])
    assert target.component(2, x) is None


def test_a_users_function():
    target = target_of(lambda x: np.abs(x[:, 0]))
    x = circle(8).x
    assert target.values(x) == pytest.approx(np.abs(x[:, 0]))
    assert target.component(1, x) is None and target.degrees == () == target.amplitudes


def test_parts_of_samples_on_the_circle_are_those_of_the_fourier_transform():
    samples = np.random.default_rng(0).standard_normal(32)
    target = SampledTarget(circle(32), samples, 15)
    spectrum = np.fft.rfft(samples) / 32
    assert target.degrees == tuple(range(16))
    norms = np.abs(spectrum[:16]) * np.r_[1.0, [math.sqrt(2)] * 15]
    assert target.amplitudes == pytest.approx(norms, rel=1e-12)
    other = random_points(9, 2, 0).x
    angle = np.arctan2(other[:, 1], other[:, 0])
    for k in (1, 7, 15):
        wave = 2 * (spectrum[k] * np.exp(1j * k * angle)).real / norms[k]
        assert target.component(k, other) == pytest.approx(wave, abs=1e-12)
    assert target.component(16, other) is None


def test_parts_of_samples_on_a_sphere_are_integrals_against_legendre_polynomials():
    """Of exp(x_3), against 2k+1 times half the integral of P_k(t) exp(t): zonal like itself."""
    rule, other = product_rule(30, 3), random_points(20, 3, 0)
    target = SampledTarget(rule, np.exp(rule.x[:, 2]), 5)
    t, weights = np.polynomial.legendre.leggauss(40)
    for k, amplitude in zip(target.degrees, target.amplitudes, strict=True):
        share = weights @ (special.eval_legendre(k, t) * np.exp(t)) / 2 * math.sqrt(2 * k + 1)
        assert amplitude == pytest.approx(share, rel=1e-12)
        zonal = math.sqrt(2 * k + 1) * special.eval_legendre(k, other.x[:, 2])
        assert target.component(k, other.x) == pytest.approx(zonal, abs=1e-11)
    assert target.degrees == tuple(range(6))


def test_samples_are_known_at_their_points_alone_and_digits_that_are_lost_are_no_part():
    points = circle(16)
    target = SampledTarget(points, np.round(points.x[:, 0], 8), 7)
    assert target.degrees == (1,) and target.component(2, points.x) is None
    assert target.values(points.x) == pytest.approx(points.x[:, 0], abs=1e-8)
    assert np.isnan(target.values(circle(32).x)).all()
    # The alternating function is of degree n/2, which 16 points do not tell from others.
    assert SampledTarget(points, (-1.0) ** np.arange(16), 7).degrees == ()


X = [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: Term(-1), "degree = -1 is not allowed"),
        (lambda: Term(2, 1.0, "square"), "kind = 'square' is not allowed; use 'sine', 'cosine'"),
        (lambda: Term(2, float("nan")), "amplitude = nan is not allowed"),
        (lambda: Term(2, "a"), "amplitude = 'a' is not allowed"),
        (lambda: Term(2, 1.0, "basis", -1), "index = -1 is not allowed"),
        (lambda: Term(0, 1.0, "sine"), "degree = 0 is not allowed for kind 'sine'"),
        (lambda: Term(1, 1.0, "basis", pole=(1, 0)), "pole is for kind 'zonal', not for"),
        (lambda: Term(1, pole=(0.0, 0.0)), r"pole = \(0.0, 0.0\) is not allowed"),
        (lambda: Term(1, pole=("a", 0.0)), r"pole = \('a', 0.0\) is not allowed"),
        (lambda: Term(1, pole=(float("inf"), 0.0)), r"pole = \(inf, 0.0\) is not allowed"),
        (lambda: Target([]), "a target needs at least one term"),
        (
            lambda: Target([Term(1, 1.0, "sine"), Term(1, pole=(1, 0, 0))]),
            "terms have dim = 2 and dim = 3",
        ),
        (lambda: Target([Term(1, 1.0, "basis", 3)]).values(np.eye(3)), "index = 3 is not allowed"),
        (lambda: Target([Term(1, 1.0, "sine")]).values(np.eye(3)), "points have dimension 3"),
        (lambda: Target([Term(1)]).values([1.0, 0.0]), r"points of shape \(2,\)"),
        (lambda: SampledTarget(circle(2), [1.0], 0), r"samples of shape \(1,\) .* each of 2"),
        (lambda: SampledTarget(circle(2), [1.0, math.nan], 0), r"samples\[1\] = nan"),
        (lambda: SampledTarget(circle(2), [0.0, 0.0], 0), "samples are all 0"),
        (lambda: SampledTarget(circle(2), ["a", "b"], 0), "samples must be numbers"),
        (lambda: SampledTarget(circle(2), [1.0, 2.0], -1), "last = -1 is not allowed"),
        (lambda: target_of(3), "function = 3 is not allowed; it must be callable"),
        (lambda: target_of(lambda x: x).values(X), r"returned shape \(2, 2\) for 2 points"),
        (lambda: target_of(lambda x: float("x")).values(X), "the target's function failed"),
        (lambda: target_of(lambda x: x[:, 0] / x[:, 1]).values(X), r"is inf at points\[0\]"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(NtkspecError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
