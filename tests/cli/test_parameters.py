"""Every numeric parameter and every word, given what it is not."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkspec import (
    Cube,
    Gaussian,
    Network,
    NtkspecError,
    Sphere,
    certify,
    fit,
    law,
    predict,
    spectrum,
)
from ntkspec.explorer.contents import read_contents
from ntkspec.opening import open_table
from ntkspec.parameters import (
    as_number,
    as_whole,
    number,
    numbers,
    shown,
    vectors,
    whole_number,
)
from ntkspec.ranges import whole_numbers
from ntkspec.spectra import table_block
from ntkspec.sweeps import Batch, Local
from ntkspec.tables.atlas import atlas_path
from ntkspec.trainer.interval import midpoints
from ntkspec.trainer.network import start
from ntkspec.trainer.points import circle, cloud, fibonacci, random_points
from ntkspec.trainer.sobolev import SobolevLoss
from ntkspec.trainer.targets import Term
from ntkspec.verification import sample_entries

LOGS = np.zeros((2, 3))


@pytest.mark.parametrize("check", [numbers, vectors])
def test_masked_entries_and_words_are_no_numbers(check):
    given = np.ma.masked_array(np.ones((3, 2)), np.arange(6).reshape(3, 2) == 3)
    with pytest.raises(NtkspecError, match=r"X\[1, 1\] is masked"):
        check(given, "X")
    plain = check(np.ma.masked_array(np.ones((3, 2)), False), "X")
    assert type(plain) is np.ndarray and plain.tolist() == [[1.0, 1.0]] * 3
    for one in ("1", True):
        with pytest.raises(NtkspecError, match="give numbers"):
            check(np.array([[1.0, one]], object), "X")


#: Whole numbers, each by what takes it; 4 is allowed for all.
WHOLE = {
    "depth": lambda v: Network("relu", depth=v),
    "power": lambda v: Network("relu_power", power=v),
    "dim": lambda v: spectrum("relu", Sphere(v), [1]).eigenvalues[0],
    "dim of a law": lambda v: law("relu", v).power,
    "dim of a cube": lambda v: spectrum("relu", Cube(v), [1]).eigenvalues[0],
    "dim under a Gaussian": lambda v: spectrum("relu", Gaussian(v), [1]).eigenvalues[0, 0],
    "radial": lambda v: spectrum("relu", Gaussian(3, v), [1]).eigenvalues.shape,
    "digits": lambda v: certify("relu", 3, [1], digits=v).balls,
    "max_degree": lambda v: predict.modes("relu", 3, max_degree=v).degrees.size,
    "samples": lambda v: predict.effective_dimension("relu", 3, samples=v).of_samples[0],
    "samples of checks": lambda v: sample_entries(LOGS, [2, 3], [0, 1, 2], samples=v, seed=0),
    "seed of checks": lambda v: sample_entries(LOGS, [2, 3], [0, 1, 2], samples=2, seed=v),
    "width": lambda v: start("relu", v, 3, seed=0).width,
    "dim of a start": lambda v: start("relu", 4, v, seed=0).dim,
    "seed": lambda v: start("relu", 4, 3, seed=v).values(np.eye(3)).tolist(),
    "n": lambda v: circle(v).n,
    "n of fibonacci": lambda v: fibonacci(v).n,
    "n of random points": lambda v: random_points(v, 3, 0).n,
    "n of midpoints": lambda v: midpoints(v).size,
    "workers": lambda v: Local(v),
    "jobs": lambda v: Batch(jobs=v),
}
#: Numbers, each by what takes it; 0.5 is allowed for all.
NUMBERS = {
    "weight_variance": lambda v: Network("relu", weight_variance=v),
    "bias_variance": lambda v: Network("relu", bias_variance=v),
    "slope": lambda v: Network("leaky_relu", slope=v),
    "tolerance": lambda v: spectrum("relu", 3, [1], tolerance=v).eigenvalues[0],
    "error": lambda v: predict.learning_times("relu", 3, error=v, degrees=[1]).times[0],
    "s": lambda v: predict.learning_times("relu", 3, s=v, degrees=[1]).times[0],
    "step_size": lambda v: predict.learning_times("relu", 3, step_size=v, degrees=[1]).times[0],
    "error of samples": lambda v: predict.samples_to_learn("relu", 3, v, degrees=[1]).samples[0],
    "ridge": lambda v: predict.learning_curve("relu", 3, [10], ridge=v).kappa[0],
    "noise": lambda v: predict.learning_curve("relu", 3, [10], noise=v).noise,
    "amplitude": lambda v: Term(1, v, "sine"),
    "s of a loss": lambda v: SobolevLoss(circle(8), v).s,
    "concentration": lambda v: cloud(4, 3, 0, concentration=v).x.tolist(),
}
WORDS = {
    "activation": lambda v: Network(v),
    "trained": lambda v: Network("relu", trained=v),
    "weights": lambda v: Network("relu", weights=v),
    "kernel": lambda v: spectrum("relu", 3, [1], kernel=v),
    "kernel of a law": lambda v: law("relu", 3, kernel=v),
    "kernel of a certificate": lambda v: certify("relu", 3, [1], digits=5, kernel=v),
    "kernel on a cube": lambda v: spectrum("relu", Cube(3), [1], kernel=v),
    "kernel under a Gaussian": lambda v: spectrum("relu", Gaussian(3), [1], kernel=v),
    "kernel of a block": lambda v: table_block("relu", [3], [1], kernel=v),
    "normalization": lambda v: spectrum("relu", 3, [1], normalization=v),
    "weight": lambda v: predict.learning_times("relu", 3, weight=v, degrees=[1]),
    "ridge_scale": lambda v: predict.effective_dimension("relu", 3, ridge_scale=v),
    "start": lambda v: start("relu", 4, 3, seed=0, start=v),
    "precision": lambda v: start("relu", 4, 3, seed=0, precision=v),
    "kind": lambda v: Term(1, 1.0, v),
}


def named(value):
    """The same name of a case in every process: no addresses."""
    return shown(value).partition(" at 0x")[0]


NO_NUMBERS = [
    "4", b"4", "", True, np.True_, [4], (4,), {4}, {}, [], np.array([4]), np.array([0.5]),
    np.array([1.0, 2.0]), np.zeros((1, 1)), object(), 4 + 0j, float("nan"), np.float64("nan"),
    float("-inf"), "\x1b[2J", np.datetime64(4, "s"),
]  # fmt: skip
NO_WHOLE = [*NO_NUMBERS, 4.5, np.float32(0.1), float("inf"), -(10**30), -(10**5000), Decimal("4.5")]
#: Parameters that take a list with a number for each hidden layer.
PER_LAYER = ("weight_variance", "bias_variance")
NO_WORDS = [None, 4, True, b"ntk", ["ntk"], ("relu",), {"ntk"}, np.array(["ntk", "all"]), "", "ntK"]


def refused(call, value):
    with pytest.raises(NtkspecError) as caught:
        call(value)
    message = str(caught.value)
    assert len(message) < 600 and message.isprintable()
    return message


@pytest.mark.parametrize("value", NO_WHOLE, ids=named)
@pytest.mark.parametrize("name", WHOLE)
def test_what_is_no_whole_number_is_refused(name, value):
    assert f"{name.split()[0]} = " in refused(WHOLE[name], value)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_of_all_kinds_are_taken(name):
    expected = WHOLE[name](4)
    for value in (np.int8(4), np.uint64(4), 4.0, np.float32(4.0), np.array(4), np.array(4.0)):
        found = WHOLE[name](value)
        assert found == expected
        assert repr(found) == repr(expected)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=named)
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_is_refused(name, value):
    if name in PER_LAYER and (isinstance(value, (list, tuple)) or np.ndim(value) == 1):
        return  # one for each hidden layer
    assert f"{name.split()[0]} = " in refused(NUMBERS[name], value)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_all_kinds_are_taken(name):
    expected = NUMBERS[name](0.5)
    for value in (np.float64(0.5), np.float32(0.5), np.array(0.5), Decimal("0.5")):
        assert repr(NUMBERS[name](value)) == repr(expected)


@pytest.mark.parametrize("value", NO_WORDS, ids=named)
@pytest.mark.parametrize("name", WORDS)
def test_what_is_no_word_is_refused(name, value):
    if name == "activation" and isinstance(value, tuple):
        return  # one for each hidden layer
    assert name.split()[0] in refused(WORDS[name], value)


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none()))
def test_numbers_by_their_definition(value):
    """as_whole and as_number against what Python's own types say."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    whole = is_number and math.isfinite(value) and value == int(value)
    assert as_whole(value) == (int(value) if whole else None)
    try:
        expected = float(value) if is_number else math.nan
    except OverflowError:
        expected = math.nan
    assert as_number(value) == expected or (math.isnan(as_number(value)) and math.isnan(expected))


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(-8, 8))
def test_bounds(least, most, value):
    allowed = least <= value <= most
    for take in (whole_number, number):
        if allowed:
            assert take(value, "x", least, most) == value
        else:
            with pytest.raises(NtkspecError, match=f"x = {value} is not allowed"):
                take(value, "x", least, most)


