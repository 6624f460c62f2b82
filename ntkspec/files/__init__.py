"""Files: HDF5 that appears whole or not at all, seals, and checks of files from anyone."""
