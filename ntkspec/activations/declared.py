"""Symmetry and polynomial part of a user's function: what is declared, against its values.

Values refute a declaration, and never prove one: a function that looks odd may not be.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb

from ntkspec.activations.activation import Activation
from ntkspec.callables import ball_function
from ntkspec.errors import NtkspecError
from ntkspec.precision import working_precision

__all__ = ["advice", "check_declared", "check_derivative", "seen_degrees"]

#: Ranges of the points, and how many points a polynomial is compared at.
REACHES, COMPARED = (4.0, 12.5, 100.0), 9
#: Where functions of doubles are compared with their symmetry, for narrow features.
DENSE = np.linspace(0.0, 8.0, 4001)[1:] + 0.0007
#: Bits of functions in high precision; what is below this, relative to the largest value, is
#: rounding.  In doubles the square of it is far below the rounding of K(1).
BITS, ROUNDING = 192, {"double": 1e-9, "flint": 2.0**-150, "mpmath": 2.0**-150}
#: Largest degree of a polynomial that is looked for.
MOST_SEEN = 8
PARTS = ("even", "odd")
#: Where a derivative is compared with differences over two steps, how closely in units of the
#: largest, and at how many points it must be another, as some may lie beside kinks.
SLOPES, WIDTH, CLOSE, MANY = np.linspace(-4.1, 4.3, 64) + 0.0071, 1e-4, 0.01, 3


def check_declared(sigma: Activation) -> None:
    """Raise NtkspecError when values contradict the symmetry or the polynomial part.

    A function without finite values is not checked: it is refused when a kernel is computed.
    """
    degree = sigma.polynomial
    if sigma.symmetry and degree is not None and PARTS[degree % 2] != sigma.symmetry:
        raise NtkspecError(
            f"polynomial = {degree} contradicts symmetry = {sigma.symmetry!r}, which has no powers "
            "of the other parity; leave one of them out"
        )
    for odd, most in enumerate(sigma.degrees):
        found = None if most == math.inf else _misfit(sigma, odd, most)
        if not found:
            continue
        x, value = found
        if most == -math.inf:
            raise NtkspecError(
                f"symmetry = {sigma.symmetry!r} is not that of {sigma.name}: its {PARTS[odd]} part "
                f"at x = {x:.6g} is {value:.6g}"
            )
        raise NtkspecError(
            f"polynomial = {degree} is not the degree of the {PARTS[odd]} part of "
            f"{sigma.name}: at x = {x:.6g} it differs by {value:.6g} from the polynomial through "
            "its values elsewhere"
        )


def check_derivative(sigma: Activation) -> None:
    """Raise NtkspecError when differences of the function contradict its derivative.

    Points where the differences over two steps do not agree, as beside kinks, say nothing.
    """
    assert sigma.derivative is not None
    x, h = SLOPES, WIDTH
    try:
        with np.errstate(all="ignore"):
            given = sigma.derivative(x)
            wide, narrow = (
                (sigma.value(x + step) - sigma.value(x - step)) / (2.0 * step)
                for step in (h, 0.4 * h)
            )
            allowed = CLOSE * np.max(np.abs(narrow)) + 100.0 * np.abs(wide - narrow)
            differs = np.flatnonzero(np.abs(given - narrow) > allowed)
    except (NtkspecError, ValueError):
        return  # refused, with the reason, when a kernel is computed
    if differs.size >= MANY:
        at = differs[np.argmax(np.abs(given - narrow)[differs])]
        raise NtkspecError(
            f"derivative is not that of {sigma.name}: at x = {x[at]:.6g} it is {given[at]:.6g}, "
            f"and the slope of the function is {narrow[at]:.6g}"
        )


@lru_cache(maxsize=64)
def seen_degrees(sigma: Activation) -> tuple[float, float]:
    """Degrees of the even and the odd part as values show them: see `Activation.degrees`."""
    found = []
    for odd, declared in enumerate(sigma.degrees):
        degrees = [-math.inf, *range(odd, MOST_SEEN + 1, 2)]
        found.append(next((p for p in degrees if _misfit(sigma, odd, p) == ()), declared))
    return found[0], found[1]


def advice(parts: tuple[float, float]) -> str:
    """What a function with these parts is, and how to declare it."""
    even, odd = parts
    if max(parts) == -math.inf:
        return "0 everywhere, which has no spectrum; give another function"
    if max(parts) < math.inf and min(parts) >= 0:
        return "a polynomial; give Network('polynomial(c0, c1, ...)') with its coefficients"
    if min(parts) == -math.inf:
        symmetry, degree = ("odd", odd) if even == -math.inf else ("even", even)
        if degree == math.inf:
            return f"an {symmetry} function; declare symmetry={symmetry!r}"
        return (
            f"an {symmetry} polynomial; declare symmetry={symmetry!r} and polynomial={int(degree)}"
        )
    degree, other = (even, "odd") if even < math.inf else (odd, "even")
    return f"a polynomial plus an {other} function; declare polynomial={int(degree)}"


def _misfit(sigma: Activation, odd: int, degree: float) -> tuple[()] | tuple[float, float] | None:
    """Where a part is not a polynomial of this degree, and by how much; () if it may be one.

    None where the function has no finite values.
    """
    nodes = 0 if degree == -math.inf else (int(degree) - odd) // 2 + 1
    if nodes == 0 and sigma.arithmetic == "double" and (narrow := _other_part(sigma, odd)):
        return narrow
    known: tuple[()] | None = None
    for reach in REACHES:
        x = reach * np.sqrt(np.concatenate([_places(nodes, 0.5), _places(nodes + COMPARED, 0.37)]))
        with working_precision(BITS):
            parts = _part(sigma, odd, x)
            if parts is None:
                continue
            known = ()
            squares = [arb(float(place)) ** 2 for place in x]
            for at in range(nodes, x.size):
                rest = parts[at] - _interpolated(squares[:nodes], parts[:nodes], squares[at])
                if not rest.contains(0):
                    return float(x[at]), float(rest * x[at] ** odd)
    return known


def _other_part(sigma: Activation, odd: int) -> tuple[float, float] | None:
    """Where a part that should vanish is largest, if it does not."""
    try:
        with np.errstate(all="ignore"):
            right, left = sigma.value(DENSE), sigma.value(-DENSE)
            part = 0.5 * np.abs(right - left if odd else right + left)
            largest = np.max(np.abs(right)) + np.max(np.abs(left))
    except (NtkspecError, ValueError):
        return None
    at = int(np.argmax(part))
    if not (math.isfinite(largest) and part[at] > ROUNDING["double"] * largest):
        return None
    return float(DENSE[at]), float(part[at])


def _places(n: int, shift: float) -> Any:
    """Points in (0, 1), at which polynomials are interpolated stably."""
    return 0.5 - 0.5 * np.cos((np.arange(n) + shift) * np.pi / max(n, 1))


def _part(sigma: Activation, odd: int, x: Any) -> list[arb] | None:
    """The even part, or the odd one over x, with balls for the rounding; None if not finite."""
    places = np.concatenate([x, -x])
    try:
        if sigma.arithmetic == "double":
            with np.errstate(all="ignore"):
                values = [arb(float(v)) for v in sigma.value(places).reshape(places.shape)]
        else:
            function = ball_function(sigma.ball, sigma.arithmetic, sigma.name)
            values = [function(arb(float(place))) for place in places]
    except (NtkspecError, ValueError):
        return None
    if not all(value.is_finite() for value in values):
        return None
    largest = max(abs(value).upper() for value in values)
    noise = arb(0, (largest * ROUNDING[sigma.arithmetic]).upper())
    right, left = values[: x.size], values[x.size :]
    return [
        ((r - v if odd else r + v) / 2 + noise) / arb(float(place)) ** odd
        for r, v, place in zip(right, left, x, strict=True)
    ]


def _interpolated(nodes: list[arb], values: list[arb], at: arb) -> arb:
    """The polynomial through values, by Lagrange's formula."""
    total = arb(0)
    for i, value in enumerate(values):
        for j, node in enumerate(nodes):
            if i != j:
                value = value * (at - node) / (nodes[i] - node)
        total += value
    return total
