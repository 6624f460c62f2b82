"""Training finite networks for real: the witness that knows nothing of the spectrum."""
