"""Quadrature in the angle, exact for products of harmonics and the density."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

from ntkspec.domains import DensitySphere
from ntkspec.errors import NtkspecError
from ntkspec.spectra.quadrature import gauss_gegenbauer

__all__ = ["Profile", "Rule", "profile", "rule"]

Array = NDArray[np.float64]

ROUNDING = 2.0**-53
#: A density is resolved where its Chebyshev coefficients fall below this times the largest.
RESOLVED = 2.0**-48
#: Chebyshev points at which it is seen: fewer would miss a narrow feature.
MOST = 4096
#: A polynomial of degree q is at most 1/cos(pi/8) times the largest of its values at 4 q Chebyshev
#: points (Ehlich and Zeller 1964).
BETWEEN = 1.0 / math.cos(math.pi / 8.0)
#: Least share of the uniform measure's mass that the density may keep, its largest value being 1.
LEAST_MASS = 1e-250


@dataclass(frozen=True)
class Profile:
    """A density as a function of the angle: pieces, and the degree of a polynomial on each.

    Attributes
    ----------
    around : bool
        Whether the angle goes around the circle, or from 0 to pi.
    ends : (P + 1,) float64 array
    degrees : list of int
    most : float
        Bound on the values, before normalization.

    Examples
    --------
    >>> from ntkspec import Sphere
    >>> profile(Sphere(2, density="pieces(1, 3)")).degrees
    [0, 0]
    """

    sphere: DensitySphere
    around: bool
    ends: Array
    degrees: list[int]
    most: float


@dataclass(frozen=True)
class Rule:
    """Nodes and weights for the uniform measure, and the density divided by its mean.

    Attributes
    ----------
    profile : Profile
    angles, weights, density : (M,) float64 arrays
        Weights are of d(angle).
    most : float
        Bound on the density.
    mean : float
        The mean by which the density was divided.

    Examples
    --------
    >>> from ntkspec import Sphere
    >>> found = rule(profile(Sphere(2, density="pieces(1, 3)")), 4)
    >>> round(float(found.weights @ found.density / found.weights.sum()), 12)
    1.0
    """

    profile: Profile
    angles: Array
    weights: Array
    density: Array
    most: float
    mean: float


def profile(sphere: DensitySphere) -> Profile:
    """Resolve the density on its pieces.

    Raises
    ------
    NtkspecError
        When a piece of a function is not smooth.

    Examples
    --------
    >>> from ntkspec import Sphere
    >>> profile(Sphere(3, density="cap(1.0)")).ends.round(6)
    array([0.      , 1.      , 3.141593])
    """
    density, dim = sphere.density, sphere.dim
    around = dim == 2 and not density.even
    ends = density.ends(dim)
    if not around:
        ends = np.append(ends[ends < math.pi], math.pi)
    degrees, most = [], 0.0
    for a, b in pairwise(ends):
        degree, largest = _resolved(sphere, a, b)
        degrees.append(degree)
        most = max(most, largest)
    return Profile(sphere, around, ends, degrees, most)


def rule(found: Profile, size: int) -> Rule:
    """Rule for the squared density times products of harmonics of degrees below `size`.

    Gauss-Legendre in the angle on each piece: harmonics with the root of the measure are
    trigonometric polynomials, whose Legendre coefficients on a piece of half length h vanish
    beyond the frequency times h.

    Raises
    ------
    NtkspecError
        When the density leaves (almost) no inputs.

    Examples
    --------
    >>> from ntkspec import Sphere
    >>> rule(profile(Sphere(2, density="pieces(1, 3)")), 4).mean
    2.0
    """
    sphere = found.sphere
    angles, weights = [], []
    for a, b, degree in zip(found.ends[:-1], found.ends[1:], found.degrees, strict=True):
        half = 0.5 * (b - a)
        x = half * (2 * size + sphere.dim)
        t, w = gauss_gegenbauer(math.ceil(0.5 * (x + 16.0 * x ** (1 / 3)) + degree) + 20, 3)
        angles.append(a + half * (1.0 + t))
        weights.append(2.0 * half * w)
    theta, weight = np.concatenate(angles), np.concatenate(weights)
    density = sphere.density.values(sphere.dim, theta)
    measure = weight if found.around else weight * np.sin(theta) ** (sphere.dim - 2)
    mean = float(measure @ density / measure.sum())
    if density.max() > found.most:  # a feature that its Chebyshev points did not see
        at = float(theta[np.argmax(density)])
        raise NtkspecError(
            f"density = {sphere.density!r} is too narrow near the angle {at:.6g}; make it wider, "
            "or name the ends of the feature, ntkspec.DensityFunction(function, breaks=[...])"
        )
    if not mean > LEAST_MASS * found.most:
        share = mean / found.most if found.most else 0.0
        raise NtkspecError(
            f"density = {sphere.density!r} leaves a share of {share:.2g} of the sphere "
            f"of dimension {sphere.dim}, which is too little; make the density wider"
        )
    return Rule(found, theta, weight, density / mean, found.most / mean, mean)


def _resolved(sphere: DensitySphere, a: float, b: float) -> tuple[int, float]:
    """Degree of the density as a polynomial of the angle on a piece, and a bound on its values."""
    density, dim = sphere.density, sphere.dim
    if density.constant:
        return 0, float(density.values(dim, np.array([0.5 * (a + b)]))[0])
    at = np.cos(np.pi * (np.arange(MOST) + 0.5) / MOST)
    values = density.values(dim, a + 0.5 * (b - a) * (1.0 + at))
    sizes = np.abs(scipy.fft.dct(values)) / MOST
    seen = np.flatnonzero(sizes > RESOLVED * sizes.max())
    degree = int(seen[-1]) if seen.size else 0
    if 4 * degree <= MOST:
        return degree, BETWEEN * float(values.max())
    raise NtkspecError(
        f"density = {density!r} is not smooth between the angles {a:.6g} and {b:.6g}: a polynomial "
        f"of degree {MOST // 4} does not reach its values to rounding; name the places where the "
        "function or a derivative jumps, ntkspec.DensityFunction(function, breaks=[...]), or give "
        "a smoother one"
    )
