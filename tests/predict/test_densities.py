"""Predictions under densities, against brute force and regression really done."""

import json
import math

import command_line
import numpy as np
import pytest
from numpy.testing import assert_allclose

import ntkspec
from ntkspec import Cap, Network, NtkspecError, Pieces, Sphere, VonMises, predict

RELU = Network("relu", bias_variance=0.1)
CIRCLE, ZONAL = Sphere(2, density=Pieces([1, 2, 4])), Sphere(3, density=VonMises(2.0))


def wave(x):
    """A function without symmetry."""
    return np.exp(x[:, -1]) * x[:, 0] + 0.3 * x[:, 1] ** 2


def brute(sphere, nodes):
    """Points and masses of the density by Gauss and Legendre in each angle, away from its jumps."""
    t, w = np.polynomial.legendre.leggauss(nodes)
    ends = sphere.density.ends(sphere.dim)
    middle, half = 0.5 * (ends[1:] + ends[:-1]), 0.5 * np.diff(ends)
    first = (middle[:, None] + half[:, None] * t).ravel()
    masses = (half[:, None] * w).ravel() * sphere.density.values(sphere.dim, first)
    if sphere.dim == 2:
        return np.stack([np.cos(first), np.sin(first)], axis=1), masses / masses.sum()
    masses = masses * np.sin(first) ** (sphere.dim - 2)
    around = 2.0 * math.pi * (np.arange(nodes) + 0.3) / nodes
    others = np.stack([np.cos(around), np.sin(around)], axis=1)
    weights = np.full(nodes, 1.0 / nodes)
    if sphere.dim == 4:
        third = 0.5 * math.pi * (1.0 + t)
        ring = np.sin(third)[:, None, None] * others
        top = np.broadcast_to(np.cos(third)[:, None, None], (nodes, nodes, 1))
        others = np.concatenate([top, ring], axis=2).reshape(-1, 3)
        weights = np.outer(w * np.sin(third), weights).ravel()
    points = np.concatenate(
        [
            np.broadcast_to(np.cos(first)[:, None, None], (first.size, others.shape[0], 1)),
            np.sin(first)[:, None, None] * others,
        ],
        axis=2,
    ).reshape(-1, sphere.dim)
    masses = np.outer(masses, weights).ravel()
    return points, masses / masses.sum()


@pytest.mark.parametrize(
    "sphere, nodes",
    [(CIRCLE, 40), (Sphere(2, density=VonMises(1.0)), 60), (Sphere(2, density=Cap(1.0, 0.2)), 40),
     (ZONAL, 32), (Sphere(3, density=Pieces([1, 3])), 24), (Sphere(4, density=VonMises(1.0)), 16)],
)  # fmt: skip
def test_powers_are_those_of_powers_of_the_operator(sphere, nodes):
    # sum_i lambda_i^m p_i = <f, T^m f>, without eigenfunctions: erf's kernel is analytic, so that
    # 16 nodes in each of three angles give 1e-9.
    network = Network("erf", bias_variance=0.1)
    s = ntkspec.spectrum(network, sphere, max_degree=24)
    target = predict.power(wave, s, tolerance=1e-10)
    x, masses = brute(sphere, nodes)
    values = wave(x)
    applied = network.ntk_matrix(x) @ (masses * values)
    assert_allclose(target.total, masses @ values**2, rtol=1e-10)
    assert_allclose(target.power @ s.eigenvalues, masses @ (values * applied), rtol=1e-8)
    assert_allclose(target.power @ s.eigenvalues**2, masses @ applied**2, rtol=1e-8)


def test_eigenfunctions_have_their_own_power():
    s = ntkspec.spectrum(RELU, CIRCLE, count=12)
    found = predict.power(lambda x: s.eigenfunction(5, x), s)
    assert_allclose(found.power, np.eye(12)[5], atol=1e-9)
    zonal = ntkspec.spectrum(RELU, Sphere(10, density=VonMises(1.0)), count=12)
    at = int(np.flatnonzero(zonal.azimuthal == 0)[1])
    found = predict.power(lambda x: zonal.eigenfunction(at, x), zonal, axis=np.eye(10)[0])
    assert_allclose(found.power, np.eye(12)[at], atol=1e-9)
    assert found.axes()["rank"].tolist() == list(range(12)) and abs(found.rest) < 1e-9


