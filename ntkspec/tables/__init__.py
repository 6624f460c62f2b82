"""Tables of eigenvalues, in HDF5 files or computed when they are read."""

from ntkspec.spectra.table import TableSlice
from ntkspec.tables.table import Table, open_stored

__all__ = ["Table", "TableSlice", "open_stored"]
