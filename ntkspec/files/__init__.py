"""Files: recipes as people write them, and HDF5 that appears whole or not at all."""
