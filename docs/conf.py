"""Sphinx configuration of the manual."""

from ntkspec import __version__

project = "ntkspec"
author = "ntkspec developers"
release = version = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc"]
html_theme = "furo"
html_title = f"ntkspec {version}"
numpydoc_show_class_members = False
autodoc_typehints = "none"
# The manual is built without PyTorch.
autodoc_mock_imports = ["torch"]
exclude_patterns = ["_build"]
