"""hard_tanh, relu6, hard_sigmoid, hard_swish and shifted_relu: polynomials between kinks.

All are made by `piecewise_polynomial` from the places of the kinks and the jumps there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.activations.activation import Activation, Kink, PreparedDual, Singularity
from ntkspec.activations.names import called
from ntkspec.errors import NtkspecError
from ntkspec.parameters import number, shown

__all__ = [
    "HARD_SIGMOID",
    "HARD_SWISH",
    "HARD_TANH",
    "RELU6",
    "piecewise_polynomial",
    "shifted_relu",
]


@dataclass(frozen=True)
class Pieces:
    """A polynomial on each interval between increasing breaks, of float64 arrays.

    coefficients[i] are those of the i-th interval, the constant first.  At a break the value is
    the mean of both sides.
    """

    breaks: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]

    def __call__(self, x: ArrayLike) -> NDArray[np.float64]:
        x = np.asarray(x, dtype=np.float64)
        table = np.array(self.coefficients).T
        sides = [np.searchsorted(self.breaks, x, side=side) for side in ("left", "right")]
        left, right = (self._at(x, table[:, at]) for at in sides)
        return np.where(np.isnan(x), x, np.where(sides[0] == sides[1], left, 0.5 * (left + right)))

    @staticmethod
    def _at(x: NDArray[np.float64], table: NDArray[np.float64]) -> NDArray[np.float64]:
        total = table[-1]
        for row in table[-2::-1]:
            # A factor 0 does not multiply an infinite x.
            total = row + np.where(total == 0.0, 0.0, total) * np.where(total == 0.0, 0.0, x)
        return np.asarray(total)


@dataclass(frozen=True)
class BallPieces:
    """The same function of a ball; one that reaches over a break gets the union of both sides."""

    breaks: tuple[Fraction, ...]
    coefficients: tuple[tuple[Fraction, ...], ...]

    def __call__(self, x: Any) -> Any:
        found = None
        for i, piece in enumerate(self.coefficients):
            low, high = self.breaks[i - 1 : i], self.breaks[i : i + 1]
            if any(x * a.denominator < a.numerator for a in low if i) or any(
                x * a.denominator > a.numerator for a in high
            ):
                continue
            value = 0 * x
            for c in reversed(piece):
                value = value * x + (0 * x + c.numerator) / c.denominator
            found = value if found is None else found.union(value)
        return found


def piecewise_polynomial(
    name: str, left: Sequence[Fraction | int], kinks: Sequence[Kink]
) -> Activation:
    """Make a continuous activation that is a line or a parabola between kinks.

    Its symmetry and its polynomial part follow from the kinks.

    Parameters
    ----------
    name : str
    left : sequence of Fraction or int
        Constant and slope before the first kink.
    kinks : sequence of Kink
        The jumps of its first (order 1) and second derivative (order 2).

    Returns
    -------
    Activation

    Raises
    ------
    NtkspecError
        For no kinks, jumps of another order, or jumps that cancel.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from ntkspec import Network
    >>> from ntkspec.activations import Kink, piecewise_polynomial
    >>> kinks = [Kink(Fraction(-1), 1, Fraction(1)), Kink(Fraction(2), 1, Fraction(-1))]
    >>> clip = piecewise_polynomial("clip", [-1], kinks)
    >>> clip.value([-3.0, 0.5, 4.0])
    array([-1. ,  0.5,  2. ])
    >>> clip.symmetry, round(float(Network(clip).ntk(1.0)), 6)
    (None, 0.818595)
    """
    if not kinks or any(kink.order not in (1, 2) for kink in kinks) or len(left) > 2:
        raise NtkspecError(
            f"kinks = {shown(list(kinks))} of {name} are not allowed; give at least one, of "
            "order 1 (the slope jumps) or 2, and at most a constant and a slope before the first"
        )
    start = tuple(Fraction(c) for c in left)
    order = min(kink.order for kink in kinks)
    slope_left = tuple(n * c for n, c in enumerate(start))[1:]
    slopes = [Kink(kink.place, kink.order - 1, kink.jump) for kink in kinks]
    (value, ball), (derivative, ball_derivative) = (
        _functions(start, kinks),
        _functions(slope_left, slopes),
    )
    return Activation(
        name, value, derivative, ball, ball_derivative,
        PreparedDual("piecewise_dual", (start, tuple(kinks))),
        Singularity("kinks", order), kinks=tuple(kinks), **_parities(name, start, kinks),
    )  # fmt: skip


def _parities(name: str, left: tuple[Fraction, ...], kinks: Sequence[Kink]) -> dict[str, Any]:
    """The symmetry, or the degree of the even or odd part where that is a polynomial.

    A kink at p with the jump J of order m is J abs(x - p) (x - p)^(m-1) / (2 m!) and a polynomial;
    its mirror image is one at -p with (-1)^(m+1) J.
    """
    jumps: dict[tuple[Fraction, int], Fraction] = {}
    for place, order, jump in kinks:
        at = Fraction(place), order
        jumps[at] = jumps.get(at, Fraction(0)) + Fraction(jump)
    mirrored = {(-p, m): jump if m % 2 else -jump for (p, m), jump in jumps.items()}
    smooth = [
        all(jumps.get(at, 0) + sign * mirrored.get(at, 0) == 0 for at in {*jumps, *mirrored})
        for sign in (1, -1)
    ]
    if all(smooth):
        raise NtkspecError(
            f"kinks = {shown(list(kinks))} of {name} are not allowed; their jumps cancel: use a "
            "polynomial"
        )
    if not any(smooth):
        return {}
    parity = smooth.index(True)
    _, pieces = _pieces(left, kinks)
    # Far out the part is (f(x) + f(-x)) / 2 or (f(x) - f(-x)) / 2, of the outermost pieces.
    degrees = [n for n, c in enumerate(pieces[-1]) if n % 2 == parity and c + pieces[0][n]]
    if not degrees:
        return {"symmetry": ("odd", "even")[parity]}
    return {"polynomial": max(degrees)}


def _functions(left: Sequence[Fraction], kinks: Sequence[Kink]) -> tuple[Pieces, BallPieces]:
    """The function of doubles and that of balls."""
    breaks, pieces = _pieces(left, kinks)
    doubles = tuple(tuple(float(c) for c in row) for row in pieces)
    return Pieces(tuple(map(float, breaks)), doubles), BallPieces(breaks, pieces)


def _pieces(
    left: Sequence[Fraction], kinks: Sequence[Kink]
) -> tuple[tuple[Fraction, ...], tuple[tuple[Fraction, ...], ...]]:
    """The breaks, and the coefficients between them, the constant first."""
    degree = max([len(left) - 1, *(kink.order for kink in kinks)])
    piece = [*left, *[Fraction(0)] * (degree + 1 - len(left))]
    breaks = sorted({kink.place for kink in kinks})
    pieces = [tuple(piece)]
    for place in breaks:
        for kink in kinks:
            if kink.place == place:  # jump (x - place)^order / order!
                factor = kink.jump / math.factorial(kink.order)
                for i in range(kink.order + 1):
                    piece[i] += factor * math.comb(kink.order, i) * (-place) ** (kink.order - i)
        pieces.append(tuple(piece))
    return tuple(breaks), tuple(pieces)


def _kinks(order: int, *pairs: tuple[int | Fraction, int | Fraction]) -> list[Kink]:
    return [Kink(Fraction(place), order, Fraction(jump)) for place, jump in pairs]


@lru_cache(maxsize=64)
def shifted_relu(threshold: float = 1.0) -> Activation:
    """max(x - threshold, 0); the relu for a threshold of 0.

    Examples
    --------
    >>> shifted_relu(0.5).name, shifted_relu(0.5).value([0.0, 2.0])
    ('shifted_relu(0.5)', array([0. , 1.5]))
    """
    place = number(threshold, "threshold", -1e100, 1e100)
    if place == 0.0:
        from ntkspec.activations.powers import RELU

        return RELU
    return piecewise_polynomial(called("shifted_relu", place), (), _kinks(1, (Fraction(place), 1)))


HARD_TANH = piecewise_polynomial("hard_tanh", (-1,), _kinks(1, (-1, 1), (1, -1)))
RELU6 = piecewise_polynomial("relu6", (), _kinks(1, (0, 1), (6, -1)))
HARD_SIGMOID = piecewise_polynomial(
    "hard_sigmoid", (), _kinks(1, (-3, Fraction(1, 6)), (3, Fraction(-1, 6)))
)
HARD_SWISH = piecewise_polynomial(
    "hard_swish", (),
    [
        *_kinks(1, (-3, Fraction(-1, 2)), (3, Fraction(-1, 2))),
        *_kinks(2, (-3, Fraction(1, 3)), (3, Fraction(-1, 3))),
    ],
)  # fmt: skip
