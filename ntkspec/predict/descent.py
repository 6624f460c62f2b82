"""Decay in a step of gradient descent with momentum, and the best step and momentum."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, shown
from ntkspec.predict.by_degree import Array

__all__ = ["Best", "check_optimizer", "log_times_to", "settled"]

#: What stands for the best value of a step size or a momentum.
Best = Literal["best"]
#: Largest logarithm of the ratio of two rates for which the best momentum is distinguished from 1.
MOST_SPAN = 30.0


def check_optimizer(optimizer: str) -> None:
    """Refuse all optimizers but gradient descent.

    Raises
    ------
    NtkspecError
        For another one, with the reason.

    Examples
    --------
    >>> check_optimizer("adam")
    Traceback (most recent call last):
        ...
    ntkspec.errors.NtkspecError: optimizer = 'adam' is not predicted: its steps are not linear in \
the gradient, so that degrees have no rates of their own; use 'gd', with a momentum if wanted
    """
    if not isinstance(optimizer, str) or optimizer != "gd":
        raise NtkspecError(
            f"optimizer = {shown(optimizer)} is not predicted: its steps are not linear in the "
            "gradient, so that degrees have no rates of their own; use 'gd', with a momentum if "
            "wanted"
        )


def settled(
    log_rates: Array,
    step_size: float | Best | None,
    momentum: float | Best,
    names: NDArray[Any],
    others: Array,
    what: str = "degree",
) -> tuple[float | None, float]:
    """Step size and momentum as numbers; None for gradient flow.

    With l the smallest and L the largest rate that is not 0, the best step for a momentum beta is
    2 (1 + beta) / (L + l), and the best beta with it ((sqrt L - sqrt l) / (sqrt L + sqrt l))^2.
    L counts degrees that nobody asks about: they must not diverge.  Degrees of rate 0 do not count:
    no step learns them.

    Parameters
    ----------
    log_rates : (K,) ndarray
        Of the degrees that are asked about.
    step_size, momentum
    names : (N,) ndarray
        All degrees that must not diverge, for messages.
    others : (N,) ndarray
        Logarithms of their rates.
    what : str
        What one of them is called.

    Raises
    ------
    NtkspecError
        For values that are not allowed, a momentum of gradient flow, and a step size with which a
        degree diverges.

    Examples
    --------
    >>> settled(np.log([0.25]), "best", "best", np.array([1, 2]), np.log([1.0, 0.25]))
    (1.777777777777778, 0.1111111111111111)
    """
    flow = step_size is None
    best_step, best_momentum = _is_best(step_size), _is_best(momentum)
    if best_momentum and not (flow or best_step):
        raise NtkspecError(
            f"momentum = 'best' is not allowed with step_size = {shown(step_size)}; it comes with "
            "the best step size: leave step_size out, or give both as numbers"
        )
    known = np.sort(log_rates[np.isfinite(log_rates)])
    if (best_step or best_momentum) and not known.size:
        raise NtkspecError(
            f"step_size and momentum have no best value; no {what} of these is learned, as "
            "their rates are exactly 0: without a bias the eigenvalues of one parity often are, or "
            "the operator of a residual is; ask about others, or give the network a bias, such as "
            "bias_variance=0.1"
        )
    top = float(np.max(others, initial=-math.inf))
    if (best_step or best_momentum) and top - known[0] > MOST_SPAN:
        raise NtkspecError(
            "step_size and momentum have no best value in doubles; the rates of the degrees differ "
            f"by a factor of e^{top - known[0]:.0f}: leave the slowest out"
        )
    if best_momentum:
        # (sqrt L - sqrt l) / (sqrt L + sqrt l) = tanh(ln(L/l) / 4)
        beta = math.tanh(0.25 * (top - float(known[0]))) ** 2
    else:
        beta = as_number(momentum)
        if not 0.0 <= beta < 1.0:
            raise NtkspecError(
                f"momentum = {shown(momentum)} is not allowed; it must be a number from 0, below "
                "1, or 'best'"
            )
    if best_step or best_momentum:
        return 2.0 * (1.0 + beta) * math.exp(-float(np.logaddexp(top, known[0]))), beta
    if step_size is None:
        if beta:
            raise NtkspecError(
                f"momentum = {beta:g} is not allowed without a step_size, in gradient flow; give "
                "a step_size, or 'best'"
            )
        return None, 0.0
    step = as_number(step_size)
    if not 0.0 < step < math.inf:
        raise NtkspecError(
            f"step_size = {shown(step_size)} is not allowed; it must be a number between 0 and inf"
        )
    most = 2.0 * (1.0 + beta)
    if top + math.log(step) >= math.log(most):
        raise NtkspecError(
            f"step_size = {step:g} is not allowed; {what} {names[int(np.argmax(others))]} "
            f"diverges, it must be below {most * math.exp(-top):.6g}"
        )
    return step, beta


def log_times_to(error: float, log_rates: Array, step_size: float | None, momentum: float) -> Array:
    """ln of the time of gradient flow, or of the number of steps, until a fraction is left.

    Examples
    --------
    >>> float(np.exp(log_times_to(0.1, np.log([0.5]), 1.0, 0.0))[0].round(3))
    3.322
    """
    wanted = math.log(-math.log(error))
    if step_size is None:
        return wanted - log_rates
    return wanted - _log_decay(log_rates + math.log(step_size), momentum)


def _log_decay(log_falls: Array, beta: float) -> Array:
    """ln(-ln|z|), z the larger root of z^2 - (1 + beta - x) z + beta = 0, x = eta lambda mu.

    y = 1 - z of a real root solves y^2 - (1 - beta + x) y + x = 0; beyond the middle of the stable
    range the roots are those of 2 (1 + beta) - x with the other sign.
    """
    x = np.exp(np.minimum(log_falls, 2.0))
    x = np.where(x > 1.0 + beta, 2.0 * (1.0 + beta) - x, x)
    root = math.sqrt(beta)
    # (1 + beta - x)^2 - 4 beta
    square = ((1.0 - root) ** 2 - x) * ((1.0 + root) ** 2 - x)
    real = square > 0.0
    y = 2.0 * x / (1.0 - beta + x + np.sqrt(np.where(real, square, 0.0)))
    with np.errstate(divide="ignore"):
        decay = np.where(real, -np.log1p(-np.minimum(y, 1.0)), -0.5 * np.log(beta))
        # -ln(1 - y) is y where x is below the range of doubles
        tiny = log_falls - math.log1p(-beta)
        return np.where(x > 1e-300, np.log(np.maximum(decay, 1e-320)), tiny)


def _is_best(value: Any) -> bool:
    return isinstance(value, str) and value == "best"
