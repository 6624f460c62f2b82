"""Pointwise kernels against neural-tangents 0.6.5, and where it fails and ours hold.

neural-tangents does not install beside today's JAX; its values were written to the CSV files by
data/make_neural_tangents.py, with 30 digits by a quadrature that uses no dual.
"""

import csv
import itertools
import math

import numpy as np
import pytest
from paths import DATA

from ntkspec.networks import Network

HERE = DATA
PARAMETERS = {
    "slope": float, "power": int, "depth": int, "weight_variance": float, "bias_variance": float,
}  # fmt: skip


def rows(name):
    with (HERE / name).open() as file:
        return list(csv.DictReader(line for line in file if line[0] != "#"))


def groups():
    """Rows by network."""
    found = {}
    for row in rows("neural_tangents.csv"):
        key = row["activation"], *(f"{row[name]}" for name in PARAMETERS if row[name])
        found.setdefault("-".join(key), []).append(row)
    return found


def network(row):
    parameters = {name: kind(row[name]) for name, kind in PARAMETERS.items() if row.get(name)}
    return Network(row["activation"], trained="all", **parameters)


GROUPS = groups()
GRAMS = rows("neural_tangents_gram.csv")


def grams_by_network():
    """A row for each network and number of points; ours do not depend on their precision."""
    names = "activation", "depth", "weight_variance", "bias_variance", "circle"
    return {"-".join(row[name] for name in names): row for row in GRAMS}


def differences(group, kernel, column):
    """Ours less the column's, over the exact kernel at t = 1, where the column has a number."""
    net, top = network(group[0]), abs(float(group[-1][f"exact_{kernel}"]))
    assert group[-1]["t"] == "1.0"
    known = [row for row in group if row[column] != "nan"]
    ours = getattr(net, kernel)([float(row["t"]) for row in known])
    return np.abs(ours - [float(row[column]) for row in known]) / top


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
@pytest.mark.parametrize("name", GROUPS)
def test_ours_are_the_exact_kernels(name, kernel):
    group = GROUPS[name]
    if group[0][f"exact_{kernel}"] == "nan":
        pytest.skip("a step has no tangent kernel")
    assert differences(group, kernel, f"exact_{kernel}").max() < 1e-13


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
@pytest.mark.parametrize("name", [name for name, group in GROUPS.items() if not group[0]["nodes"]])
def test_neural_tangents_closed_forms_agree(name, kernel):
    found = differences(GROUPS[name], kernel, kernel) if exists(name, kernel) else np.zeros(1)
    assert found.max(initial=0.0) < 1e-12


def exists(name, kernel):
    return GROUPS[name][0][f"exact_{kernel}"] != "nan"


def their_error(name, kernel):
    """Over K(1), where they have a number."""
    exact = f"exact_{kernel}"
    top = abs(float(GROUPS[name][-1][exact]))
    pairs = [(float(row[kernel]), float(row[exact])) for row in GROUPS[name]]
    return max((abs(a - b) / top for a, b in pairs if not math.isnan(a)), default=0.0)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
@pytest.mark.parametrize("name", GROUPS)
def test_neural_tangents_against_the_digits(name, kernel):
    """Its closed forms are right to rounding, depth and bias included: one convention."""
    assert their_error(name, kernel) < (0.2 if GROUPS[name][0]["nodes"] else 1e-14)


@pytest.mark.parametrize("activation,least", [("tanh", 1e-4), ("elu", 1e-3)])
def test_neural_tangents_quadrature_holds_few_digits(activation, least):
    assert their_error(f"{activation}-1-1.0-0.0", "ntk") > least


def test_neural_tangents_has_no_number_where_ours_has():
    """Rectified powers, the step included, at t = 1: 0/0 in the formula it differentiates."""
    lost = [row for row in rows("neural_tangents.csv") if row["nngp"] == "nan"]
    assert {row["activation"] for row in lost} == {"step", "relu_power"}
    assert all(math.isfinite(float(row["exact_nngp"])) for row in lost)
    for row in lost:
        assert np.isfinite(network(row).nngp(float(row["t"])))


GENERAL = {}
for row in rows("neural_tangents_general.csv"):
    GENERAL.setdefault(row["layers"], []).append(row)


@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
@pytest.mark.parametrize("layers", GENERAL)
def test_networks_of_parts_agree_with_neural_tangents(layers, kernel):
    """Variances of each layer, readouts, LayerNorm, residual sums and its standard rates."""
    ours = getattr(Network(layers=layers), kernel)([float(row["t"]) for row in GENERAL[layers]])
    theirs = np.array([float(row[kernel]) for row in GENERAL[layers]])
    assert np.abs(ours - theirs).max() < 2e-15 * ours[-1]


