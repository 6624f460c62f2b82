"""Cosines t between unit vectors, with 1 - t and 1 + t without loss.

They are made for a row of a tile at a time.  Few coordinates go through sums of squares of the
differences and of the sums of the points.  Many go through products alone, of four rows together so
that the columns are read a quarter as often, and only points that are close or nearly opposite get
the difference or the sum as well.  Each cosine is the same whatever else is in its tile.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Entries of a row of a tile, and rows whose products are made together.
BLOCK, ROWS = 256, 4
#: Coordinates at most of which all differences are made.
FEW = 16
#: Cosine from which on 1 - t would lose digits.
LARGE = 0.5


@njit(error_model="numpy", fastmath={"contract"}, nogil=True, cache=True)
def _of_few(point, columns, start, n, place):
    """Four coordinates in one pass: sums are loaded and stored a quarter as often."""
    t, minus, plus = place[0], place[1], place[2]
    for j in range(n):
        minus[j], plus[j] = 0.0, 0.0
    for c in range(0, point.size, 4):
        a, b, d, e = point[c], point[c + 1], point[c + 2], point[c + 3]
        first, second, third, fourth = columns[c], columns[c + 1], columns[c + 2], columns[c + 3]
        for j in range(n):
            x, y, z, w = first[start + j], second[start + j], third[start + j], fourth[start + j]
            minus[j] += (a - x) ** 2 + (b - y) ** 2 + ((d - z) ** 2 + (e - w) ** 2)
            plus[j] += (a + x) ** 2 + (b + y) ** 2 + ((d + z) ** 2 + (e + w) ** 2)
    for j in range(n):
        t[j] = 0.25 * (plus[j] - minus[j])
        minus[j] *= 0.5
        plus[j] *= 0.5


@njit(error_model="numpy", fastmath={"contract"}, nogil=True, cache=True)
def _products(x, first, last, columns, start, n, products):
    """<x_i, y_j> for `ROWS` rows from the first; those from the last on repeat the one before."""
    one, two, three, four = products[0], products[1], products[2], products[3]
    a, b = x[first], x[min(first + 1, last - 1)]
    d, e = x[min(first + 2, last - 1)], x[min(first + 3, last - 1)]
    for j in range(n):
        one[j], two[j], three[j], four[j] = 0.0, 0.0, 0.0, 0.0
    for c in range(0, x.shape[1], 4):
        r, s, t, u = columns[c], columns[c + 1], columns[c + 2], columns[c + 3]
        for j in range(n):
            v, w, y, z = r[start + j], s[start + j], t[start + j], u[start + j]
            one[j] += a[c] * v + a[c + 1] * w + (a[c + 2] * y + a[c + 3] * z)
            two[j] += b[c] * v + b[c + 1] * w + (b[c + 2] * y + b[c + 3] * z)
            three[j] += d[c] * v + d[c + 1] * w + (d[c + 2] * y + d[c + 3] * z)
            four[j] += e[c] * v + e[c + 1] * w + (e[c + 2] * y + e[c + 3] * z)


@njit(error_model="numpy", fastmath={"contract", "reassoc"}, nogil=True, cache=True)
def _half_square(point, other, sign):
    """The square of the norm of point - sign other, halved."""
    total = 0.0
    for c in range(point.size):
        total += (point[c] - sign * other[c]) ** 2
    return 0.5 * total


@njit(error_model="numpy", nogil=True, cache=True)
def cosines(i, low, high, x, y, columns, left, right, products, place):
    """t, 1 - t and 1 + t between row i of x and the rows of y from left to right, into `place`.

    columns: y transposed; the number of coordinates is a multiple of 4.  Rows of a tile come one
    after the other from low to high, and keep `products` of shape (ROWS, BLOCK) between them.
    """
    n = right - left
    if x.shape[1] <= FEW:
        _of_few(x[i], columns, left, n, place)
        return
    number = (i - low) % ROWS
    if number == 0:
        _products(x, i, high, columns, left, n, products)
    t, minus, plus = place[0], place[1], place[2]
    for j in range(n):
        t[j] = products[number, j]
        minus[j], plus[j] = 1.0 - t[j], 1.0 + t[j]
    for j in range(n):
        if abs(t[j]) > LARGE:
            sign = np.sign(t[j])
            apart = _half_square(x[i], y[left + j], sign)
            t[j] = sign * (1.0 - apart)
            if sign > 0.0:
                minus[j], plus[j] = apart, 2.0 - apart
            else:
                minus[j], plus[j] = 2.0 - apart, apart


@njit(error_model="numpy", nogil=True, cache=True)
def distances(x, y, columns, minus, plus):
    """1 - t and 1 + t between the rows of x and of y, into two arrays; columns as for `cosines`."""
    place, products = np.empty((3, BLOCK)), np.empty((ROWS, BLOCK))
    height, width = minus.shape
    for left in range(0, width, BLOCK):
        right = min(left + BLOCK, width)
        for i in range(height):
            cosines(i, 0, height, x, y, columns, left, right, products, place)
            for j in range(left, right):
                minus[i, j], plus[i, j] = place[1, j - left], place[2, j - left]
