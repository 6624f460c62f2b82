"""What messages advise is a parameter of the function that was called, or an option of the command.

Each case fails in a function that computes for others; the one that was called may lack what the
inner one has.
"""

import inspect
import re

import command_line
import numpy as np
import pytest

import ntkspec
from ntkspec import Ball, Network, NtkspecError, Sphere, Torus, VonMises, predict
from ntkspec.parameters import lacking, ways
from ntkspec.predict import learning_curve, learning_times, samples_to_learn
from ntkspec.sklearn import NTKRegressor

ADVICE = re.compile(
    r"\b(?:raise|lower|give|set|use|ask for|or|with)(?: an?| the)?(?: larger| smaller| lower)? "
    r"(tolerance|max_degree|count|size|degrees|memory|radial|points|samples)\b"
)
SPREAD = np.random.default_rng(0).standard_normal((20, 3)) * np.geomspace(1e-3, 1e6, 20)[:, None]
TWINS = Ball(3, [1.0, 1.0 + 2.0**-50], radial=2)
STEEP = Sphere(3, density=VonMises(200.0))


@pytest.mark.parametrize(
    "function, call",
    [(NTKRegressor, lambda: NTKRegressor("softplus", fan_in=False).fit(SPREAD, SPREAD[:, 0])),
     (learning_times, lambda: learning_times("erf", TWINS, degrees=[1])),
     (learning_curve, lambda: learning_curve("erf", TWINS, [10], {1: 1.0})),
     (predict.effective_dimension, lambda: predict.effective_dimension("erf", TWINS, 1e-2)),
     (predict.minibatch_curve,
      lambda: predict.minibatch_curve("erf", TWINS, samples=10, batch=2)),
     *((function, lambda function=function, name=name, more=more: function(name, STEEP, **more))
       for name in ("erf", "gelu")
       for function, more in ((learning_times, {"degrees": [700]}),
                              (samples_to_learn, {"max_degree": 700}),
                              (ntkspec.spectrum, {"count": 700}))),
     (samples_to_learn, lambda: samples_to_learn("relu", Torus.plain(2), max_degree=5000)),
     (learning_times, lambda: learning_times("relu", Torus.plain(2), size=5000)),
     (learning_times, lambda: learning_times("relu", Torus([1]), degrees=[10**6])),
     (learning_curve, lambda: learning_curve("relu", Torus([1, 2**19]), [10], {1: 1.0})),
     (predict.choose_features,
      lambda: predict.choose_features("relu", "sigma", [1.0], band=(1, 5000), count=8)),
     (ntkspec.spectrum, lambda: ntkspec.spectrum("relu", Torus.plain(2), 5000)),
     (ntkspec.spectrum, lambda: ntkspec.spectrum("erf", TWINS, [1], tolerance=1e-3))],
)  # fmt: skip
def test_what_is_advised_is_a_parameter_of_the_function_called(function, call):
    with pytest.raises(NtkspecError) as caught:
        call()
    advised = {name for name in ADVICE.findall(str(caught.value)) if name != "radial"}
    assert advised <= set(inspect.signature(function).parameters), str(caught.value)
    assert not str(caught.value).endswith((";", "; "))


def test_the_function_that_has_the_parameter_advises_it():
    with pytest.raises(NtkspecError, match="; raise the tolerance, scale the vectors down"):
        Network("softplus").ntk_matrix(SPREAD)
    with pytest.raises(NtkspecError) as caught:
        NTKRegressor("softplus", fan_in=False).fit(SPREAD, SPREAD[:, 0])
    assert "; scale the vectors down" in str(caught.value)
    # After a failure it is advised again.
    with pytest.raises(NtkspecError, match="raise the tolerance"):
        Network("softplus").ntk_matrix(SPREAD)


@pytest.mark.parametrize(
    "arguments",
    [("eig", "gelu", "--density", "von_mises(200)", "--count", 700),
     ("eig", "relu", "--domain", "torus", "--frequencies", "1,0;0,1", "--size", 5000),
     ("eig", "gelu", "--domain", "ball(radius=[1, 1.0000000000001], radial=2)"),
     ("predict", "samples", "gelu", "--density", "von_mises(200)", "--degrees", 700),
     ("predict", "times", "gelu", "--density", "von_mises(200)", "--degrees", 700)],
)  # fmt: skip
def test_what_commands_advise_is_an_option(arguments):
    done = command_line.ntkspec(*arguments)
    assert done.exit_code != 0
    commands = [str(one) for one in arguments[: 1 + (arguments[0] == "predict")]]
    options = command_line.ntkspec(*commands, "--help").output
    for name in ADVICE.findall(done.output):
        assert f"--{name.replace('_', '-')} " in options, done.output


def test_eig_takes_a_tolerance():
    torus = ("eig", "relu", "--domain", "torus", "--frequencies", "1,0;0,1", "--size", 64)
    few, all_ = (
        command_line.ntkspec(*torus, "--format", "csv", *more).output.count("nan")
        for more in ((), ("--tolerance", "inf"))
    )
    assert few > 0 == all_


def test_ways_are_joined_as_a_sentence():
    three = (("tolerance", "raise it"), "a", ("size", "b"))
    assert ways(*three) == "; raise it, a, or b"
    with lacking("tolerance"):
        assert ways(*three) == "; a, or b"
        with lacking("size"):
            assert ways(*three) == "; a" and ways(three[0]) == ""
    assert ways(*three) == "; raise it, a, or b"
