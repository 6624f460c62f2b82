"""Sobolev losses for PyTorch: 1/2 r' P r of a residual, on spheres and on intervals.

The operators P are those of `ntkspec.trainer.sobolev` and `ntkspec.trainer.interval`.
"""

from __future__ import annotations

from typing import Literal, TypeGuard, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.errors import NtkspecError
from ntkspec.parameters import one_of
from ntkspec.trainer import interval, sobolev
from ntkspec.trainer.interval import Ends
from ntkspec.trainer.points import Points, circle, from_array
from ntkspec.trainer.sobolev import Weight

try:
    import torch
except ImportError:
    raise ImportError("ntkspec.torch needs PyTorch: pip install 'ntkspec[torch]'") from None

__all__ = ["IntervalLoss", "SobolevLoss"]

Reduction = Literal["mean", "sum", "none"]

#: Distance from the sphere, or from equispaced points, that rounding to single precision leaves.
SINGLE = 1e-6


class _QuadraticLoss(torch.nn.Module):
    """1/2 r' P r, where `weighted` applies P to the last axis."""

    def __init__(self, n: int, reduction: Reduction) -> None:
        super().__init__()
        self.n = n
        self.reduction: Reduction = one_of(reduction, "reduction", get_args(Reduction))

    def weighted(self, r: torch.Tensor) -> torch.Tensor:
        """P r: (..., n) -> (..., n)."""
        raise NotImplementedError

    def forward(self, prediction: torch.Tensor, target: torch.Tensor | None = None) -> torch.Tensor:
        """Loss of the residual prediction - target.

        Parameters
        ----------
        prediction : (n,), (..., n) or (..., n, 1) tensor
            Values at the points, or the residual itself if no target is given.
        target : tensor, optional
            Of the same shape, up to a last axis of length 1; or (n,) for a whole batch.

        Returns
        -------
        tensor
            1/2 r' P r, or its mean or sum over a batch; for the reduction "none" it has the shape
            of the batch.

        Raises
        ------
        NtkspecError
            If the shapes do not fit, or a tensor is neither float32 nor float64.
        """
        r = self._values(prediction, "prediction")
        if target is not None:
            y = self._values(target, "target")
            if y.shape not in (r.shape, (self.n,)):
                raise NtkspecError(
                    f"target of shape {tuple(target.shape)} does not fit a prediction of shape "
                    f"{tuple(prediction.shape)}; give one value for each point"
                )
            r = r - y
        values = 0.5 * (r * self.weighted(r)).sum(-1)
        if self.reduction == "none":
            return values
        return values.mean() if self.reduction == "mean" else values.sum()

    def _values(self, given: torch.Tensor, name: str) -> torch.Tensor:
        """Return a tensor as (..., n), or raise."""
        if not isinstance(given, torch.Tensor):
            raise NtkspecError(f"{name} is a {type(given).__name__}; it must be a torch.Tensor")
        if given.dtype not in (torch.float32, torch.float64):
            raise NtkspecError(f"{name} has dtype {given.dtype}; it must be float32 or float64")
        n, shape = self.n, tuple(given.shape)
        if shape[-1:] == (n,):
            return given
        if shape[-2:] == (n, 1):
            return given.squeeze(-1)
        raise NtkspecError(
            f"{name} of shape {shape} is not allowed; it must be (..., {n}) or (..., {n}, 1), with "
            f"one value for each of {n} points"
        )


