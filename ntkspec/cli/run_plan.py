"""``ntkspec train --plan``: what there is to train."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntkspec.trainer.targets import SampledTarget, Target

__all__ = ["named_target"]

#: Degrees of a target that are all written.
FEW = 12


def named_target(target: Target | SampledTarget) -> str:
    """What is to be learned, in words."""
    from ntkspec.trainer.targets import SampledTarget

    degrees = [str(degree) for degree in target.degrees]
    if len(degrees) > FEW:
        degrees = [*degrees[:3], "...", f"{degrees[-1]} ({len(degrees)} degrees)"]
    named = f"degrees {', '.join(degrees)}" if degrees else "no degrees"
    return f"samples with {named}" if isinstance(target, SampledTarget) else named
