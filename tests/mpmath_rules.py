"""Quadrature rules in mpmath numbers, from their definitions."""

import mpmath


def gauss_legendre(nodes):
    """Nodes and weights on [-1, 1] of sum 1, by Newton's method."""
    found = []
    for i in range(nodes):
        x = mpmath.cos(mpmath.pi * (i + mpmath.mpf(3) / 4) / (nodes + mpmath.mpf(1) / 2))
        for _ in range(8):
            before, value = mpmath.mpf(1), x
            for n in range(2, nodes + 1):
                before, value = value, ((2 * n - 1) * x * value - (n - 1) * before) / n
            slope = nodes * (x * value - before) / (x * x - 1)
            x -= value / slope
        found.append((x, 1 / ((1 - x * x) * slope * slope)))
    return found
