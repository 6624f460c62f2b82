"""Spectra under a density on the circle and the sphere: docs/density.rst.

`rule` integrates, `blocks` has the harmonics that a density mixes, `solver` their eigenvalues;
`compute` bounds and collects them in a `DensitySpectrum` of `result`.
"""