def test_its_standard_parameterization_tends_to_ours_over_the_width():
    """n q and 1 of a Dense of n inputs, over n: the first layer (4 inputs) and biases vanish."""
    (layers,) = [key for key in GENERAL if "'erf'" in key and "rates" in key]
    network = Network(
        "relu,erf", weight_variance=2.0, bias_variance=0.1, readout_variance=1.0,
        readout_bias_variance=0.5, trained="all", parameterization="standard",
    )  # fmt: skip
    ours = network.ntk([float(row["t"]) for row in GENERAL[layers]])
    theirs = np.array([float(row["ntk"]) for row in GENERAL[layers]]) / 1024.0
    assert np.all(theirs > ours) and np.all(theirs - ours < 15.0 / 1024.0)


FROZEN = {}
for row in rows("neural_tangents_frozen.csv"):
    key = tuple(row[name] for name in ("activation", "depth", "weight_variance", "bias_variance"))
    FROZEN.setdefault(key, {}).setdefault(int(row["layer"]), []).append(row)


@pytest.mark.parametrize("key", FROZEN, ids="-".join)
def test_frozen_layers_add_nothing(key):
    """Each set of trained layers against neural-tangents' NNGP kernel, differentiated by JAX."""
    activation, *numbers = key
    depth, weight, bias = int(numbers[0]), *map(float, numbers[1:])
    at = [float(row["t"]) for row in FROZEN[key][1]]
    shares = {layer: np.array([float(r["ntk"]) for r in of]) for layer, of in FROZEN[key].items()}
    for count in range(1, depth + 2):
        for trained in itertools.combinations(range(1, depth + 2), count):
            ours = Network(
                activation, depth=depth, weight_variance=weight, bias_variance=bias,
                trained=set(trained),
            )  # fmt: skip
            found = ours.ntk(at) - sum(shares[layer] for layer in trained)
            assert np.abs(found).max() < 4e-15 * ours.ntk(1.0), trained


def theirs(activation, depth, weight_variance, x64):
    wanted = activation, str(depth), str(weight_variance), str(int(x64))
    names = "activation", "depth", "weight_variance", "x64"
    (row,) = [row for row in GRAMS if tuple(row[name] for name in names) == wanted]
    return row


@pytest.mark.parametrize(
    "activation,depth,x64",
    [
        ("relu", 15, False), ("erf", 15, False), ("gelu", 15, False),
        ("erf", 15, True), ("gelu", 15, True), ("relu", 100, True), ("erf", 100, True),
    ],
)  # fmt: skip
def test_neural_tangents_overflows_in_deep_networks_of_large_variance(activation, depth, x64):
    assert int(theirs(activation, depth, 256.0, x64)["not_finite"]) > 0


@pytest.mark.parametrize(
    "activation,depth,weight_variance,x64,least",
    [
        # in single precision, what it runs in unless told otherwise
        ("relu", 50, 1.5, False, 1e-6), ("erf", 50, 1.5, False, 1e-7),
        # in doubles; of these kernels some eigenvalues are exactly or nearly 0
        ("relu", 1, 256.0, True, 1e-11), ("erf", 3, 256.0, True, 1e-12),
    ],
)  # fmt: skip
def test_neural_tangents_matrices_are_indefinite(activation, depth, weight_variance, x64, least):
    row = theirs(activation, depth, weight_variance, x64)
    assert float(row["lowest"]) < -least * float(row["highest"])


@pytest.mark.parametrize("row", grams_by_network().values(), ids=grams_by_network())
def test_our_matrices_are_positive(row):
    """The same points: finite, symmetric, no eigenvalue below 0 but by rounding."""
    points = int(row["circle"])
    angle = 2.0 * np.pi * np.arange(points) / points
    gram = network(row).ntk_matrix(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    assert np.isfinite(gram).all()
    assert np.array_equal(gram, gram.T)
    eigenvalues = np.linalg.eigvalsh(gram)
    assert eigenvalues[0] > -1e-14 * points * eigenvalues[-1]


VECTORS = rows("neural_tangents_vectors.csv")


@pytest.mark.parametrize("name", sorted({row["activation"] for row in VECTORS}))
def test_kernels_between_vectors_agree(name):
    some = [row for row in VECTORS if row["activation"] == name]
    x = np.array([[row[key].split() for key in ("x", "y")] for row in some], float)
    for kernel in ("nngp", "ntk"):
        matrix = getattr(network(some[0]), f"{kernel}_matrix")
        right = np.array([float(row[kernel]) for row in some])
        found = [matrix(pair, fan_in=True)[0, 1] for pair in x]
        # At x = y its angle has an error of 1e-8.
        np.testing.assert_allclose(found, right, rtol=1e-6, atol=0.0)
        apart = np.abs(x[:, 0] - x[:, 1]).max(axis=1) > 0.0
        parallel = np.isclose(*np.linalg.norm([x[:, 0] * 2, x[:, 1]], axis=2))
        few = apart & ~parallel
        np.testing.assert_allclose(np.array(found)[few], right[few], rtol=1e-12)
