"""What pytest leaves out when an optional package is missing."""

from importlib.util import find_spec

# Its doctests need PyTorch; tests/test_torch.py then says that it is skipped.
collect_ignore = [] if find_spec("torch") else ["ntkspec/torch.py"]
