"""Spectra of convolutional networks on independent patches.

`compute` is `ntkspec.patches_spectrum`, `pooling` knows the eigenvalues of pooling matrices, `tree`
adds the positive terms of two layers, `result` holds the eigenvalues.
"""