def drawn(sphere, count, rng):
    """Points of the density, by rejection."""
    found = np.empty((0, sphere.dim))
    while len(found) < count:
        x = rng.standard_normal((8 * count, sphere.dim))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        angle = np.mod(np.arctan2(x[:, 1], x[:, 0]), 2.0 * math.pi)
        if sphere.dim > 2:
            angle = np.arccos(np.clip(x[:, 0], -1.0, 1.0))
        density = sphere.density.values(sphere.dim, angle)
        most = sphere.density.values(sphere.dim, np.linspace(0.0, 2.0 * math.pi, 999)).max()
        found = np.concatenate([found, x[rng.random(len(x)) * most < density]])
    return found[:count]


def harmonic(x):
    """cos 5 theta and a linear function."""
    return np.cos(5.0 * np.arctan2(x[:, 1], x[:, 0])) + x[:, 0]


def cubic(x):
    """A polynomial of degree 3."""
    return 3.0 * x[:, 0] * x[:, 1] + x[:, 2] ** 3


@pytest.mark.parametrize(
    "sphere, function, samples, noise, ridge",
    [(Sphere(2, density=Cap(1.0)), harmonic, 40, 0.1, 1e-2),
     (Sphere(3, density=Cap(1.0)), cubic, 25, 0.1, 1e-2),
     (Sphere(3, density=VonMises(5.0)), cubic, 25, 0.05, 1e-3)],
)  # fmt: skip
def test_curves_are_those_of_regression_really_done(sphere, function, samples, noise, ridge):
    s = ntkspec.spectrum(RELU, sphere, max_degree=48)
    curve = predict.learning_curve(
        s, samples=[samples], power=predict.power(function, s), noise=noise, ridge=ridge
    )
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        x, new = drawn(sphere, samples, rng), drawn(sphere, 1000, rng)
        labels = function(x) + math.sqrt(noise) * rng.standard_normal(samples)
        weights = np.linalg.solve(RELU.ntk_matrix(x) + ridge * np.eye(samples), labels)
        errors.append(np.mean((RELU.ntk_matrix(new, x) @ weights - function(new)) ** 2))
    # The theory takes the eigenfunctions at the points to be Gaussian.
    assert abs(curve.test_error[0] / np.mean(errors) - 1.0) < 0.15
    # A uniform sphere predicts something else.
    uniform = predict.learning_curve(
        RELU, sphere.dim, [samples], predict.power(function, sphere.dim), noise=noise, ridge=ridge
    )
    assert abs(uniform.test_error[0] / np.mean(errors) - 1.0) > 0.3


@pytest.mark.parametrize("sphere", [CIRCLE, ZONAL, Sphere(10, density=VonMises(2.0))])
def test_bounds_hold_with_more_eigenvalues(sphere):
    few = ntkspec.spectrum(RELU, sphere, max_degree=16)
    many = ntkspec.spectrum(RELU, sphere, max_degree=64)
    power = [0.2, 0.5, 0.3]
    curves = [
        predict.learning_curve(one, samples=[5, 30, 300], power=power, noise=0.1, ridge=1e-3)
        for one in (few, many)
    ]
    low, high = curves[0].test_error_bounds.T
    assert np.all((low <= curves[1].test_error) & (curves[1].test_error <= high))
    coarse, fine = (predict.modes(one) for one in (few, many))
    assert coarse.rest[0] <= fine.rest[1] + fine.shares[coarse.degrees.size :].sum() * fine.trace
    for ridge in (1e-2, 1e-4):
        kept = [one.freedom(math.log(ridge)).sum() for one in (coarse, fine)]
        rests = [[float(x) for x in one.rest_freedom(math.log(ridge))] for one in (coarse, fine)]
        assert kept[0] + rests[0][0] <= kept[1] + rests[1][2] + 1e-9
        assert kept[1] + rests[1][0] <= kept[0] + rests[0][2] + 1e-9


