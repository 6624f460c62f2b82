"""One eigenvalue to any number of digits, with the route chosen for the network.

No formula here is one of the engine's.  The Gegenbauer integral is done by quadrature, in balls
(Arb, through python-flint) at a working precision set by the result: with lambda_k = 1e-1000 the
integrand cancels to a thousand digits.

* One hidden layer without bias: `angular` for relu and leaky_relu, `polar` for tanh and sigmoid.
* Weights on a sphere: `sphere`.
* All other networks: `layered`, with the expectations of `expectations`.

The estimates in these files determine the effort, never the value.
"""

from __future__ import annotations

from typing import Any

import mpmath

from ntkspec.parameters import whole_number
from ntkspec.precision import exclusive
from ntkspec.reference.balls.agreement import agreed_value
from ntkspec.reference.balls.angular import AngularIntegral
from ntkspec.reference.balls.layered import reference_spectrum
from ntkspec.reference.balls.polar import TANH, PolarIntegral
from ntkspec.reference.balls.sphere import SphereIntegral
from ntkspec.reference.description import Kernel, Reference, checked_digits, describe

__all__ = ["has_samples", "reference_eigenvalue"]

#: Integrated by `angular`.
ANGULAR = ("relu", "leaky_relu")


def has_samples(network: Any) -> bool:
    """Whether the eigenvalues of a network share the kernel's values at the nodes of a rule.

    Examples
    --------
    >>> has_samples("gelu"), has_samples("relu")
    (True, False)
    """
    net = describe(network)
    plain = net.parts is None and net.depth == 1 and net.bias_variance == 0.0
    shallow = plain and net.activation in (*ANGULAR, *TANH)
    return net.weights == "gaussian" and not shallow


@exclusive()
def reference_eigenvalue(
    network: Any, dim: int, degree: int, *, kernel: Kernel = "ntk", digits: int = 50
) -> Reference:
    """Compute one eigenvalue of a network's kernel independently of the engine.

    Parameters
    ----------
    network : Network, str or object
        An activation's name, or an object with the attributes of a Network; missing ones have
        Network's defaults.
    dim : int
        d >= 2.
    degree : int
        k >= 0.
    kernel : {"ntk", "nngp"}
    digits : int
        Correct decimal digits, 5 to 1000.

    Returns
    -------
    Reference
        The eigenvalue under the uniform probability measure.  A value other than 0 has
        ``error <= 10**-digits * abs(value)``.  For one that cannot be distinguished from 0
        (``is_zero``) the error is 10**-digits times less than its neighbours' sizes.

    Raises
    ------
    NtkspecError
        When a parameter is not allowed, or no two runs agree.

    Notes
    -----
    Funk-Hecke: Dai and Xu, Approximation Theory and Harmonic Analysis on Spheres (2013), theorem
    1.2.9.  Kernels of relu: Cho and Saul 2009, eqs. 6 to 8.

    Examples
    --------
    >>> r = reference_eigenvalue("relu", dim=3, degree=8, digits=20)
    >>> mpmath.nstr(r.value, 15), r.is_zero
    ('0.000278472900390625', False)
    >>> reference_eigenvalue("tanh", dim=3, degree=2).method
    'zero by parity'
    """
    net = describe(network)
    dim, degree = whole_number(dim, "dim", 2), whole_number(degree, "degree", 0)
    digits = checked_digits(digits)
    constant, _ = net.mixture(kernel)
    if net.weights == "sphere":
        return agreed_value(SphereIntegral(net, kernel, dim, degree, digits), digits)
    if has_samples(net):
        return reference_spectrum(net, dim, [degree], kernel=kernel, digits=digits)[0]
    if net.activation in ANGULAR:
        return agreed_value(AngularIntegral(net, kernel, dim, degree, digits), digits)
    if degree % 2 == 0:
        # sigma less its constant is odd, sigma' even: F has the constant in degree 0 and odd
        # degrees, t D has odd degrees.
        value = constant * TANH[net.activation][0] ** 2 if degree == 0 else 0.0
        method = "by parity the activation's constant" if value else "zero by parity"
        return Reference(mpmath.mpf(value), mpmath.mpf(0), method)
    return agreed_value(PolarIntegral(net, kernel, dim, degree, digits), digits)
