"""Gradient descent on 1/2 r' P r, with momentum or on batches, and its largest stable step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

from ntkspec.errors import NtkspecError
from ntkspec.parameters import as_number, number, shown, whole_number
from ntkspec.threads import checked_threads
from ntkspec.trainer.checks import checked_values, checked_vectors
from ntkspec.trainer.network import FiniteNetwork
from ntkspec.trainer.passes import AdamRule, memory_kinds
from ntkspec.trainer.points import Points
from ntkspec.trainer.steps import steps_at
from ntkspec.trainer.targets import SampledTarget, Target

__all__ = [
    "Descent",
    "Diverged",
    "Loss",
    "flattening_exponent",
    "largest_stable_step",
]

#: A loss that exceeds the initial loss by this factor has diverged.
GROWN = 100.0
#: Numbers in a state, beside its arrays.
STATE_NUMBERS = ("steps", "step_size", "largest_stable_step", "first_loss")
#: Relative accuracy of the largest eigenvalue of K P, and digits to which step sizes are rounded
#: down.
EIGENVALUE_TOLERANCE, STEP_DIGITS = 1e-4, 3
#: Up to this many points the matrix is formed, once, instead of some twenty products with it: five
#: to forty times as fast for wide networks, a few hundredths of a second for narrow ones.
FEW_POINTS = 256
#: With more momentum a component takes thousands of steps to answer.
LARGEST_MOMENTUM = 0.9999
#: Default step size as a fraction of the largest stable one: no component overshoots.
SHARE = 0.5
#: Default step size of Adam.
ADAM_STEP = 1e-3


class Loss(Protocol):
    """1/2 r' P r; see `ntkspec.trainer.sobolev`.

    Examples
    --------
    >>> from ntkspec.trainer.points import circle
    >>> from ntkspec.trainer.sobolev import L2Loss
    >>> loss: Loss = L2Loss(circle(4))
    >>> loss.apply([1.0, 0.0, 0.0, 0.0])
    array([0.25, 0.  , 0.  , 0.  ])
    """

    def apply(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """P r."""
        ...


class Diverged(NtkspecError):
    """The loss of a descent grew a hundredfold or became infinite or NaN.

    Examples
    --------
    >>> raise Diverged("step 7: the loss has grown")
    Traceback (most recent call last):
        ...
    ntkspec.trainer.descent.Diverged: step 7: the loss has grown
    """


class Descent:
    """Gradient descent theta <- theta - eta dLoss/dtheta, which updates a network in place.

    Parameters
    ----------
    network : FiniteNetwork
        Updated in place.  `ntkspec.trainer.residual.Applied` trains on A f, as of a PDE.
    x : (n, dim) array_like
        Training points, of any norm.
    target : (n,) array_like
        y; for `Applied` that of A f at the points and then of f at its data.
    loss : Loss
        1/2 r' P r of the residual r = f(x) - y.
    step_size : float, optional
        eta; by default half the largest stable one, and 0.001 for Adam.
    threads : int, optional
        By default one for each processor; the result does not depend on their number.
    state : mapping, optional
        A `state` of an earlier descent, which is continued bit for bit, with its step size; sets
        the weights of the network.
    momentum : float
        beta in [0, 1): a step is beta times the last one less eta times the gradient (heavy ball).
    batch : int, optional
        Points in each step, drawn without replacement; by default all.  Needs a loss that is a sum
        over points (`L2Loss`).  The data of an `Applied` are in each step.
    seed : int
        Of the batches.
    adam : AdamRule, optional
        Adam instead of gradient descent.  Nothing predicts its rates.

    Attributes
    ----------
    network : FiniteNetwork
    step_size, largest_stable_step : float
        The second is infinite for Adam, where it is not known.
    steps : int
        Number of steps done.
    residual : (n,) ndarray of float64
    loss : float

    Raises
    ------
    NtkspecError
        If a parameter is not allowed, or step_size is larger than the largest stable one.

    Examples
    --------
    >>> from ntkspec.trainer.network import start
    >>> from ntkspec.trainer.points import circle
    >>> from ntkspec.trainer.sobolev import L2Loss
    >>> points = circle(16)
    >>> network = start("relu", 1024, 2, seed=0)
    >>> descent = Descent(network, points.x, points.x[:, 0], L2Loss(points))
    >>> before = descent.loss
    >>> descent.advance(100)
    >>> descent.steps, bool(descent.loss < 1e-3 * before)
    (100, True)
    """

    def __init__(
        self,
        network: FiniteNetwork,
        x: ArrayLike,
        target: ArrayLike,
        loss: Loss,
        step_size: float | None = None,
        threads: int | None = None,
        state: Mapping[str, Any] | None = None,
        *,
        momentum: float = 0.0,
        batch: int | None = None,
        seed: int = 0,
        adam: AdamRule | None = None,
    ) -> None:
        self.network, self._loss = network, loss
        self._x = checked_vectors(x, network.dim, math.inf)
        seen = network.observations(len(self._x))
        self._y = checked_values(target, seen, "target", finite=True)
        self._points = np.ascontiguousarray(self._x, dtype=network.dtype)
        self._threads = checked_threads(threads)
        self._momentum = number(momentum, "momentum", 0.0, LARGEST_MOMENTUM)
        self._adam = adam
        self._kinds = memory_kinds(self._momentum, adam)
        self._seed = whole_number(seed, "seed", 0)
        self._batch = self._checked_batch(batch)
        self._at_start = (
            np.zeros(len(self._y)) if network.origin is None
            else network.origin.values(self._points, self._threads)
        )  # fmt: skip
        self.steps = 0
        if state is not None:
            if step_size is not None:
                raise NtkspecError("step_size is that of the state; leave it out")
            self._restore(state)
        self._steps = self._steps_at(self._points)
        if state is None:
            self.largest_stable_step = math.inf if adam else largest_stable_step(
                network, self._x, loss, momentum=self._momentum, threads=self._threads
            )  # fmt: skip
            self.step_size = self._checked_step_size(step_size)
            self._measure(self._steps.values())
            self._first_loss = self.loss

    def _steps_at(self, points: NDArray[Any]) -> Any:
        return steps_at(self.network, points, self._threads, self._momentum, self._adam, self.steps)

    def _checked_batch(self, batch: int | None) -> int | None:
        if batch is None:
            return None
        count = whole_number(batch, "batch", 1, len(self._x))
        if not getattr(self._loss, "by_points", False):
            raise NtkspecError(
                f"batch = {count} is not allowed with this loss, which couples all points; use L2"
            )
        return None if count == len(self._x) else count

    def _restore(self, state: Mapping[str, Any]) -> None:
        known = state if isinstance(state, Mapping) else {}
        memory = self.network.memory(self._kinds)
        likes = {**self.network.parameters, **memory, "residual": self._y}
        if missing := [name for name in (*likes, *STATE_NUMBERS) if name not in known]:
            raise NtkspecError(
                f"state is not allowed; it has no {', '.join(missing)}: give what Descent.state() "
                "returned"
            )
        arrays = {name: np.array(state[name]) for name in likes}
        for name, found in arrays.items():
            like, real = likes[name], found.dtype.kind in "fiu"
            if found.shape != like.shape or not real or not np.isfinite(found).all():
                raise NtkspecError(
                    f"state[{name!r}] of shape {found.shape} is not allowed; this network needs "
                    f"shape {like.shape} and finite numbers"
                )
        self.step_size, self.largest_stable_step, self._first_loss = (
            number(state[name], name, 0.0, math.inf)
            for name in ("step_size", "largest_stable_step", "first_loss")
        )
        self.steps = whole_number(state["steps"], "steps", 0)
        for name, one in (self.network.parameters | memory).items():
            one[...] = arrays[name]
        self._set_residual(arrays["residual"].astype(np.float64))

    def state(self) -> dict[str, Any]:
        """Copies of everything that a later `Descent` needs to go on."""
        arrays = self.network.parameters | self.network.memory(self._kinds)
        return {name: one.copy() for name, one in arrays.items()} | {
            "residual": self.residual.copy(),
            "steps": self.steps,
            "step_size": self.step_size,
            "largest_stable_step": self.largest_stable_step,
            "first_loss": self._first_loss,
        }

    def advance(self, count: int = 1) -> None:
        """Do `count` steps.

        Raises
        ------
        Diverged
            If the loss is no longer finite or has grown a hundredfold.  The message names the
            step, the cause and the largest stable step size.
        """
        with np.errstate(all="ignore"):  # the loss is checked
            if self._batch is not None:
                self._advance_by_batches(count)
                return
            for _ in range(count):
                values = self._steps.step(self._derivative, self.step_size)
                self.steps += 1
                self._measure(values)
                self._check()

    def _advance_by_batches(self, count: int) -> None:
        n, batch = len(self._x), self._batch
        assert batch is not None
        data = np.arange(n, len(self._y))
        for _ in range(count):
            # Of the step alone, so that an interrupted descent goes on with the same batches.
            chosen = np.random.default_rng([self._seed, self.steps]).permutation(n)[:batch]
            chosen.sort()
            steps = self._steps_at(self._points[chosen])
            seen = np.concatenate((chosen, data))
            residual = np.zeros(len(self._y))
            residual[seen] = steps.values() - self._at_start[seen] - self._y[seen]
            derivative = self._loss.apply(residual)[seen]
            derivative[:batch] *= n / batch
            steps.step(derivative, self.step_size, last=True)
            self.steps += 1
            if not np.isfinite(derivative).all():
                break
        self._measure(self._steps.values())
        self._check()

    def _check(self) -> None:
        if not self.loss <= GROWN * self._first_loss:
            raise Diverged(self._divergence())

    def _measure(self, values: NDArray[np.float64]) -> None:
        self._set_residual(values - self._at_start - self._y)

    def _set_residual(self, residual: NDArray[np.float64]) -> None:
        self.residual = residual
        with np.errstate(all="ignore"):  # `advance` checks the loss
            self._derivative = self._loss.apply(residual)
            self.loss = 0.5 * float(residual @ self._derivative)

    def _checked_step_size(self, step_size: float | None) -> float:
        most = self.largest_stable_step
        if step_size is None:
            return ADAM_STEP if self._adam else _rounded_down(SHARE * most)
        asked = as_number(step_size)
        if not asked > 0.0:
            raise NtkspecError(
                f"step_size = {shown(step_size)} is not allowed; it must be a number > 0"
            )
        if asked > most:
            raise NtkspecError(
                f"step_size = {asked:g} is not allowed; the largest stable step size is "
                f"{most:.4g} ({'2' if not self._momentum else '2 (1 + momentum)'} over the largest "
                "eigenvalue of K P)"
            )
        return asked

    def _divergence(self) -> str:
        cause = (
            f"the loss grew from {self._first_loss:.3g} to {self.loss:.3g}"
            if math.isfinite(self.loss)
            else f"the loss became {self.loss}"
        )
        most = (
            "take a smaller one" if self._adam
            else f"and {self.largest_stable_step:.4g} was the largest stable one at the start"
        )  # fmt: skip
        if self._batch is not None and not self._adam:
            most += " for all points; that of batches is smaller (predict.minibatch_curve)"
        return (
            f"training diverged at step {self.steps}: {cause}; the step size is "
            f"{self.step_size:.4g}, {most}"
        )


def largest_stable_step(
    network: FiniteNetwork,
    x: ArrayLike,
    loss: Loss,
    *,
    momentum: float = 0.0,
    threads: int | None = None,
) -> float:
    """2 (1 + momentum) over the largest eigenvalue of K P, K the network's own tangent kernel.

    Rounded down to three digits, so that it does not depend on the order of sums.

    Raises
    ------
    NtkspecError
        If K P is zero: nothing would be learned.

    Examples
    --------
    >>> from ntkspec.trainer.network import start
    >>> from ntkspec.trainer.points import circle
    >>> from ntkspec.trainer.sobolev import L2Loss
    >>> network = start("relu", 2**16, 2, seed=0)
    >>> largest_stable_step(network, circle(32).x, L2Loss(circle(32)))  # 2 / lambda_1, about
    15.9
    """
    points = np.asarray(x)
    if len(points) <= FEW_POINTS:
        kernel = network.tangent_matrix(points, threads)
        product = kernel @ np.stack([loss.apply(e) for e in np.eye(len(kernel))])
        largest = float(np.max(np.abs(np.linalg.eigvals(product))))
    else:
        largest = _largest_eigenvalue(network.tangent_operator(points, threads), loss)
    if not largest > 0.0 or not math.isfinite(largest):
        raise NtkspecError("K P is zero at the start: this network learns nothing with this loss")
    return _rounded_down(2.0 * (1.0 + momentum) / largest)


def _largest_eigenvalue(kernel: LinearOperator, loss: Loss) -> float:
    n = kernel.shape[0]

    def apply(v: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(kernel.matvec(loss.apply(np.ravel(v))))

    # A random start has a component along every eigenvector.
    begin = np.random.default_rng(0).standard_normal(n)
    try:
        found = eigs(
            LinearOperator((n, n), matvec=apply, dtype=np.float64), k=1, which="LM", v0=begin,
            tol=EIGENVALUE_TOLERANCE, return_eigenvectors=False, maxiter=200,
        )  # fmt: skip
    except ArpackNoConvergence as error:
        raise NtkspecError(
            "the largest stable step size could not be found: the largest eigenvalue of K P did "
            f"not converge ({error}); give step_size"
        ) from None
    return float(np.abs(found[0]))


def flattening_exponent(
    network: FiniteNetwork, points: Points, target: Target | SampledTarget, weight: str = "power"
) -> float:
    """The exponent s that makes the rates of a target's degrees as equal as possible.

    For an activation with a kink whose order-th derivative jumps, lambda_k falls like
    k^-(d + 2 (order - 1)), and s = d/2 + order - 1 makes lambda_k mu_k flat (d/2 for ReLU).
    For others s is fitted by least squares to the logarithms of lambda_k at the target's degrees,
    with lambda_k = <Y_k, H Y_k> from the network's own kernel at the points.

    Parameters
    ----------
    network : FiniteNetwork
    points : Points
    target : Target or SampledTarget
    weight : {"power", "laplacian"}

    Returns
    -------
    float
        Rounded to two decimals if it is fitted.

    Raises
    ------
    NtkspecError
        If the target has fewer than two degrees that the network learns.

    Examples
    --------
    >>> from ntkspec.trainer.network import start
    >>> from ntkspec.trainer.points import circle
    >>> from ntkspec.trainer.targets import Target, Term
    >>> network = start("relu", 64, 2, seed=0)
    >>> flattening_exponent(network, circle(32), Target((Term(1, 1.0, "sine"),)))
    1.0
    """
    sigmas = network.network.sigmas
    orders = [sigma.singularity.order for sigma in sigmas if sigma.singularity.kind == "kink"]
    if orders and None not in orders:
        dim = points.dim if points.features is None else points.features.dim + 1
        return 0.5 * dim + min(orders) - 1
    degrees = np.array(sorted(target.degrees))
    kernel, rates = network.tangent_operator(points.x), np.empty(degrees.size)
    for i, k in enumerate(degrees.tolist()):
        part = target.component(k, points.at)
        assert part is not None  # it is a degree of the target
        rates[i] = (points.weights * part) @ kernel.matvec(points.weights * part)
    learned = rates > 1e-6 * rates.max(initial=0.0)
    if np.count_nonzero(learned) < 2:
        raise NtkspecError(
            's = "auto" needs a target with two degrees or more that the network learns; '
            f"of {degrees.tolist()} it learns {degrees[learned].tolist()}"
        )
    k = degrees[learned].astype(np.float64)
    power = weight == "power"
    base = 2.0 * np.log1p(points.lengths(k)) if power else np.log1p(points.laplacian(k))
    slope = np.polyfit(base, np.log(rates[learned]), 1)[0]
    return round(-float(slope), 2)


def _rounded_down(value: float) -> float:
    """The value rounded down to its first digits."""
    scale = 10.0 ** (math.floor(math.log10(value)) - STEP_DIGITS + 1)
    return float(f"{math.floor(value / scale) * scale:.{STEP_DIGITS}g}")