def test_a_uniform_density_is_none():
    flat, uniform = Sphere(3, density=VonMises(0.0)), Sphere(3)
    options = {"samples": [10, 100], "power": {1: 1.0}, "ridge": 1e-2, "noise": 0.1}
    under = predict.learning_curve(RELU, flat, **options)
    plain = predict.learning_curve(RELU, uniform, **{**options, "power": {0: 0.0, 1: 1.0}})
    # Rank 0 is one of the functions of degree 1, or the constant.
    s = ntkspec.spectrum(RELU, flat, max_degree=32)
    target = predict.power(lambda x: math.sqrt(3.0) * x[:, 1], s)
    exact = predict.learning_curve(s, **{**options, "power": target})
    assert_allclose(exact.test_error, plain.test_error, rtol=1e-4)
    assert_allclose(under.kappa, plain.kappa, rtol=1e-4)


def test_what_goes_by_degree_goes_by_rank():
    s = ntkspec.spectrum(RELU, ZONAL, count=6)
    times = predict.learning_times(s, error=0.1)
    assert_allclose(times.times, math.log(10.0) / s.eigenvalues)
    few = predict.learning_times(RELU, ZONAL, 0.1, degrees=[2, 4])
    assert_allclose(few.times, times.times[[2, 4]], rtol=1e-4)
    assert list(times.axes()) == ["rank"] and "time" in times.columns()
    samples = predict.samples_to_learn(RELU, ZONAL, degrees=[0, 3])
    assert samples.samples[0] < samples.samples[1] and list(samples.axes()) == ["rank"]
    assert predict.effective_dimension(RELU, ZONAL, ridge=1e-3).axes().keys() == {"ridge", "rank"}
    assert predict.samples_to_learn(RELU, CIRCLE).samples.size == 13


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda s: predict.learning_curve(RELU, ZONAL, [9], predict.power(cubic, s)), "source"),
        (lambda s: predict.power(cubic, ZONAL), "under a density for a spectrum"),
        (lambda s: predict.power(cubic, s, max_degree=3), "whose ranks count"),
        (lambda s: predict.power(cubic, s, axis=[0, 1, 0]), "first coordinate's"),
        (lambda s: predict.power(cubic, s, axis=[1, 0, 0]), "no function of that"),
        (lambda s: predict.modes(s, Sphere(3)), "what is given is"),
        (lambda s: predict.modes(s, kernel="nngp"), "kernel = 'nngp' is not allowed"),
        (lambda s: predict.learning_times(s, s=1.0), "Sobolev loss does not take a density"),
        (lambda s: predict.minibatch_curve(s, samples=9, batch=3), "does not take a density"),
        (lambda s: predict.pinn(RELU, ZONAL, operator="laplace"), "not allowed"),
        (lambda s: predict.learning_curve(s, samples=[9], power={7: 1.0}), "degree of the target"),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(NtkspecError, match=words):
        call(ntkspec.spectrum(RELU, ZONAL, count=4))


@pytest.mark.parametrize(
    ("options", "call"),
    [
        (["times", "--degrees", "0:3"],
         lambda s: predict.learning_times("erf", s, degrees=range(3))),
        (["samples", "--degrees", "0:3"],
         lambda s: predict.samples_to_learn("erf", s, degrees=range(3))),
        (["curve", "--target", "1:1", "--samples", "10,20"],
         lambda s: predict.learning_curve("erf", s, [10, 20], {1: 1.0})),
        (["freedom", "--ridge", "0.01"], lambda s: predict.effective_dimension("erf", s, [0.01])),
    ],
)  # fmt: skip
def test_the_command_line_takes_the_densities_of_eig(options, call):
    """The numbers of the API, by ranks; other domains have no density."""
    name, *rest = options
    given = ["predict", name, "erf", "--dim", 2, "--density", "pieces(1, 2, 4)", *rest]
    found = json.loads(command_line.ntkspec(*given, "--format", "json").output)
    columns = call(Sphere(2, density=Pieces([1, 2, 4]))).columns()
    assert {key: found[key] for key in columns} == {
        key: values.tolist() for key, values in columns.items()
    }
    assert found["density"] == "pieces(1, 2, 4)"
    refused = command_line.ntkspec(
        "predict", name, "erf", "--domain", "cube", "--density", "cap(1)", *rest
    )
    assert refused.exit_code == 2
    assert "--density is for --domain sphere, not for cube" in refused.output
