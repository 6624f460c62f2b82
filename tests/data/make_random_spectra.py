"""Write random_spectra.csv: eigenvalues of random networks by routes that are not the engine's.

The cases are drawn in families that share the activation and its variances, because then they
share most of the work: depths 1 to 4, the three kernels, dimensions of 2 to 10 and log-uniform to
10^6, degrees to 500.  The first six families have 34 cases each, the others 60.  The next ten have
six cases of degrees 501 to 4096 in any dimension, and the last ones four cases of such degrees
that take a minute or two: dimensions to 10 for kinks, few terms for the others.

The values come from `ntkspec.reference.balls`, and those of entire activations and of most
dimensions beyond 32 from `tests/cauchy.py`.  In every seventh family, values that both can compute
are computed by both, and must agree to 19 digits.

Run `python tests/data/make_random_spectra.py`: families already in the file are kept.  With numbers
of families as arguments it computes these only.  A group of cases that takes more than LIMIT
seconds of processor time is written with an empty value: not done.
"""

from __future__ import annotations

import csv
import math
import random
import signal
import sys
import time
from bisect import bisect
from pathlib import Path
from types import SimpleNamespace

import mpmath

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cauchy import NotReached, cauchy_spectra, terms_needed

from ntkspec.errors import NtkspecError
from ntkspec.reference.balls import Case, reference_spectra

PATH = Path(__file__).with_name("random_spectra.csv")
FIELDS = (
    "family", "activation", "slope", "power", "weight_variance", "bias_variance", "depth",
    "trained", "kernel", "dim", "degree", "value", "method",
)  # fmt: skip
SEED = 15
#: Activations of which degrees to 4096 are feasible, in the families after the others.
FAR = (
    "relu", "gelu", "leaky_relu", "tanh", "step", "silu", "abs", "erf", "relu_power", "gaussian",
)  # fmt: skip
FAMILIES = 42
#: Activations of the last families, and the largest number of terms of their cases.
FEASIBLE = (
    "step", "gelu", "erf", "relu", "gaussian", "sin", "leaky_relu", "cos", "silu", "elu",
    "relu_power", "tanh", "sigmoid", "softplus", "abs", "relu",
)  # fmt: skip
MOST_TERMS, MOST_ELU = 2400, 700
#: Seconds of processor time for one group of a family, and for its comparison.
LIMIT, COMPARISON = 150, 5
DIGITS = 20
#: Up to this dimension values are compared: the effort of balls grows with it.
MOST_COMPARED = 400
#: Terms, or degrees plus dimensions, where a new group begins.
STEPS = (40, 150, 400, 1000, 2000, 3000, 4000, 6000)
ENTIRE = ("erf", "gelu", "sin", "cos", "gaussian")
KINKED = ("relu", "leaky_relu", "abs", "step", "relu_power")
POLES = ("tanh", "sigmoid", "silu", "softplus")
#: One of each kind in turn, so that the first families cover all kinds.
TURNS = (
    "relu", "tanh", "gelu", "elu", "silu", "sin", "leaky_relu", "sigmoid", "erf", "abs", "softplus",
    "cos", "step", "gaussian", "relu_power",
)  # fmt: skip


class TooLong(Exception):
    """The time for a group is over."""


def drawn(family: int):
    """Return the network and cases with their degrees: [(Case, degree)]."""
    rng = random.Random(f"{SEED}/{family}")
    far = family >= FAMILIES
    feasible = family >= FAMILIES + len(FAR)
    name = TURNS[family % len(TURNS)]
    if far:
        name = (*FAR, *FEASIBLE)[family - FAMILIES]
    power = rng.choice((2, 2, 3)) if name == "relu_power" else None
    network = SimpleNamespace(
        activation=name,
        slope=round(rng.uniform(-0.5, 0.9), 3) if name == "leaky_relu" else None,
        power=power,
        weight_variance=float(f"{math.exp(rng.uniform(math.log(0.1), math.log(9))):.4g}"),
        bias_variance=rng.choice((0.0, float(f"{10 ** rng.uniform(-6, 1):.4g}"))),
    )
    top = 4096 if far else math.exp(rng.uniform(math.log(8), math.log(501)))
    cases = set()
    while len(cases) < (4 if feasible else 6 if far else 34 if family < 6 else 60):
        near = rng.random() < 0.5
        dim = (
            rng.randint(2, 10) if near else round(math.exp(rng.uniform(math.log(2), math.log(1e6))))
        )
        degree = int(math.exp(rng.uniform(0, math.log(top + 1)))) - rng.choice((0, 1))
        if far:
            degree = rng.randint(501, 4096)
        if feasible and name in KINKED:
            dim = rng.randint(2, 10)
        elif feasible:
            most = MOST_ELU if name == "elu" else MOST_TERMS
            if terms_needed(network, dim, degree) >= most:
                continue
        kernel = "nngp" if name == "step" else rng.choice(("nngp", "ntk", "ntk"))
        trained = rng.choice(("all", "hidden")) if kernel == "ntk" else "hidden"
        depth = rng.randint(1, 4) if power is None else rng.randint(1, 2)
        cases.add((Case(dim, kernel, depth, trained), degree))
    return network, sorted(cases)


