"""Progress of products with a data set's kernel matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ntkspec.jobs.progress import Observer, Progress

__all__ = ["DataProgress", "Tally"]

#: Products that are expected before a rate is known.
EXPECTED = 8


@dataclass(frozen=True)
class DataProgress(Progress):
    """How many rows of the kernel matrix are computed, over all products.

    Attributes
    ----------
    done, total : int
        Rows; the total is an estimate while residuals fall.
    products : int
        Products with the matrix that are done.
    residual : float
        The largest of the residuals that must reach the tolerance, relative to its eigenvalue;
        NaN where none is known.

    Examples
    --------
    >>> DataProgress(30, 80, 3, 1e-3).details(1.0)
    '3 products, residual 0.001'
    """

    products: int = 0
    residual: float = math.nan

    def details(self, seconds: float) -> str:
        """Products that are done, and the largest residual."""
        residual = "" if math.isnan(self.residual) else f", residual {self.residual:.2g}"
        return f"{self.products} product{'s' if self.products != 1 else ''}{residual}"

    def facts(self, seconds: float) -> dict[str, Any]:
        """Return the fields for a JSON log."""
        residual = None if math.isnan(self.residual) else self.residual
        return super().facts(seconds) | {"products": self.products, "residual": residual}


class Tally:
    """Counts rows and products, and reports them to an observer.

    Parameters
    ----------
    observer : Observer
    size : int
        Rows of the matrix.
    tolerance : float, optional
        Residual at which the products end.
    products : int, optional
        Products that there will be, instead.

    Examples
    --------
    >>> class Mine(Observer):
    ...     def progress(self, state):
    ...         print(state.done, state.total)
    >>> Tally(Mine(), 10, products=2).rows(5)
    5 20
    """

    def __init__(
        self, observer: Observer, size: int, tolerance: float = 0.0, products: int = EXPECTED
    ) -> None:
        self._observer, self._size, self._tolerance = observer, size, tolerance
        self._rows, self._expected, self._known = 0, products, tolerance == 0.0
        self._residuals = [math.nan]

    def rows(self, count: int) -> None:
        """Count rows as computed."""
        self._rows += count
        self._report()

    def residual(self, worst: float) -> None:
        """Receive the largest residual after a product."""
        self._residuals.append(worst)
        known = [one for one in self._residuals[-3:] if 0.0 < one < math.inf]
        left = 0.0
        if worst > self._tolerance:
            fall = math.log(known[0] / known[-1]) / (len(known) - 1) if len(known) > 1 else 0.0
            left = math.log(worst / self._tolerance) / max(fall, 0.3) if worst < math.inf else 5.0
        done = self._rows // self._size
        self._expected = done + math.ceil(left) + 1  # the last product gives the residuals

    def end(self) -> None:
        """Report that the work is done."""
        self._expected = max(1, self._rows // self._size)
        self._report()

    def _report(self) -> None:
        total = max(self._expected * self._size, self._rows)
        self._observer.progress(
            DataProgress(self._rows, total, self._rows // self._size, self._residuals[-1])
        )
