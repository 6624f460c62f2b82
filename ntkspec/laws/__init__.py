"""Decay of spectra: laws derived for a network, and laws fitted to eigenvalues.

`derived` chooses the derivation: `kinks` have power laws, `poles` stretched exponentials, `entire`
activations geometric or faster laws.  `form` has the common form, `germs` the kernel near one t by
the rules of the parts, `profile` the layers of networks with a kink at 0, `expectations` duals
without a closed form in the engine, `reach` the degree from which a law holds, `fit` the fits.  The
derivations are in the manual, "Laws".
"""

from ntkspec.laws.derived import law
from ntkspec.laws.form import Kind, Law

__all__ = ["Kind", "Law", "law"]
