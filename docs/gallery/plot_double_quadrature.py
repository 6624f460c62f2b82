r"""
Where plain quadrature ends
===========================

The usual way to a spectrum is the Funk-Hecke integral by a Gauss rule in double precision.  Its
error is about :math:`10^{-17}` for every eigenvalue, so smaller eigenvalues are replaced by noise
of either sign, and zeros are never found.  :func:`ntkspec.spectra.quadrature.funk_hecke`
implements this method and estimates the number of correct digits.
"""

import matplotlib.pyplot as plt
import numpy as np

import ntkspec
from ntkspec.plots.pictures import STYLES
from ntkspec.spectra.quadrature import funk_hecke

DIM = 3
k = np.arange(1, 120, 2)
exact = ntkspec.spectrum("tanh", dim=DIM, degrees=k)
plain = funk_hecke(ntkspec.Network("tanh").ntk, DIM, k, nodes=2000)

# %%
# Left: eigenvalues of tanh by both methods.  Right: relative error of the quadrature, its own
# estimate, and the bound of :func:`ntkspec.spectrum`.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
(black, _, _), (red, square, _), (blue, _, _) = STYLES[:3]
left.semilogy(
    k, exact.eigenvalues, "o", color=black, markerfacecolor="white", markersize=4, label="ntkspec"
)
left.semilogy(
    k,
    np.abs(plain.eigenvalues),
    "x",
    color=red,
    markersize=4,
    label="quadrature, 2000 nodes (modulus)",
)
left.set(xlabel="degree $k$", ylabel=r"$\lambda_k$ of tanh, $d = 3$")

error = np.abs(plain.eigenvalues - exact.eigenvalues) / exact.eigenvalues
right.semilogy(k, error, "x", color=red, markersize=4, label="quadrature: error")
right.semilogy(
    k,
    plain.absolute_error / exact.eigenvalues,
    color=red,
    linewidth=1,
    label="quadrature: its bound",
)
right.semilogy(k, exact.relative_error, color=blue, linewidth=1.8, label="ntkspec: its bound")
right.axhline(1, color="0.6", linewidth=0.8, linestyle="--")
right.text(120, 0.1, "no digit is right above", color="0.35", fontsize=10, ha="right", va="top")
right.set(xlabel="degree $k$", ylabel="relative error", ylim=(1e-17, 1e20))
for axes in (left, right):
    axes.grid(color="0.92")
    axes.legend(frameon=False)
plt.show()

# %%
# The degree from which the quadrature has no correct digit, as estimated and as measured:

print("promises none from k =", k[plain.digits == 0][0])
print("has none from k =", k[error > 0.1][0])
