"""Write density_spectra.csv: eigenvalues under densities by the method of Nystrom in balls.

Run `python tests/data/make_density_spectra.py`, some minutes.  The kernel is the NTK of one hidden
layer of erf with bias variance 1/10 and a frozen readout,

    K(t) = (t + b) (4 / pi) / sqrt((1 + 2a)^2 - 4 (t + b)^2),   a = 1 + b,

which is analytic, so that a rule of Gauss on each piece of the density, or the trapezoid rule
around the circle, converges geometrically.  The eigenvalues are those of the matrix
sqrt(w_i w_j) K(x_i, x_j), with 800 bits.  On the sphere K is first projected onto azimuthal degree
j by the trapezoid rule.  No harmonics in t, no eigenvalues of the uniform sphere and no code of
ntkspec are used.  Two rules agree to the digits written.
"""

import csv
from pathlib import Path

from flint import acb_mat, arb, ctx

BITS, DIGITS = 800, 20
PATH = Path(__file__).with_name("density_spectra.csv")


def kernel(t):
    bias = arb(1) / 10
    a, c = 1 + bias, t + bias
    return 4 * c / (arb.pi() * ((1 + 2 * a) ** 2 - 4 * c * c).sqrt())


def gauss(n, low, high):
    """Gauss-Legendre nodes and weights on an interval."""
    rule = [arb.legendre_p_root(n, k, weight=True) for k in range(n)]
    return [((low + high + (high - low) * x) / 2, (high - low) / 2 * w) for x, w in rule]


def around(n):
    return [(2 * arb.pi() * k / n, 2 * arb.pi() / n) for k in range(n)]


def arcs(n, weights, edges):
    return [
        (x, w * p)
        for p, low, high in zip(weights, edges[:-1], edges[1:])
        for x, w in gauss(n, low, high)
    ]


def on_circle(rule):
    """Matrix of nodes (angle, weight), the weights normalized."""
    total = sum(w for _, w in rule)
    places = [(x.cos(), x.sin(), (w / total).sqrt()) for x, w in rule]
    return [[u * v * kernel(a * c + b * d) for c, d, v in places] for a, b, u in places]


def on_sphere(dim, j, rule):
    """Matrix of nodes (t, weight) in dimension 3 or 5, for azimuthal degree j."""
    power = (dim - 3) // 2
    rule = [(t, w * (1 - t * t) ** power) for t, w in rule]
    total = sum(w for _, w in rule)
    m = 240
    angles = [2 * arb.pi() * k / m for k in range(m)]
    if dim == 3:
        inner = [(x.cos(), (j * x).cos() / m) for x in angles]
    else:  # dimension 4: sin^2, and U_j / (j + 1)
        inner = [(x.cos(), 2 * x.sin() * ((j + 1) * x).sin() / (j + 1) / m) for x in angles]
    places = [(t, (1 - t * t).sqrt(), (w / total).sqrt()) for t, w in rule]
    size = len(places)
    matrix = [[None] * size for _ in range(size)]
    for i, (t, s, u) in enumerate(places):
        for k, (x, y, v) in enumerate(places[: i + 1]):
            value = sum((w * kernel(t * x + s * y * c) for c, w in inner), arb(0))
            matrix[i][k] = matrix[k][i] = u * v * value
    return matrix


def eigenvalues(matrix, count):
    found = acb_mat(matrix).eig(algorithm="approx")
    return sorted((x.real.mid() for x in found), key=float, reverse=True)[:count]


def mises(rule, kappa, cosine):
    return [(x, w * (kappa * (cosine(x) - 1)).exp()) for x, w in rule]


def cases():
    """Dimension, density, azimuthal degree (-1: all), matrix of n nodes, n, and count."""
    pi = arb.pi()
    thirds = [2 * pi * k / 3 for k in range(4)]
    yield 2, "VonMises(2.0)", -1, lambda n: on_circle(mises(around(n), 2, arb.cos)), 140, 60
    yield 2, "Pieces([1, 2, 4])", -1, lambda n: on_circle(arcs(n // 3, [1, 2, 4], thirds)), 180, 60
    yield 2, "Cap(2.5)", -1, lambda n: on_circle(gauss(n, arb(-2.5), arb(2.5))), 110, 40
    for j in (0, 2):
        yield 3, "VonMises(2.0)", j, (
            lambda n, j=j: on_sphere(3, j, mises(gauss(n, arb(-1), arb(1)), 2, lambda t: t))
        ), 60, 30  # fmt: skip
        yield 5, "VonMises(5.0)", j, (
            lambda n, j=j: on_sphere(5, j, mises(gauss(n, arb(-1), arb(1)), 5, lambda t: t))
        ), 60, 30  # fmt: skip
    yield 3, "Cap(2.0)", 1, lambda n: on_sphere(3, 1, gauss(n, arb(2.0).cos(), arb(1))), 60, 20
    yield 3, "Pieces([3, 1], [-1, 0.5, 1])", 1, (
        lambda n: on_sphere(3, 1, arcs(n // 2, [3, 1], [arb(-1), arb(0.5), arb(1)]))
    ), 100, 30  # fmt: skip


def main():
    ctx.prec = BITS
    with PATH.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["dim", "density", "azimuthal", "rank", "eigenvalue"])
        for dim, density, j, matrix, nodes, count in cases():
            values, more = (eigenvalues(matrix(n), count) for n in (nodes, nodes + 6))
            for rank, (x, y) in enumerate(zip(values, more)):
                if abs(float(1 - x / y)) > 1e-18:
                    print(f"{dim} {density} {j}: rank {rank} differs by {float(1 - x / y):.1e}")
                    break
                writer.writerow([dim, density, j, rank, y.str(DIGITS, radius=False)])
            print(dim, density, j, rank + 1, float(y))


if __name__ == "__main__":
    main()
