"""A step of gradient descent of a wide layer, neuron by neuron; no array holds points x neurons.

f(x) = m^(-1/2) sum_r a_r sigma(w_r . x).  For every four neurons, the gradient is summed over
the points, then they move, then their new contribution to f is added; so a step reads and writes
each weight once, and everything else stays in the cache.

Points and their data are stored in blocks, x (blocks, dim, length); the last block is padded with
zeros.  Neurons are divided into slabs with separate sums, so that the result does not depend on
the thread that computes a slab.  The dimension is the length of the tuple `zero`:
loops over it are unrolled when a function is compiled.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numba.extending import overload

from ntkspec.kernels.elementary import constant, fused, plus, tanh, times
from ntkspec.kernels.sigma import slope, value

#: Neurons that are processed together.
GROUP = 4
#: Largest change of an argument of tanh for which `moved_tanh` is exact to the last bit.
SMALL, SMALL_32 = 2e-3, np.float32(0.03)


# --- tuples as vectors of the dimension ----------------------------------------------------------


def dot(w, x, i):
    """<w, x_i>, for the i-th point of a block."""


@overload(dot, jit_options={"error_model": "numpy"})
def _dot(w, x, i):
    last = len(w) - 1
    if last == 0:
        return lambda w, x, i: w[0] * x[0, i]
    return lambda w, x, i: fused(w[last], x[last, i], dot(w[:last], x, i))


def add_scaled(total, s, x, i):
    """Total + s x_i."""


@overload(add_scaled, jit_options={"error_model": "numpy"})
def _add_scaled(total, s, x, i):
    last = len(total) - 1
    if last == 0:
        return lambda total, s, x, i: (plus(total[0], times(s, x[0, i])),)
    return lambda total, s, x, i: (
        *add_scaled(total[:last], s, x, i),
        plus(total[last], times(s, x[last, i])),
    )


def row(w, r, zero):
    """The r-th row of a matrix as a tuple."""


@overload(row, jit_options={"error_model": "numpy"})
def _row(w, r, zero):
    last = len(zero) - 1
    if last == 0:
        return lambda w, r, zero: (w[r, 0],)
    return lambda w, r, zero: (*row(w, r, zero[:last]), w[r, last])


@njit(error_model="numpy", cache=True)
def move_one(w, r, c, size, gradient):
    """w_rc - size gradient, written in its place; returns how it changed, to the last bit."""
    before = w[r, c]
    w[r, c] = fused(-size, gradient, before)
    return w[r, c] - before


def move(w, r, size, gradient):
    """`move_one` for a row and a tuple."""


@overload(move, jit_options={"error_model": "numpy"})
def _move(w, r, size, gradient):
    last = len(gradient) - 1
    if last == 0:
        return lambda w, r, size, gradient: (move_one(w, r, 0, size, gradient[0]),)
    return lambda w, r, size, gradient: (
        *move(w, r, size, gradient[:last]),
        move_one(w, r, last, size, gradient[last]),
    )


def square(v):
    """<v, v> of a tuple."""


@overload(square, jit_options={"error_model": "numpy"})
def _square(v):
    last = len(v) - 1
    if last == 0:
        return lambda v: v[0] * v[0]
    return lambda v: v[last] * v[last] + square(v[:last])


# --- four neurons --------------------------------------------------------------------------------


@njit(error_model="numpy", cache=True)
def rows(w, r, zero):
    """The rows of a group of neurons."""
    return row(w, r, zero), row(w, r + 1, zero), row(w, r + 2, zero), row(w, r + 3, zero)


@njit(error_model="numpy", cache=True)
def weigh_slopes(sigma, w, x, g, out):
    """g_i sigma'(w . x_i) for the points of a block, a row for each neuron."""
    first, second, third, fourth = out[0], out[1], out[2], out[3]
    for i in range(x.shape[1]):
        first[i] = times(g[i], slope(sigma, dot(w[0], x, i)))
        second[i] = times(g[i], slope(sigma, dot(w[1], x, i)))
        third[i] = times(g[i], slope(sigma, dot(w[2], x, i)))
        fourth[i] = times(g[i], slope(sigma, dot(w[3], x, i)))