class SobolevLoss(_QuadraticLoss):
    """1/2 r' P r of a residual at points on a sphere, which weights each degree k by mu_k.

    Parameters
    ----------
    points : (n, dim) tensor or array_like, or `ntkspec.trainer.points.Points`
        Unit vectors, to 1e-6 in single precision and to 1e-8 otherwise.  For equispaced points on
        the circle, in order from the angle 0, P is applied by FFT.
    weights : (n,) tensor or array_like, or None
        Quadrature weights, non-negative with sum 1 (to the same precision); None for those of
        `Points`, or 1/n.
    s : float
        Exponent: s > 0 gives high degrees more weight, s < 0 less.  With s = dim/2 a wide ReLU
        network learns all degrees at the same speed.
    weight : {"power", "laplacian"}
        mu_k = (1+k)^(2s), or (1 + k(k+dim-2))^s.
    max_degree : int, optional
        Higher degrees have weight 0.  By default the largest that the points resolve.
    reduction : {"mean", "sum", "none"}
        Over a batch of residuals.

    Attributes
    ----------
    numpy : ntkspec.trainer.sobolev.SobolevLoss
        The loss in numpy: its max_degree, its multiplier mu_k, its matrix P, its conventions.

    Raises
    ------
    NtkspecError
        If the reduction is unknown, points are off the sphere or given twice, or
        `ntkspec.trainer.sobolev.SobolevLoss` raises.

    Notes
    -----
    The gradient with respect to r is P r.  Points in single precision are normalized in doubles
    but remain rounded, so their rule is exact for no degree: give `Points` if the exact degree of
    the rule matters.

    P is stored in doubles and converted to the precision and device of the residual, so the loss
    needs no `.to()`, has no parameters, and adds nothing to a state_dict.

    Examples
    --------
    >>> import torch
    >>> from ntkspec.trainer.points import circle
    >>> loss = SobolevLoss(circle(64), None, s=1.0)
    >>> angle = 2 * torch.pi * torch.arange(64, dtype=torch.float64) / 64
    >>> r = torch.sin(3 * angle).requires_grad_()
    >>> value = loss(r)
    >>> round(value.item(), 12)  # mu_3 / 2 times the mean square
    4.0
    >>> value.backward()
    >>> torch.allclose(r.grad, 16 * r / 64)
    True
    """

    def __init__(
        self,
        points: Points | ArrayLike | torch.Tensor,
        weights: ArrayLike | torch.Tensor | None,
        s: float,
        *,
        weight: Weight = "power",
        max_degree: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        rule = _rule(points, weights)
        super().__init__(rule.n, reduction)
        self.numpy = sobolev.SobolevLoss(rule, s, weight, max_degree)
        self._factor = torch.as_tensor(self.numpy.operator.factor)

    def weighted(self, r: torch.Tensor) -> torch.Tensor:
        """P r: (..., n) -> (..., n)."""
        if isinstance(self.numpy.operator, sobolev.Fourier):
            spectrum = torch.fft.rfft(r) * self._fitting(r)
            out: torch.Tensor = torch.fft.irfft(spectrum, self.n)
            return out
        factor = self._fitting(r)
        return (r @ factor.T) @ factor

    def extra_repr(self) -> str:
        """What print() shows."""
        loss = self.numpy
        return f"n={self.n}, s={loss.s:g}, weight={loss.weight!r}, max_degree={loss.max_degree}"

    def _fitting(self, r: torch.Tensor) -> torch.Tensor:
        """The operator's factor in the precision and on the device of r, cached until these change.

        It is always rounded from doubles, so that changing back and forth loses no digits.
        """
        if self._factor.dtype != r.dtype or self._factor.device != r.device:
            # A tensor made in inference mode could not be used in training.
            with torch.inference_mode(False):
                doubles = torch.as_tensor(self.numpy.operator.factor)
                self._factor = doubles.to(dtype=r.dtype, device=r.device)
        return self._factor


class IntervalLoss(_QuadraticLoss):
    """1/2 r' P r of a residual on an interval, which weights each frequency k by mu_k.

    Parameters
    ----------
    n, s, ends, weight, max_degree
        As for `ntkspec.trainer.interval.IntervalLoss`.  For the residual of a second-order
        equation, -u'' = f, s = -1 measures the slope of the error of u, and s = -2 the error
        itself.
    reduction : {"mean", "sum", "none"}
        Over a batch of residuals.

    Attributes
    ----------
    numpy : ntkspec.trainer.interval.IntervalLoss
        The loss in numpy: its max_degree, its multiplier mu_k, its matrix P, its conventions.

    Raises
    ------
    NtkspecError
        If the reduction is unknown, or `ntkspec.trainer.interval.IntervalLoss` raises.

    Notes
    -----
    s = 0 is half the mean square.  P is applied by the FFT of the odd or even continuation.

    Examples
    --------
    >>> import torch
    >>> loss = IntervalLoss(32, s=-1.0)
    >>> r = torch.sin(3 * torch.pi * loss.midpoints(torch.float64))
    >>> round(loss(r).item(), 12)  # 4^-2 / 4
    0.015625
    """

    def __init__(
        self,
        n: int,
        s: float,
        ends: Ends = "dirichlet",
        *,
        weight: Weight = "power",
        max_degree: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        loss = interval.IntervalLoss(n, s, ends, weight, max_degree)
        super().__init__(loss.n, reduction)
        self.numpy = loss
        self.extended = SobolevLoss(
            loss.extended.points, None, s, weight=weight, max_degree=max_degree
        )

    def midpoints(
        self, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> torch.Tensor:
        """Points in (0, 1) at which to sample the residual: (n,), by default torch's precision."""
        dtype = torch.get_default_dtype() if dtype is None else dtype
        return torch.as_tensor(self.numpy.x, dtype=dtype, device=device)

    def weighted(self, r: torch.Tensor) -> torch.Tensor:
        """P r: (..., n) -> (..., n)."""
        parity = self.numpy.parity
        if parity is None:
            return self.extended.weighted(r)
        whole = torch.cat((r, parity * r.flip(-1)), dim=-1)
        return 2.0 * self.extended.weighted(whole)[..., : self.n]

    def extra_repr(self) -> str:
        """What print() shows."""
        return f"n={self.n}, s={self.numpy.s:g}, ends={self.numpy.ends!r}"


def _rule(
    points: Points | ArrayLike | torch.Tensor, weights: ArrayLike | torch.Tensor | None
) -> Points:
    """Points and weights as a rule of the trainer."""
    given = None if weights is None else _plain(weights)
    if _single(given) and abs(np.sum(given, dtype=np.float64) - 1.0) <= SINGLE:
        given = given / np.sum(given, dtype=np.float64)
    if isinstance(points, Points):
        return points if given is None else from_array(points.x, given)
    x = _plain(points)
    return from_array(_unrounded(x) if _single(x) else x, given)


def _unrounded(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Points in single precision as doubles: equispaced on the circle, or normalized."""
    double = x.astype(np.float64)
    if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < 2:
        return double
    if x.shape[1] == 2 and np.all(np.abs(double - circle(len(x)).x) <= SINGLE):
        return circle(len(x)).x
    norms = np.linalg.norm(double, axis=1)[:, np.newaxis]
    near = np.abs(norms - 1.0) <= SINGLE
    return double / np.where(near, norms, 1.0)


def _plain(values: ArrayLike | torch.Tensor) -> ArrayLike:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def _single(values: ArrayLike | None) -> TypeGuard[NDArray[np.float32]]:
    return isinstance(values, np.ndarray) and values.dtype == np.float32
