"""Eigenvalues of every route, activation and domain, whatever is built around them.

`data/eigenvalues.json` holds what the engine gave when the other tests of accuracy, whose values
come from independent routes, had passed; a change of a formula may change its last digits, a
change of names and rooms may not.  Processors with wider vectors and other mathematical libraries
give other last bits (seen: 4.4e-16), and values of functions of doubles, which are known to some
digits only, other digits within their bounds.
"""

from __future__ import annotations

import json
import math
from functools import partial

import mpmath
import numpy as np
import pytest
from paths import DATA

from ntkspec import Cube, Gaussian, Network, Sphere, ZonalKernel, spectrum, user_activation

#: Relative difference of last digits.
SAME = 2e-15
CASES = json.loads((DATA / "eigenvalues.json").read_text())
USERS = {
    "exp flint": lambda: ZonalKernel(lambda t: (t - 1).exp(), arithmetic="flint"),
    "exp mpmath": lambda: ZonalKernel(lambda t: mpmath.exp(t - 1), arithmetic="mpmath"),
    "exp double": lambda: ZonalKernel(lambda t: np.exp(t - 1)),
    "tanh double": lambda: Network(user_activation(np.tanh, lambda x: 1 / np.cosh(x) ** 2)),
    "tanh flint": lambda: Network(
        user_activation(lambda x: x.tanh(), arithmetic="flint", symmetry="odd")
    ),
    "relu double": lambda: Network(user_activation(lambda x: np.maximum(x, 0.0))),
}


def computed(case):
    given = case["network"]
    source = USERS[given["user"]]() if "user" in given else Network(**given)
    domain = {
        "sphere": Sphere,
        "cube": Cube,
        "gaussian": partial(Gaussian, radial=case.get("radial", 1)),
    }[case["domain"]](case["dim"])
    tolerance = math.inf if "double" in given.get("user", "") else 1e-12
    normalization = case.get("normalization", "probability")
    return spectrum(
        source, domain, case["degrees"], kernel=case["kernel"], normalization=normalization,
        tolerance=tolerance,
    )  # fmt: skip


def named(case):
    return " ".join(map(str, [*case["network"].values(), case["domain"], case["dim"]]))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_values_stay(case):
    found = computed(case)
    stored = [float.fromhex(m) for m in case["mantissas"]]
    value = np.ldexp(found.mantissas.ravel(), found.exponents.ravel() - case["exponents"])
    bound = np.where(found.relative_error.ravel() > 1e-12, 2 * found.relative_error.ravel(), 0.0)
    assert np.array_equal(value == 0.0, np.array(stored) == 0.0)
    assert np.all(np.abs(value - stored) <= np.maximum(SAME, bound) * np.abs(stored))