@njit(error_model="numpy", cache=True)
def weigh_tanh_slopes(rate, w, x, g, out, kept):
    """g_i tanh'(rate w . x_i), and tanh itself into `kept`."""
    one = type(rate)(1)
    for j in range(GROUP):
        mine, t = out[j], kept[j]
        for i in range(x.shape[1]):
            t[i] = tanh(rate * dot(w[j], x, i))
            mine[i] = times(g[i], fused(-t[i], t[i], one))


@njit(error_model="numpy", cache=True)
def sum_points(s, x, total):
    """Add sum_i s_i x_i to the sums of each neuron of a group; two at a time fit the registers."""
    a, b, c, d = total
    first, second, third, fourth = s[0], s[1], s[2], s[3]
    for i in range(x.shape[1]):
        a = add_scaled(a, first[i], x, i)
        b = add_scaled(b, second[i], x, i)
    for i in range(x.shape[1]):
        c = add_scaled(c, third[i], x, i)
        d = add_scaled(d, fourth[i], x, i)
    return a, b, c, d


@njit(error_model="numpy", cache=True)
def move_group(w, r, size, a, gradients):
    """Move the neurons of a group against their gradients; returns how each changed."""
    return (
        move(w, r, size * a[r], gradients[0]),
        move(w, r + 1, size * a[r + 1], gradients[1]),
        move(w, r + 2, size * a[r + 2], gradients[2]),
        move(w, r + 3, size * a[r + 3], gradients[3]),
    )


@njit(error_model="numpy", cache=True)
def add_values(sigma, w, a, r, x, f):
    """Add sum_j a_j sigma(w_j . x_i) over a group to f_i, for the points of a block."""
    for i in range(x.shape[1]):
        v = times(a[r], value(sigma, dot(w[0], x, i)))
        v = plus(v, times(a[r + 1], value(sigma, dot(w[1], x, i))))
        v = plus(v, times(a[r + 2], value(sigma, dot(w[2], x, i))))
        v = plus(v, times(a[r + 3], value(sigma, dot(w[3], x, i))))
        f[i] = plus(f[i], v)


@njit(error_model="numpy", cache=True)
def readout_gradients(sigma, w, x, g):
    """sum_i g_i sigma(w_j . x_i) over a block, for each neuron of a group."""
    zero = type(g[0])(0)
    a, b, c, d = zero, zero, zero, zero
    for i in range(x.shape[1]):
        a = plus(a, times(g[i], value(sigma, dot(w[0], x, i))))
        b = plus(b, times(g[i], value(sigma, dot(w[1], x, i))))
        c = plus(c, times(g[i], value(sigma, dot(w[2], x, i))))
        d = plus(d, times(g[i], value(sigma, dot(w[3], x, i))))
    return a, b, c, d


@njit(error_model="numpy", cache=True)
def moved_tanh(t, change):
    """tanh(z + change) from t = tanh(z), for a small change.

    (t + u)/(1 + t u) = t + (1 - t^2) u/(1 + t u) with u = tanh(change); both by their series, whose
    rests are below change^6.
    """
    one = type(t)(1)
    y = change * change
    u = change * fused(y, fused(y, type(t)(2.0 / 15.0), type(t)(-1.0 / 3.0)), one)
    v = -t * u
    quotient = fused(v, fused(v, fused(v, one + v, one), one), one)
    return fused(fused(-t, t, one) * u, quotient, t)


@njit(error_model="numpy", cache=True)
def add_moved_tanh(sigma, changes, a, r, x, kept, f):
    """`add_values` from the values of tanh before the neurons moved."""
    for j in range(GROUP):
        t, change = kept[j], changes[j]
        readout = a[r + j]
        for i in range(x.shape[1]):
            moved = moved_tanh(t[i], sigma.rate * dot(change, x, i))
            f[i] = plus(f[i], times(readout, fused(sigma.amplitude, moved, sigma.offset)))


# --- a step --------------------------------------------------------------------------------------


