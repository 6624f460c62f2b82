"""What the first spectrum of a process imports, and that numba keeps its products of matrices."""

import json
import subprocess
import sys

CODE = """
import json, sys
import numba, numpy as np
import ntkspec
ntkspec.spectrum("relu", 3)
heavy = ("flint", "h5py", "matplotlib", "mpmath", "pandas", "rich", "scipy.linalg")
loaded = [name for name in heavy if name in sys.modules]
times = numba.njit(lambda a, b: a @ b)
product = times(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]))
inverse = numba.njit(lambda a: np.linalg.inv(a))(np.diag([2.0, 4.0]))
print(json.dumps([loaded, product.tolist(), inverse.tolist()]))
"""


def test_a_closed_form_imports_no_library_that_it_does_not_use():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    loaded, product, inverse = json.loads(found.stdout)
    assert loaded == []
    assert product == [[2.0, 1.0], [4.0, 3.0]] and inverse == [[0.5, 0.0], [0.0, 0.25]]