# --- ranges --------------------------------------------------------------------------------------

TABLE = atlas_path()


def of_table(take):
    def call(values):
        with open_table(TABLE) as table:
            return take(table, values)

    return call


#: What takes degrees or dimensions in any form.
RANGES = {
    "spectrum": lambda v: spectrum("relu", 3, v),
    "certify": lambda v: certify("relu", 3, v, digits=5),
    "cube": lambda v: spectrum("relu", Cube(10), v),
    "gaussian": lambda v: spectrum("relu", Gaussian(3), v),
    "block": lambda v: table_block("relu", [3], v),
    "block's dims": lambda v: table_block("relu", v, [1]),
    "times": lambda v: predict.learning_times("relu", 3, degrees=v),
    "samples": lambda v: predict.samples_to_learn("relu", 3, degrees=v),
    "select": of_table(lambda t, v: t.select("relu", 3, v)),
    "select's dim": of_table(lambda t, v: t.select("relu", v, 3)),
    "rows": of_table(lambda t, v: next(t.rows("relu", dim=3, degrees=v))),
    "fit": of_table(lambda t, v: fit(t, network="relu", dim=v)),
    "explorer": of_table(lambda t, v: read_contents(t, ["relu"], 3, v)),
    "explorer's dims": of_table(lambda t, v: read_contents(t, ["relu"], v, 3)),
}
LONG = [
    range(10**10),
    range(10**20),
    range(10**30),
    range(-(10**20), 5),
    range(10**20, 0, -1),
    range(3 * 10**9),
    range(-1, 5),
    range(0),
    [],
    [-1],
    [10**20],
    [3, 10**5000],
    10**20,
    -1,
    -(10**5000),
    np.array([-1]),
    np.array([2**63], np.uint64),
    np.array([]),
    [True],
    [2.5],
    [float("nan")],
    ["3"],
    [[3]],
    np.array([[3]]),
    [None],
    [object()],
]
#: Those that read a table choose by a mechanism of their own.
OF_TABLE = ("select", "select's dim", "rows", "fit", "explorer", "explorer's dims")
ENGINE = [name for name in RANGES if name not in OF_TABLE]  # fmt: skip