@njit(error_model="numpy", cache=True)
def _move_readouts(sigma, w, r, x, g, a, size, width):
    """A step of the readouts of a group; indices beyond the width are padding."""
    zero = type(size)(0)
    total = np.zeros(GROUP, a.dtype)
    for k in range(x.shape[0]):
        sums = readout_gradients(sigma, w, x[k], g[k])
        for j in range(GROUP):
            total[j] += sums[j]
    for j in range(GROUP):
        a[r + j] -= (size if r + j < width else zero) * total[j]


@njit(error_model="numpy", nogil=True, cache=True)
def step(sigma, zero, x, g, w, a, size, width, all_trained, slab, f, first, last):
    """Move the neurons of slabs first to last - 1 by a step, and sum their new contributions to f.

    x (blocks, dim, length) are the points, g (blocks, length) the derivatives of the loss by the
    values there, w (neurons, dim) and a (neurons,) the weights and readouts, moved in place, with
    neurons a multiple of four, filled up with zeros; `size` is the step size over the root of the
    width, which is the number of neurons without padding.  f (slabs, blocks, length) receives the
    sums of a_r sigma(w_r . x) over each slab of `slab` neurons, a multiple of four.
    """
    weighted = np.empty((GROUP, x.shape[2]), x.dtype)
    for s in range(first, last):
        f[s] = zero[0]
        for r in range(s * slab, min((s + 1) * slab, w.shape[0]), GROUP):
            before = rows(w, r, zero)
            gradients = (zero, zero, zero, zero)
            for k in range(x.shape[0]):
                weigh_slopes(sigma, before, x[k], g[k], weighted)
                gradients = sum_points(weighted, x[k], gradients)
            move_group(w, r, size, a, gradients)
            if all_trained:
                _move_readouts(sigma, before, r, x, g, a, size, width)
            after = rows(w, r, zero)
            for k in range(x.shape[0]):
                add_values(sigma, after, a, r, x[k], f[s, k])


@njit(error_model="numpy", nogil=True, cache=True)
def tanh_step(sigma, zero, x, g, w, a, size, width, all_trained, slab, f, first, last):
    """`step` for tanh and sigmoid with fixed readouts: two values of tanh at the cost of one.

    Where the neurons move little, tanh at the new weights comes from that at the old ones.
    """
    small = constant(size, SMALL, SMALL_32)
    weighted = np.empty((GROUP, x.shape[2]), x.dtype)
    kept = np.empty((x.shape[0], GROUP, x.shape[2]), x.dtype)
    scale = size * sigma.amplitude * sigma.rate
    for s in range(first, last):
        f[s] = zero[0]
        for r in range(s * slab, min((s + 1) * slab, w.shape[0]), GROUP):
            before = rows(w, r, zero)
            gradients = (zero, zero, zero, zero)
            for k in range(x.shape[0]):
                weigh_tanh_slopes(sigma.rate, before, x[k], g[k], weighted, kept[k])
                gradients = sum_points(weighted, x[k], gradients)
            changes = move_group(w, r, scale, a, gradients)
            largest = max(
                max(square(changes[0]), square(changes[1])),
                max(square(changes[2]), square(changes[3])),
            )
            if largest * sigma.rate * sigma.rate < small * small:
                for k in range(x.shape[0]):
                    add_moved_tanh(sigma, changes, a, r, x[k], kept[k], f[s, k])
            else:
                after = rows(w, r, zero)
                for k in range(x.shape[0]):
                    add_values(sigma, after, a, r, x[k], f[s, k])


@njit(error_model="numpy", nogil=True, cache=True)
def layer_values(sigma, zero, x, w, a, slab, f, first, last):
    """Sums of a_r sigma(w_r . x) over some slabs; parameters as for `step`."""
    for s in range(first, last):
        f[s] = zero[0]
        for r in range(s * slab, min((s + 1) * slab, w.shape[0]), GROUP):
            here = rows(w, r, zero)
            for k in range(x.shape[0]):
                add_values(sigma, here, a, r, x[k], f[s, k])
