"""Run neural-tangents: a JSON request on standard input, its values and times on standard output.

A script for the environment of `requirements.txt`, which has nothing of ntkspec.  The request is
{"x64": bool, "repeats": n, "cases": [case, ...]}.  A case names a network and has "t" (kernels
wanted at these), "points" and "dim" (time for a matrix of so many), or "circle" (extreme
eigenvalues of the matrix of so many equispaced points).

Conventions: Dense with the NTK parameterization divides by the fan-in, so the inputs have norm
sqrt(dim); the readout has W_std = 1 and no bias.  Its NTK is that of all weights.
"""

import json
import platform
import statistics
import sys
import time
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np

# Half of an optional submodule needs TensorFlow; nothing here needs that submodule.
sys.modules["neural_tangents.experimental"] = types.ModuleType("neural_tangents.experimental")
import neural_tangents  # noqa: E402
from neural_tangents import stax  # noqa: E402

CLOSED = {
    "relu": lambda case: stax.Relu(),
    "leaky_relu": lambda case: stax.LeakyRelu(case["slope"]),
    "abs": lambda case: stax.Abs(),
    "erf": lambda case: stax.Erf(),
    "gelu": lambda case: stax.Gelu(),
    "sin": lambda case: stax.Sin(),
    "cos": lambda case: stax.Cos(),
    "gaussian": lambda case: stax.Gaussian(1.0, -0.5),
    "step": lambda case: stax.RectifiedMonomial(0),
    "relu_power": lambda case: stax.RectifiedMonomial(case["power"]),
    "sigmoid": lambda case: stax.Sigmoid_like(),
}
FUNCTIONS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "elu": jax.nn.elu,
    "relu": jax.nn.relu,
    "erf": jax.scipy.special.erf,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
}


def layer(case):
    """Closed form, or Gauss-Hermite quadrature where the case gives its number of nodes."""
    if case.get("nodes"):
        return stax.ElementwiseNumerical(FUNCTIONS[case["activation"]], deg=case["nodes"])
    return CLOSED[case["activation"]](case)


def kernel_of(case):
    """neural-tangents' function (x1, x2, which) -> kernels."""
    weight, bias = case["weight_variance"] ** 0.5, case["bias_variance"] ** 0.5
    layers = []
    for _ in range(case["depth"]):
        layers += [stax.Dense(1, weight, bias, parameterization="ntk"), layer(case)]
    _, _, kernel = stax.serial(*layers, stax.Dense(1, 1.0, 0.0, parameterization="ntk"))
    return kernel


def values(kernel, t):
    """Kernels at t, from points of the plane held in R^4, where sqrt(dim) = 2 is exact."""
    t = np.asarray(t)
    x = np.array([[2.0, 0.0, 0.0, 0.0]])
    y = np.zeros((t.size, 4))
    y[:, 0], y[:, 1] = 2.0 * t, 2.0 * np.sqrt((1.0 - t) * (1.0 + t))
    nngp, ntk = kernel(jnp.asarray(x), jnp.asarray(y), ("nngp", "ntk"))
    return {"nngp": listed(nngp), "ntk": listed(ntk)}


def listed(array):
    """Row 0 as floats, None for what is not finite."""
    return [float(v) if np.isfinite(v) else None for v in np.asarray(array)[0]]


def seconds_per_entry(kernel, case, repeats):
    """Median processor time of the whole matrix over its entries, compiled beforehand."""
    points, dim = case["points"], case["dim"]
    x = np.random.default_rng(0).standard_normal((points, dim))
    x *= np.sqrt(dim) / np.linalg.norm(x, axis=1, keepdims=True)
    x = jnp.asarray(x)
    matrix = jax.jit(lambda x: kernel(x, None, case.get("kernel", "ntk")))
    matrix(x).block_until_ready()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        matrix(x).block_until_ready()
        times.append(time.process_time() - start)
    return statistics.median(times) / points**2


def circle(kernel, points):
    """What a solver would meet: entries that are not finite, and the extreme eigenvalues."""
    angle = 2.0 * np.pi * np.arange(points) / points
    x = np.sqrt(2.0) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gram = np.asarray(kernel(jnp.asarray(x), None, "ntk"), dtype=np.float64)
    bad = int(np.sum(~np.isfinite(gram)))
    if bad:
        return {"not_finite": bad, "lowest": None, "highest": None}
    eigenvalues = np.linalg.eigvalsh(0.5 * (gram + gram.T))
    lowest, highest = float(eigenvalues[0]), float(eigenvalues[-1])
    return {"not_finite": 0, "lowest": lowest, "highest": highest}


def measure(case, repeats):
    """All that a case asks for."""
    kernel = kernel_of(case)
    result = {}
    if "t" in case:
        result.update(values(kernel, case["t"]))
    if "circle" in case:
        result.update(circle(kernel, case["circle"]))
    if "points" in case:
        result["seconds"] = seconds_per_entry(kernel, case, repeats)
    return result


def main():
    """Answer the request."""
    warnings.simplefilter("ignore")
    request = json.load(sys.stdin)
    jax.config.update("jax_enable_x64", request["x64"])
    results = [measure(case, request.get("repeats", 3)) for case in request["cases"]]
    versions = {
        "neural-tangents": neural_tangents.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    json.dump({"versions": versions, "results": results}, sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
