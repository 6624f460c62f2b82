"""Write switches.csv: eigenvalues on both sides of the switches between routes, by balls.

The table of switches is in `tests/switches.py`.  Run `python tests/data/make_switches.py` (some
minutes); entries already there are kept.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import mpmath

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from switches import FIELDS, PATH, SWITCHES, stored

from ntkspec import Cube
from ntkspec.reference.balls import reference_eigenvalue, reference_spectrum
from ntkspec.reference.balls.cube import cube_references

DIGITS = 20


def values(side):
    """References of a side's degrees."""
    network, dim, degrees = side.network, side.domain.dim, side.degrees
    options = {"kernel": side.kernel, "digits": DIGITS + 1}
    if isinstance(side.domain, Cube):
        found = cube_references(network, {dim: degrees}, **options)
        return [found[dim, degree] for degree in degrees]
    if network.weights == "sphere":
        return [reference_eigenvalue(network, dim, degree, **options) for degree in degrees]
    return reference_spectrum(network, dim, degrees, **options)


def main() -> None:
    """Append what is missing to the file."""
    new = not PATH.exists()
    done = set() if new else set(stored())
    with PATH.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(FIELDS)
        for switch, sides in SWITCHES.items():
            for number, side in enumerate(sides):
                if (switch, number) in done:
                    continue
                for degree, found in zip(side.degrees, values(side), strict=True):
                    with mpmath.workdps(DIGITS + 10):
                        value = "0" if found.is_zero else mpmath.nstr(found.value, DIGITS)
                    writer.writerow((switch, number, degree, value))
                file.flush()
                print(switch, number, flush=True)


if __name__ == "__main__":
    main()
