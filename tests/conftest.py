"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# The first call of a compiled function may take seconds.
settings.register_profile("ntkspec", deadline=None)
settings.load_profile("ntkspec")
