"""Train finite networks by gradient descent, independently of the spectrum."""