@pytest.mark.parametrize("values", LONG, ids=named)
@pytest.mark.parametrize("name", ENGINE)
def test_wrong_ranges_are_refused_at_once(name, values):
    refused(RANGES[name], values)


@pytest.mark.parametrize("values", [one for one in LONG if isinstance(one, range)], ids=named)
@pytest.mark.parametrize("name", OF_TABLE)
def test_wrong_ranges_of_a_table_are_refused_at_once(name, values):
    refused(RANGES[name], values)


@pytest.mark.parametrize(
    "values", ["1:6:2", "1,3,5", range(1, 6, 2), [1.0, 3.0, 5.0], np.array([1.0, 3.0, 5.0]),
               (1, np.int8(3), 5), iter([1, 3, 5]), {1: 0, 3: 0, 5: 0}, np.array([1, 3, 5], "u1")],
    ids=named,
)  # fmt: skip
def test_degrees_in_any_form(values):
    assert whole_numbers(values, "degree", 0, 10).tolist() == [1, 3, 5]


def test_degrees_as_text():
    for make in (spectrum, certify):
        assert make("relu", 3, "1:6:2").degrees.tolist() == [1, 3, 5]
    assert spectrum("relu", Cube(10), "1:6:2").degrees.tolist() == [1, 3, 5]
