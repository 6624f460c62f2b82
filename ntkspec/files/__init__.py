"""Files: complete HDF5 files or none, seals, and checks of untrusted files."""
