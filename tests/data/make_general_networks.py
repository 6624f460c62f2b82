"""Make general_networks.csv: eigenvalues of networks whose layers are not alike.

From `ntkspec.reference.balls`, which follows the parts by a recursion of its own, to 20 digits.
Run it from the top of the project: python tests/data/make_general_networks.py
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import mpmath

from ntkspec import Network
from ntkspec.errors import NtkspecError
from ntkspec.reference.balls.layered import Case, reference_spectra

#: Dimensions and degrees; the last degrees need tiny eigenvalues, so fewer dimensions have them.
BLOCKS = (((2, 3, 5, 16, 64), (0, 1, 2, 3, 8, 15, 31)), ((3, 16), (199, 200)))
#: Written as in `Network.serial`.
LAYERS = (
    "Linear(1.5, 0.1), 'tanh', Linear(1.5, 0.1), 'gelu', Linear(1.5, 0.1), 'erf', "
    "Linear(1.0, trained=False)",
    "Linear(9.0), 'sin', Linear(1.0), 'sin', Linear(1.0), 'sin', Linear(1.0, trained=False)",
    "Linear(1.0, 0.1), Residual('gelu', Linear(2.0), scale=0.5), Normalize(), 'tanh', Linear(1.0)",
    "Linear(1.0, 0.1), Residual('relu', Linear(2.0), scale=0.5), Normalize(), 'relu', Linear(1.0)",
    "Linear(1.0), Residual('relu', Linear(2.0)), Residual('relu', Linear(2.0)), Linear(1.0)",
    "Linear(1.0, 1.0, bias='zero'), 'relu', Linear(1.0, 1.0, bias='zero'), 'relu', "
    "Linear(1.0, 1.0, bias='zero'), 'relu', Linear(1.0, trained=False)",
    "Linear(1.0, 1.0, bias='zero'), 'relu', Linear(1.0, trained=False)",
    "Linear(1.0, 1.0, bias='zero'), 'relu', Linear(1.0, trained=False), 'relu', Linear(1.0)",
    "Linear(1.0), 'relu', Linear(1.0), 'tanh', Linear(1.0, trained=False)",
    "Linear(1.0, 0.3), Normalize(), 'abs', Linear(1.0, 0.3), Normalize(), 'abs', Linear(1.0)",
    "Linear(1.0), 'relu', Linear(2.0, 0.5, trained=False)",
    "Linear(2.0, 0.1, trained=False), 'tanh', Linear(2.0, 0.1, rates=(1.0, 0.0)), 'tanh', "
    "Linear(1.0, rates=(1.0, 0.0))",
    "Linear(2.0), 'step', Linear(3.0, 0.1), 'step', Linear(1.0)",
    "Linear(0.5), Residual(Linear(1.0, 0.2), 'erf', Linear(1.0)), Normalize(), 'erf', Linear(1.0)",
    "Linear(1.0), Residual('gelu', Linear(1.0), Residual('gelu', Linear(0.5)), 'sin', Linear(1.0)),"
    " 'cos', Linear(1.0)",
    "Linear(1.0), 'leaky_relu(0.3)', Linear(2.0), 'relu_power(2)', Linear(1.0)",
)


def rows(layers: str, dims: tuple[int, ...], degrees: tuple[int, ...]) -> Iterator[list[object]]:
    """Rows of the file for one network."""
    network = Network(layers=layers)
    kernels = ["nngp"]
    try:
        network.check_kernel("ntk")
        kernels.append("ntk")
    except NtkspecError:
        pass
    depth = len(network.sigmas)
    cases = [Case(dim, kernel, depth, "hidden") for kernel in kernels for dim in dims]
    found = reference_spectra(network, cases, degrees, digits=20)
    for case in cases:
        for degree, value in zip(degrees, found[case], strict=True):
            text = "0" if value.is_zero else mpmath.nstr(value.value, 20)
            yield [layers, case.kernel, case.dim, degree, text]


def main() -> None:
    """Write the file beside this one."""
    with (Path(__file__).parent / "general_networks.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["layers", "kernel", "dim", "degree", "eigenvalue"])
        for dims, degrees in BLOCKS:
            for layers in LAYERS:
                writer.writerows(rows(layers, dims, degrees))
                file.flush()
                print(layers, flush=True)


if __name__ == "__main__":
    main()
