"""Tables of precomputed eigenvalues in HDF5."""

from ntkspec.tables.table import Table, TableSlice, open_table

__all__ = ["Table", "TableSlice", "open_table"]
