"""Write spectra.csv: eigenvalues by the independent route of ntkspec.reference.balls.

That route integrates (Gauss-Legendre in the angle, trapezoid rule in the radius of the Gaussian
weights) in ball arithmetic; it knows nothing of the engine's closed forms, moments, series or
walk.  Run `python tests/data/make_spectra.py` (about an hour on one core); entries already
there are kept.
"""

from __future__ import annotations

import csv
from pathlib import Path

import mpmath

from ntkspec.networks import Network
from ntkspec.reference.balls import reference_eigenvalue

HERE = Path(__file__).parent
DIMS = (2, 3, 4, 7, 32, 256, 1024)
DEGREES = {
    "relu": (0, 1, 2, 3, 8, 64, 101, 256, 1024, 2048, 4096),
    "leaky_relu": (0, 1, 2, 3, 64, 256, 1024),
    "sigmoid": (0, 1, 2, 3, 11, 101, 256, 513, 1025, 2047, 4095),
    "tanh": (0, 1, 2, 3, 11, 61, 101, 256, 513, 1025, 2047, 4095),
}
DIGITS = 40


def entries():
    """All (network, kernel, dim, degree), the cheap ones first."""
    for name, degrees in DEGREES.items():
        for dim in DIMS:
            for degree in degrees:
                yield degree * degree + degree * dim, (Network(name), "ntk", dim, degree)
        for trained, kernel in (("all", "ntk"), ("hidden", "nngp")):
            for variance in (1.0, 2.5):
                for dim, degree in ((3, 0), (3, 1), (3, 8), (3, 9), (32, 64), (32, 65)):
                    net = Network(name, trained=trained, weight_variance=variance)
                    yield degree * degree + degree * dim, (net, kernel, dim, degree)


def main() -> None:
    """Append what is missing to the file."""
    path = HERE / "spectra.csv"
    fields = ["activation", "weight_variance", "trained", "kernel", "dim", "degree", "value"]
    done = set()
    if path.exists():
        with path.open() as file:
            done = {tuple(row[f] for f in fields[:-1]) for row in csv.DictReader(file)}
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not done:
            writer.writerow(fields)
        for _, (net, kernel, dim, degree) in sorted(entries(), key=lambda e: e[0]):
            key = (net.activation, net.weight_variance, net.trained, kernel, dim, degree)
            if tuple(map(str, key)) in done:
                continue
            reference = reference_eigenvalue(net, dim, degree, kernel=kernel, digits=DIGITS)
            zero = abs(reference.value) <= reference.error
            with mpmath.workdps(DIGITS + 10):
                text = (
                    "0" if zero else mpmath.nstr(reference.value, DIGITS, min_fixed=0, max_fixed=0)
                )
            writer.writerow([*key, text])
            file.flush()


if __name__ == "__main__":
    main()
