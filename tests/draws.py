"""Numbers of examples of tests whose draws are expensive."""

from hypothesis import settings


def examples(quick: int, thorough: int) -> settings:
    """Settings of so many examples in `make test`, and so many in `make test-all`."""
    wide = settings.default.max_examples >= settings.get_profile("default").max_examples
    return settings(max_examples=thorough if wide else quick, deadline=None)
