"""Spectra on the torus: Fourier coefficients of K(t(z)), by frequency vectors.

`compute` chooses the route, `powers` adds Taylor series of positive terms, `grids` transforms
values on grids, `reach` knows the exact zeros.
"""
