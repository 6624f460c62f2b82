"""What is known of each activation function sigma.

Two families cover the poster's four: piecewise linear functions with their one kink at 0, and
affine images of tanh.  Everything else (duals, moments, zeros by symmetry) follows from these
few numbers.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError

__all__ = ["ACTIVATIONS", "Activation", "PiecewiseLinear", "Sigmoidal", "activation"]

DEFAULT_SLOPE = 0.1


@dataclass(frozen=True)
class PiecewiseLinear:
    """sigma(x) = x for x > 0 and slope * x for x < 0; relu has slope 0.

    Its derivative is homogeneous of degree 0, so the weight variance only scales its kernels.
    """

    name: str
    slope: float

    def value(self, x: ArrayLike) -> NDArray[np.float64]:
        """Sigma(x), elementwise, any shape."""
        x = np.asarray(x, dtype=np.float64)
        return np.where(x > 0, x, self.slope * x)

    def derivative(self, x: ArrayLike) -> NDArray[np.float64]:
        """Sigma'(x), elementwise; at the kink the mean of both sides."""
        return self.slope + (1.0 - self.slope) * np.heaviside(np.asarray(x, np.float64), 0.5)


@dataclass(frozen=True)
class Sigmoidal:
    """sigma(x) = offset + amplitude * tanh(rate * x): odd but for a constant."""

    name: str
    offset: float
    amplitude: float
    rate: float

    def value(self, x: ArrayLike) -> NDArray[np.float64]:
        """Sigma(x), elementwise, any shape."""
        return self.offset + self.amplitude * np.tanh(self.rate * np.asarray(x, np.float64))

    def derivative(self, x: ArrayLike) -> NDArray[np.float64]:
        """Sigma'(x), elementwise, any shape."""
        z = np.exp(-2.0 * self.rate * np.abs(np.asarray(x, np.float64)))
        return self.amplitude * self.rate * 4.0 * z / (1.0 + z) ** 2


Activation = PiecewiseLinear | Sigmoidal

#: The names that `activation` knows.
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh")


def activation(name: str, slope: float | None = None) -> Activation:
    """Look an activation function up by its name.

    Parameters
    ----------
    name : {"relu", "leaky_relu", "sigmoid", "tanh"}
    slope : float, optional
        Slope of leaky_relu for negative arguments, 0.1 if not given; no other has one.

    Raises
    ------
    NtkspecError
        For an unknown name (the nearest names are given) or a slope that does not belong.

    Examples
    --------
    >>> activation("leaky_relu", slope=0.2).value([-1.0, 2.0])
    array([-0.2,  2. ])
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        near = difflib.get_close_matches(str(name).lower(), ACTIVATIONS, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else "known are"
        raise NtkspecError(f"activation {name!r} is unknown; {hint} ({', '.join(ACTIVATIONS)})")
    if name == "leaky_relu":
        return PiecewiseLinear(name, _checked_slope(DEFAULT_SLOPE if slope is None else slope))
    if slope is not None:
        raise NtkspecError(f"slope = {slope!r} is given for {name}, but only leaky_relu has one")
    if name == "relu":
        return PiecewiseLinear(name, 0.0)
    if name == "sigmoid":
        return Sigmoidal(name, offset=0.5, amplitude=0.5, rate=0.5)
    return Sigmoidal(name, offset=0.0, amplitude=1.0, rate=1.0)


def _checked_slope(slope: float) -> float:
    try:
        value = float(slope)
    except (TypeError, ValueError):
        raise NtkspecError(
            f"slope = {slope!r} is not a number; allowed is any finite one"
        ) from None
    if not math.isfinite(value) or abs(value) > 1e100:
        raise NtkspecError(f"slope = {slope!r} is not allowed; it must be finite, |slope| <= 1e100")
    return value
