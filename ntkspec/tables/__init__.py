"""Tables of precomputed eigenvalues in HDF5."""

from ntkspec.spectra.table import TableSlice
from ntkspec.tables.table import Table, open_table

__all__ = ["Table", "TableSlice", "open_table"]
