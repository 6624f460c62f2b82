"""How spectra decay: the laws derived for a network, and laws fitted to eigenvalues.

`derived` chooses the derivation: `kinks` have power laws, `poles` stretched exponentials, `entire`
activations geometric laws or faster ones.  `form` is what they share, `profile` the values of the
layers at one t, `expectations` their duals where the engine has no closed form, `reach` the degree
from which on a law holds, `fit` the fits.  The derivations are in the manual, "Laws".
"""

from ntkspec.laws.derived import law
from ntkspec.laws.form import Kind, Law

__all__ = ["Kind", "Law", "law"]
