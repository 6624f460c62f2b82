"""Write odd_spectra.csv: eigenvalues of one layer of softsign and finer, without a bias.

The weights of a neuron are r times a point on the sphere, so that the eigenvalue of the NNGP kernel
is the mean over r of mu_k(r)^2, mu_k(r) = c_d int sigma(r s) P_k(s) (1 - s^2)^((d-3)/2) ds.
The same with sigma' gives those of E[sigma' sigma'], and the recurrence of t P_k those of t times
it.  All terms are positive, and all integrals are by Gauss-Legendre on panels, in balls; rules with
a fifth more nodes must agree to 22 digits.

Run `python tests/data/make_odd_spectra.py`.
"""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

from flint import arb, arb_mat, ctx, fmpq

PATH = Path(__file__).with_name("odd_spectra.csv")
FIELDS = ("activation", "weight_variance", "kernel", "trained", "dim", "degree", "value")
BITS, DIGITS = 700, 20
#: (activation, weight variance, dimension), and the degrees.
FAMILIES = (
    ("softsign", 1.0, 3), ("softsign", 1.0, 16), ("softsign", 3.0, 3), ("softsign", 0.3, 16),
    ("finer", 1.0, 3), ("finer", 1.0, 16),
)  # fmt: skip
DEGREES = (1, 3, 7, 15, 31, 63, 253, 255)
#: Ends of the panels in arcsin(s) over pi / 2, and of those in r.
ANGLES = (0.0, 0.02, 0.06, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0)
RADII = tuple(2.5 * i for i in range(13))


def softsign(x):
    return x / (1 + x), (1 + x) ** -2


def finer(x):
    sine, cosine = (x * x + x).sin_cos()
    return sine, (2 * x + 1) * cosine


def rule(ends, count):
    """Gauss-Legendre on panels."""
    rows = [arb.legendre_p_root(count, i, True) for i in range(count)]
    found = []
    for low, high in pairwise(ends):
        half, middle = (arb(high) - low) / 2, (arb(high) + low) / 2
        found += [(middle + half * x, half * w) for x, w in rows]
    return found


def polynomials(dim, angles, last):
    """P_0, ..., P_last at the nodes, normalized to P_k(1) = 1."""
    rows = [[arb(1)] * len(angles), list(angles)]
    for k in range(1, last):
        a, b = 2 * k + dim - 2, k + dim - 2
        rows.append(
            [(a * s * p - k * q) / b for s, p, q in zip(angles, rows[k], rows[k - 1])]
        )  # fmt: skip
    return rows


def transforms(name, weight, dim, degrees, finer_by):
    """E[mu_k(r)^2] of sigma and of sigma' at the degrees +- 1."""
    function = {"softsign": softsign, "finer": finer}[name]
    wanted = sorted({k + i for k in degrees for i in (-1, 0, 1)})
    half = arb.pi() / 2
    angular = [((half * x).sin(), half * w) for x, w in rule(ANGLES, int(130 * finer_by))]
    radial = rule(RADII, int(80 * finer_by))
    rows = polynomials(dim, [s for s, _ in angular], max(wanted) + 1)
    constant = arb(fmpq(dim, 2)).gamma() / (arb.pi().sqrt() * arb(fmpq(dim - 1, 2)).gamma())
    density = [2 * constant * w * (1 - s * s).sqrt() ** (dim - 2) for s, w in angular]
    columns = arb_mat([[d * rows[k][j] for k in wanted] for j, d in enumerate(density)])
    scale = arb(weight).sqrt()
    values = [[function(scale * r * s) for s, _ in angular] for r, _ in radial]
    # The density of r = |w|, w standard normal in R^d.
    mass = [
        w * r ** (dim - 1) * (-r * r / 2).exp() * arb(2) ** (1 - arb(fmpq(dim, 2)))
        / arb(fmpq(dim, 2)).gamma()
        for r, w in radial
    ]  # fmt: skip
    found = []
    for part in (0, 1):
        means = arb_mat([[v[part] for v in row] for row in values]) * columns
        found.append(
            {
                k: sum((m * means[i, j] ** 2 for i, m in enumerate(mass)), arb(0))
                for j, k in enumerate(wanted)
                if k % 2 != part  # sigma is odd, and sigma' even
            }
        )
    return found


def spectrum(name, weight, dim, finer_by):
    """Rows (kernel, trained, degree, value)."""
    nngp, slope = transforms(name, weight, dim, DEGREES, finer_by)
    for k in DEGREES:
        low, high = arb(k) / (2 * k + dim - 2), arb(k + dim - 2) / (2 * k + dim - 2)
        hidden = arb(weight) * (low * slope[k - 1] + high * slope[k + 1])
        yield "nngp", "hidden", k, nngp[k]
        yield "ntk", "hidden", k, hidden
        yield "ntk", "all", k, nngp[k] + hidden


def main() -> None:
    """Write the file."""
    ctx.prec = BITS
    with PATH.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for name, weight, dim in FAMILIES:
            pairs = zip(spectrum(name, weight, dim, 1.0), spectrum(name, weight, dim, 1.2))
            for one, (kernel, trained, k, value) in pairs:
                gap = abs(one[3] / value - 1)
                if not gap < arb(10) ** -22:
                    raise SystemExit(f"{name} {weight} {dim} {kernel} {k}: the rules differ: {gap}")
                text = arb(value.mid()).str(DIGITS, radius=False)
                writer.writerow((name, weight, kernel, trained, dim, k, text))
            print(name, weight, dim, flush=True)


if __name__ == "__main__":
    main()
