"""Closed forms as products of rational numbers, carried as scaled double-doubles."""

from __future__ import annotations

import numpy as np
from numba import njit

from ntkspec.kernels.scaled import dd_div, dd_mul, normalized, scaled_times

INV_PI_HI = 0.3183098861837907
INV_PI_LO = -1.9678676675182486e-17
TWO_PI_HI = 6.283185307179586
TWO_PI_LO = 2.4492935982947064e-16


@njit(cache=True)
def first_constant(parity):
    """The dimension 2 or 3, of a parity, and c_d there as a double-double."""
    return (2, INV_PI_HI, INV_PI_LO) if parity == 0 else (3, 0.5, 0.0)


@njit(cache=True)
def raised_constant(dim, high, low, goal):
    """c_d as a double-double from that of a smaller dimension: c_(d+2) = c_d d/(d-1)."""
    for d in range(dim, goal, 2):
        h, e = dd_div(float(d), 0.0, d - 1.0, 0.0)
        high, low = dd_mul(high, low, h, e)
    return high, low


@njit(cache=True)
def funk_hecke_constant(dim):
    """c_d = Gamma(d/2) / (sqrt(pi) Gamma((d-1)/2)) as a double-double."""
    first, high, low = first_constant(dim % 2)
    return raised_constant(first, high, low, dim)


@njit(cache=True)
def sphere_volume(dim):
    """Vol(S^(d-1)) = 2 pi^(d/2) / Gamma(d/2), scaled: times 2 pi / d for d -> d + 2."""
    if dim % 2 == 0:
        high, low, start = TWO_PI_HI, TWO_PI_LO, 2
    else:
        high, low, start = 2.0 * TWO_PI_HI, 2.0 * TWO_PI_LO, 3
    exponent = np.int64(0)
    for d in range(start, dim, 2):
        high, low = dd_mul(high, low, TWO_PI_HI, TWO_PI_LO)
        high, low, exponent = scaled_times(high, low, exponent, 1.0, float(d))
    return normalized(high, exponent)


@njit(cache=True)
def multiplicities(dim, mantissa, exponent):
    """N(d, k) for k = 0, 1, ..., scaled: N(d, k+1) / N(d, k) is rational."""
    high, low, e = 1.0, 0.0, np.int64(0)
    for k in range(mantissa.size):
        mantissa[k], exponent[k] = normalized(high, e)
        if k == 0:  # the general quotient is 0/0 at d = 2
            high = float(dim)
        else:
            a = 2.0 * k + dim
            high, low, e = scaled_times(high, low, e, a * (k + dim - 2.0), (a - 2.0) * (k + 1.0))


@njit(cache=True, inline="always")
def _share(k, dim, dual, tangent):
    """Eigenvalue of degree k >= 2 (even) of dual F + tangent t D of relu, over mu_(k-1)^2."""
    a = k + dim - 1.0
    r = (k - 1.0) / a
    return dual * dim / (a * a) + tangent * (k + (k + dim - 2.0) * (r * r)) / (2.0 * k + dim - 2.0)


@njit(cache=True)
def _first_step(dim, high, low):
    """mu_1^2 of the step function in dimension d, as a double-double, from c_d."""
    high, low = dd_div(high, low, dim - 1.0, 0.0)
    return dd_mul(high, low, high, low)


@njit(cache=True)
def relu_row(dim, high, low, dual, tangent, mantissa, exponent):
    """Even degrees 0, 2, ... of dual F(t) + tangent t D(t), F and D those of relu, variance 1.

    From the step function's Funk-Hecke coefficients, mu_k = c_d/(d-1) P_(k-1)(0) in dimension
    d + 2 for odd k: lambda_k of E[1_u 1_v] is mu_k^2, of a kernel times t the mean of its two
    neighbours, of F it is d (mu_(k-1) / (k+d-1))^2 (integration by parts).  high, low: c_d.
    """
    high, low = _first_step(dim, high, low)
    e = np.int64(0)
    for j in range(mantissa.size):
        k = 2.0 * j
        if j == 0:
            mantissa[0], exponent[0] = normalized(high * (dual * dim + tangent), e)
            continue
        mantissa[j], exponent[j] = normalized(high * _share(k, dim, dual, tangent), e)
        high, low, e = scaled_times(high, low, e, k - 1.0, k + dim - 1.0)
        high, low, e = scaled_times(high, low, e, k - 1.0, k + dim - 1.0)


@njit(cache=True)
def relu_column(degree, dims, dual, tangent, mantissa, exponent):
    """One even degree in increasing dimensions of one parity: mu times d/(d+k-1) a step."""
    # Degree 0 has the coefficient mu of degree 2.
    k = max(float(degree), 2.0)
    dim = dims[0]
    high, low = _first_step(dim, *funk_hecke_constant(dim))
    e = np.int64(0)
    for j in range(2, degree, 2):
        high, low, e = scaled_times(high, low, e, j - 1.0, j + dim - 1.0)
        high, low, e = scaled_times(high, low, e, j - 1.0, j + dim - 1.0)
    for i in range(dims.size):
        while dim < dims[i]:
            high, low, e = scaled_times(high, low, e, float(dim), dim + k - 1.0)
            high, low, e = scaled_times(high, low, e, float(dim), dim + k - 1.0)
            dim += 2
        share = _share(k, dim, dual, tangent) if degree > 0 else dual * dim + tangent
        mantissa[i], exponent[i] = normalized(high * share, e)
