"""What all tests share."""

from __future__ import annotations

import os
import signal

# A shell that starts the tests in the background leaves Ctrl-C ignored, and so would every process
# that a test starts to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before numpy is imported: processes of pytest-xdist that each use all cores for their matrices
# wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import settings

# The first call of a compiled function may take seconds.
settings.register_profile("ntkspec", deadline=None)
settings.load_profile("ntkspec")