def groups(network, cases):
    """Split the cases into those for either route, and these by the work that they need."""
    parts = {}
    for case, degree in cases:
        terms = terms_needed(network, case.dim, degree)
        name = network.activation
        cauchy = name in ENTIRE or (terms < MOST_ELU if name == "elu" else case.dim > 32)
        work = bisect(STEPS, terms if cauchy else degree + case.dim)
        parts.setdefault(("cauchy" if cauchy else "balls", work), []).append((case, degree))
    for (method, _), group in sorted(parts.items()):
        yield group, method


def values(network, cases, method):
    degrees = {}
    for case, degree in cases:
        degrees.setdefault(case.dim, []).append(degree)
    degrees = {dim: sorted(set(ks)) for dim, ks in degrees.items()}
    kinds = sorted({case for case, _ in cases})
    if method == "balls":
        found = reference_spectra(network, kinds, degrees, digits=DIGITS + 1)
        rows = {
            case: [mpmath.mpf(0) if x.is_zero else x.value for x in row]
            for case, row in found.items()
        }
    else:
        rows = cauchy_spectra(network, kinds, degrees, digits=DIGITS + 1)
    return {(case, degree): rows[case][degrees[case.dim].index(degree)] for case, degree in cases}


def limited(network, cases, method, limit=LIMIT):
    """Values, or None for all where the time is over or the route gives up."""

    def stop(*_):
        raise TooLong

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        return values(network, cases, method)
    except (TooLong, NotReached, NtkspecError, MemoryError):
        return None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def compared(network, method, found, family):
    """Compare a family's values with the other route's; return those it finishes in time."""
    other = "cauchy" if method == "balls" else "balls"
    cases = [case for case in found if case[0].dim <= MOST_COMPARED]
    again = (limited(network, cases, other, COMPARISON) if cases else None) or {}
    for key, value in again.items():
        if abs(value - found[key]) > abs(value) * mpmath.mpf(10) ** -19:
            raise SystemExit(f"family {family}: the two routes differ at {key}")
    return set(again)


def text(value) -> str:
    with mpmath.workdps(DIGITS + 10):
        return mpmath.nstr(value, DIGITS, min_fixed=0, max_fixed=0) if value else "0"


def rows(family: int):
    """The rows of a family."""
    network, cases = drawn(family)
    for group, method in groups(network, cases):
        start = time.process_time()
        found = limited(network, group, method) or {}
        seconds, last = time.process_time() - start, max(k for _, k in group)
        state = "done" if found else "not done"
        print(family, network.activation, method, len(group), last, f"{seconds:.1f} s", state)
        sys.stdout.flush()
        both = set()
        if family % 7 == 2 and (method == "cauchy" or network.activation in POLES):
            both = compared(network, method, found, family)
        for case, degree in group:
            key = case, degree
            yield (
                family, network.activation, network.slope, network.power,
                network.weight_variance, network.bias_variance, case.depth, case.trained,
                case.kernel, case.dim, degree, text(found[key]) if found else "",
                "balls and cauchy" if key in both else method if found else "not done",
            )  # fmt: skip


def main() -> None:
    """Append what is missing to the file."""
    done = set()
    if PATH.exists():
        with PATH.open() as file:
            done = {int(row["family"]) for row in csv.DictReader(file)}
    every = range(FAMILIES + len(FAR) + len(FEASIBLE))
    for family in map(int, sys.argv[1:]) if sys.argv[1:] else every:
        if family not in done:
            of_family = list(rows(family))
            new = not PATH.exists()
            with PATH.open("a", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerows([FIELDS, *of_family] if new else of_family)


if __name__ == "__main__":
    main()
