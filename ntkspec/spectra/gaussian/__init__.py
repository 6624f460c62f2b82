"""Routes under the Gaussian measure."""
