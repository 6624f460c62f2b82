"""The components of a target as sums of basis functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.trainer.harmonics import Basis, axis, multiplicity
from ntkspec.trainer.targets import SampledTarget, Target, Term

__all__ = ["Component", "components_of", "with_aliases"]

Array = NDArray[np.float64]

#: Most basis functions in all components: their pairs of pairs are kept in memory.
MOST_FUNCTIONS = 64
#: Cosine above which two poles are the same.
SAME = 1.0 - 1e-12
#: A coefficient below this share of the component's norm is rounding.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Component:
    """The part of a target of one degree: a sum of functions of the basis, and its amplitude.

    Parameters
    ----------
    degree : int
    coefficients : mapping of (degree, index) to float
        Of functions `ntkspec.trainer.harmonics.harmonic`, the squares with the sum 1.  Those of
        other degrees are there for points that cannot tell them apart (`with_aliases`).
    amplitude : float
        Norm of the part of the target.

    Examples
    --------
    >>> Component(4, {(4, 1): 1.0}, 0.1).amplitude
    0.1
    """

    degree: int
    coefficients: Mapping[tuple[int, int], float]
    amplitude: float = 1.0


def components_of(target: Target | SampledTarget, dim: int) -> list[Component]:
    """The components of a target by degree, each as a sum of basis functions.

    Parameters
    ----------
    target : Target or SampledTarget
    dim : int

    Returns
    -------
    list of Component
        Only those of amplitude above 0.

    Raises
    ------
    NtkspecError
        If the target has no known degrees, or its components take more than 64 basis functions.

    Notes
    -----
    A zonal term is one function of the basis about its own pole; the scatter of networks depends
    on no direction.  So terms of one pole take one function each, and only a term with another
    pole takes all functions of its degree.

    Examples
    --------
    >>> target = Target([Term(1, 1.0, "sine"), Term(4, 0.5, "cosine")])
    >>> [(one.degree, dict(one.coefficients)) for one in components_of(target, 2)]
    [(1, {(1, 1): 1.0}), (4, {(4, 0): 1.0})]
    """
    if isinstance(target, Target):
        parts = _of_terms(target, dim)
    elif isinstance(target, SampledTarget):
        parts = {
            k: {(k, i): float(c) for i, c in enumerate(target.coefficients(k)) if c}
            for k in target.degrees
        }
    else:
        raise NtkspecError(
            "the target has no known degrees, so the scatter of their rates is not known; use a "
            "target made of harmonics, or samples"
        )
    found = []
    for degree, part in sorted(parts.items()):
        norm = math.sqrt(sum(c * c for c in part.values()))
        if norm > 0.0:
            kept = {at: c / norm for at, c in part.items() if abs(c) > NEGLIGIBLE * norm}
            found.append(Component(degree, kept, norm))
    count = sum(len(one.coefficients) for one in found)
    if count > MOST_FUNCTIONS:
        raise NtkspecError(
            f"the target's components take {count} functions of the basis, and the scatter is "
            f"computed for at most {MOST_FUNCTIONS}; use fewer degrees, or terms of one pole"
        )
    return found


def _of_terms(target: Target, dim: int) -> dict[int, dict[tuple[int, int], float]]:
    """Coefficients of each degree of a target's terms, about the one pole if there is but one."""
    poles = [axis(dim) if term.pole is None else np.array(term.pole) for term in target.terms]
    turned = all(term.kind == "zonal" for term in target.terms) and all(
        float(pole @ poles[0]) > SAME for pole in poles
    )
    parts: dict[int, dict[tuple[int, int], float]] = {}
    for term in target.terms:
        part = parts.setdefault(term.degree, {})
        for at, c in _of_term(term, dim, turned).items():
            part[at] = part.get(at, 0.0) + c
    return parts


def _of_term(term: Term, dim: int, turned: bool) -> dict[tuple[int, int], float]:
    k = term.degree
    if term.pole is None or turned:
        return {(k, term.place): term.norm}
    count = multiplicity(dim, k)
    if count > MOST_FUNCTIONS:
        raise NtkspecError(
            f"the target's terms have different poles, and degree {k} in dim = {dim} has {count} "
            f"functions; the scatter is computed for at most {MOST_FUNCTIONS}: use one pole"
        )
    at_pole = Basis([term.pole], k).matrix()[0, -count:]
    scale = term.norm / math.sqrt(count)
    return {(k, i): scale * float(c) for i, c in enumerate(at_pole)}


def with_aliases(component: Component, points: int, order: int = 4) -> Component:
    """The same component on equispaced points of the circle, which cannot tell degrees apart.

    Parameters
    ----------
    component : Component
        On the circle, of a degree below points / 2.
    points : int
    order : int
        The degrees abs(m points +- degree) up to m = order are added.

    Returns
    -------
    Component
        Its coefficients are the sums over the points of 1/points times the component times each
        function of the basis.

    Raises
    ------
    NtkspecError
        If the degree is not below points / 2.

    Examples
    --------
    >>> dict(with_aliases(Component(1, {(1, 1): 1.0}), 16, order=1).coefficients)
    {(1, 1): 1.0, (15, 1): -1.0, (17, 1): 1.0}
    """
    k = component.degree
    if not 2 * k < points:
        raise NtkspecError(
            f"degree = {k} is not allowed on {points} points; it must be below {points / 2:g}"
        )
    coefficients = dict(component.coefficients)
    for m in range(1, order + 1):
        for (_, index), c in component.coefficients.items():
            if k == 0:  # cos(m n x) is 1 on the points, and its function of unit norm sqrt(2)
                coefficients[m * points, 0] = math.sqrt(2.0) * c
                continue
            # On the points cos and sin of (m n - k) x are cos and -sin of k x.
            coefficients[m * points - k, index] = -c if index else c
            coefficients[m * points + k, index] = c
    return Component(k, coefficients, component.amplitude)
