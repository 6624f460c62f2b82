"""Independent references: eigenvalues by two slow routes that share no code with the engine.

`ntkspec.reference.balls` integrates in ball arithmetic (python-flint), `ntkspec.reference.mpmath`
by Gauss-Jacobi rules in mpmath.  Neither uses the other.  Both read a network's parameters
(`ntkspec.reference.description`) and compute everything else from the definition.
"""
