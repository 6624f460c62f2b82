"""Write deep_odd_spectra.csv: eigenvalues of deep networks of softsign and finer with a bias.

Each layer's duals are integrals in the plane.  Where the pair (u, v) has variance q and the angle
phi, let G(w) be the integral of sigma(r sqrt(q) sin x) sigma(r sqrt(q) sin(w - x)) r e^(-r^2/2)
over r > 0 and 0 < x < w, and H(w) that of sigma'.  Both functions are odd, so that

    E[sigma(u) sigma(v)] = (G(pi - phi) - G(phi)) / pi,
    E[sigma'(u) sigma'(v)] = (H(pi - phi) + H(phi)) / pi.

The kernels follow from the recursion of the layers, and the eigenvalues from the integral of
K(cos phi) P_k(cos phi) sin(phi)^(d-2) over phi.  All integrals are by Gauss-Legendre on panels, in
balls; rules with more nodes in every direction must agree to 14 digits.

Run `python tests/data/make_deep_odd_spectra.py`; it takes twenty minutes.
"""

from __future__ import annotations

import csv
from pathlib import Path

from flint import arb, ctx, fmpq
from make_odd_spectra import finer, polynomials, rule, softsign

PATH = Path(__file__).with_name("deep_odd_spectra.csv")
FIELDS = ("activation", "bias_variance", "depth", "kernel", "dim", "degree", "value")
BITS, DIGITS = 160, 15
ACTIVATIONS = {"softsign": softsign, "finer": finer}
BIAS, DEPTH = 0.25, 3
DIMS, DEGREES = (2, 3, 5, 16), (0, 1, 2, 3, 7, 12, 20, 31)
#: Ends of the panels in x over w / 2, and of those in r.
ANGLES = (0.0, 0.06, 0.2, 0.5, 1.0)
RADII = tuple(1.1 * i for i in range(13))
#: Nodes of a panel in x and in r, and nodes in phi; the second rule has more.
NODES, MORE = (24, 30, 100), (28, 36, 124)


class Duals:
    """Both integrals of an activation at one variance."""

    def __init__(self, name, variance, counts):
        self.function, self.scale = ACTIVATIONS[name], arb(variance).sqrt()
        self.angular, radial = rule(ANGLES, counts[0]), rule(RADII, counts[1])
        self.radii = [self.scale * r for r, _ in radial]
        self.masses = [w * r * (-r * r / 2).exp() for r, w in radial]

    def sector(self, width):
        """G and H; the integrands are the same at x and at w - x."""
        half = width / 2
        total, slope = arb(0), arb(0)
        for x, weight in self.angular:
            near, far = (half * x).sin(), (width - half * x).sin()
            part, slant = arb(0), arb(0)
            for r, mass in zip(self.radii, self.masses):
                one, other = self.function(r * near), self.function(r * far)
                part += mass * one[0] * other[0]
                slant += mass * one[1] * other[1]
            total += weight * part
            slope += weight * slant
        return width * total, width * slope

    def at(self, phi):
        """E[sigma sigma] and E[sigma' sigma'] at the angle."""
        pi = arb.pi()
        (g, h), (less, more) = self.sector(pi - phi), self.sector(phi)
        return (g - less) / pi, (h + more) / pi


def kernels(name, counts):
    """The angles, their weights, and for each depth the NNGP kernel and the NTK there."""
    bias = arb(BIAS)
    nodes = rule((0.0, 1.0), counts[2])
    angles = [arb.pi() * x for x, _ in nodes]
    most, values = 1 + bias, [phi.cos() + bias for phi in angles]
    tangents, found = list(values), []
    for _ in range(DEPTH):
        duals = Duals(name, most, counts)
        pairs = [duals.at((q / most).acos()) for q in values]
        nngp = [f for f, _ in pairs]
        ntk = [f + t * d for (f, d), t in zip(pairs, tangents)]
        found.append({"nngp": nngp, "ntk": ntk})
        most = duals.at(arb(0))[0] + bias
        values = [f + bias for f in nngp]
        tangents = [f + bias for f in ntk]
    return angles, [arb.pi() * w for _, w in nodes], found


def spectra(name, counts):
    """Rows (depth, kernel, dimension, degree, eigenvalue)."""
    angles, weights, found = kernels(name, counts)
    cosines = [phi.cos() for phi in angles]
    for dim in DIMS:
        constant = (
            arb(fmpq(dim, 2)).gamma() / (arb.pi().sqrt() * arb(fmpq(dim - 1, 2)).gamma())
        )  # fmt: skip
        mass = [constant * w * phi.sin() ** (dim - 2) for phi, w in zip(angles, weights)]
        rows = polynomials(dim, cosines, max(DEGREES) + 1)
        for depth, both in enumerate(found, 1):
            for kernel, values in both.items():
                for k in DEGREES:
                    terms = (m * v * p for m, v, p in zip(mass, values, rows[k]))
                    yield depth, kernel, dim, k, sum(terms, arb(0))


def main() -> None:
    """Write the file."""
    ctx.prec = BITS
    with PATH.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for name in ACTIVATIONS:
            for one, other in zip(spectra(name, NODES), spectra(name, MORE)):
                *case, value = one
                gap = abs(other[-1] / value - 1)
                if not gap < arb(10) ** -14:
                    raise SystemExit(f"{name} {case}: the rules differ: {gap}")
                depth, kernel, dim, k = case
                text = arb(other[-1].mid()).str(DIGITS, radius=False)
                writer.writerow((name, BIAS, depth, kernel, dim, k, text))
            print(name, flush=True)


if __name__ == "__main__":
    main()
