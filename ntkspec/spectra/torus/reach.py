"""Frequencies that a kernel on the torus reaches; all other eigenvalues are exactly 0.

t^n has the frequencies that n steps b_j or -b_j reach.  Of infinitely many powers of one parity,
these are the m with (m, parity) in the lattice that (b_j, 1) and (0, 2) generate, since a step and
its opposite add two to n.  For the same reason the last one of finitely many powers of a parity
reaches all that the others do.
"""

from __future__ import annotations

from itertools import count

import numpy as np
from numpy.typing import NDArray

from ntkspec.domains import Torus
from ntkspec.errors import NtkspecError
from ntkspec.parameters import ways
from ntkspec.spectra.parity import Parity

__all__ = ["box", "hermite_form", "in_lattice", "reached"]

#: Most places that steps may reach.
MOST_PLACES = 2**24

Whole = NDArray[np.int64]


def box(dim: int, size: int) -> Whole:
    """(size + 1, 2 size + 1, ..., dim) frequencies of half a box: m_1 >= 0.

    Examples
    --------
    >>> box(2, 1)[0].tolist()
    [[0, -1], [0, 0], [0, 1]]
    """
    axes = [np.arange(size + 1), *[np.arange(-size, size + 1)] * (dim - 1)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.int64)


def reached(torus: Torus, powers: Parity, frequencies: Whole) -> NDArray[np.bool_]:
    """Whether the eigenvalue of each of (..., dim) frequencies is more than 0.

    Examples
    --------
    >>> from ntkspec.spectra.parity import Parity
    >>> odd = Parity(main=1)
    >>> reached(Torus([[2], [3]]), odd, box(1, 4)), reached(Torus([[1]]), odd, box(1, 4))
    (array([ True,  True,  True,  True,  True]), array([False,  True, False,  True, False]))
    """
    steps = torus.distinct[0]
    flat = frequencies.reshape(-1, torus.dim)
    found = np.zeros(flat.shape[0], np.bool_)
    form = hermite_form([*[[*b, 1] for b in steps.tolist()], [0] * torus.dim + [2]])
    for parity in (0, 1):
        finite = powers.isolated(parity)
        if finite is None:
            ends = np.full((flat.shape[0], 1), parity)
            found |= in_lattice(form, np.concatenate([flat, ends], axis=1))
        elif finite:
            found |= _after(max(finite), steps, flat)
    return found.reshape(frequencies.shape[:-1])


def hermite_form(rows: list[list[int]]) -> list[list[int]]:
    """Rows in echelon form that generate the same lattice of whole vectors.

    Examples
    --------
    >>> hermite_form([[4, 1], [6, 1], [0, 2]])
    [[2, 0], [0, 1]]
    """
    left, form = [list(row) for row in rows], []
    for column in range(len(rows[0])):
        while True:
            some = sorted((row for row in left if row[column]), key=lambda row: abs(row[column]))
            if len(some) < 2:
                break
            pivot = some[0]
            for row in some[1:]:
                factor = row[column] // pivot[column]
                row[:] = [x - factor * y for x, y in zip(row, pivot, strict=True)]
        if some:
            pivot = some[0]
            left = [row for row in left if row is not pivot]
            form.append(pivot if pivot[column] > 0 else [-x for x in pivot])
    for i, row in enumerate(form):
        column = next(c for c, x in enumerate(row) if x)
        for other in form[:i]:
            factor = other[column] // row[column]
            other[:] = [x - factor * y for x, y in zip(other, row, strict=True)]
    return form


def in_lattice(form: list[list[int]], points: Whole) -> NDArray[np.bool_]:
    """Whether each row of points is in the lattice of rows in echelon form."""
    rest = points.copy()
    for row in form:
        column = next(c for c, x in enumerate(row) if x)
        factor = rest[:, column] // row[column]
        rest -= factor[:, np.newaxis] * np.array(row, np.int64)
    return np.asarray(~np.any(rest, axis=1))


def _after(power: int, steps: Whole, wanted: Whole) -> NDArray[np.bool_]:
    """Whether so many steps reach each of the wanted frequencies.

    Any order of steps reaches the same place, and in one of them all places lie within dim steps of
    the segment to it (Steinitz), so that those further away need not be followed.
    """
    dim = steps.shape[1]
    room = np.abs(wanted).max(axis=0, initial=0) + (dim + 1) * np.abs(steps).max(axis=0)
    both = np.unique(np.concatenate([steps, -steps]), axis=0)
    strides = np.append(np.cumprod((2 * room + 1)[::-1])[::-1][1:], 1)
    earlier, places = None, np.zeros((1, dim), np.int64)
    for n in count():
        if n == power:
            break
        if places.shape[0] * both.shape[0] > MOST_PLACES:
            raise NtkspecError(
                f"the frequencies of t^{power} are too many to be followed, "
                f"{places.shape[0]} after {n} steps"
                + ways("give fewer frequencies", ("size", "give a smaller size"))
            )
        new = (places[:, np.newaxis] + both).reshape(-1, dim)
        new = new[np.all(np.abs(new) <= room, axis=1)]
        _, first = np.unique(new @ strides, return_index=True)
        new = new[first]
        if earlier is not None and earlier.shape == new.shape and (power - n) % 2:
            places = new  # two further steps change nothing
            break
        earlier, places = places, new
    return np.asarray(np.isin(wanted @ strides, places @ strides))
