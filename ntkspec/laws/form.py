"""The form of a law, and the law of a singularity on or near the real axis."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ntkspec.domains import Domain
from ntkspec.errors import NtkspecError
from ntkspec.networks import Kernel, Network
from ntkspec.networks.full_name import full_name
from ntkspec.results import axes_to_draw, draw_eigenvalues, html_table, law_lines, style_of
from ntkspec.spectra.route import qualified
from ntkspec.zonal import ZonalKernel

__all__ = ["Kind", "Law", "branch_point", "by_parity", "of_parities"]

#: Fraction of the sizes of two singularities to which they cancel.
CANCELS = 1e-10

#: Least degree at which a law that is too large is said to be.
FIRST = 10

#: What is said of a law without a `holds_from`.
NOWHERE = "not within 10 % at any computed degree"

Kind = Literal["power", "stretched", "geometric", "superexponential"]


@dataclass(frozen=True, eq=False, repr=False)
class Law:
    """The decay lambda_k ~ C k**power exp(-rate k**stretch) / k!**factorial, k to infinity.

    Attributes
    ----------
    kind : {"power", "stretched", "geometric", "superexponential"}
    log_constant : float
        log C; NaN where it is not derived.
    power, rate, stretch : float
        The rate of a power law is 0.  The power is NaN if it is not derived, and so is the rate
        of a decay known only to be faster than geometric.
    parity : {0, 1, None}
        Parity of the degrees that follow the law; None: all degrees.
    other : Law or None
        The law of the other parity, if it differs.  If this is None and `parity` is not, the
        other degrees are 0 from some degree on.
    factorial : float
        Power of 1/k!; only for superexponential.
    spectrum : (Network or ZonalKernel, Domain, kernel) or None
        Source, domain and kernel with this law.  Laws with equal numbers are equal.

    Examples
    --------
    >>> from ntkspec.laws import law
    >>> found = law("relu", dim=3)
    >>> found
    Law of relu, dim = 3 (ntk): 0.1592 k^-3, even k
    >>> found.kind, found.power, found.parity
    ('power', -3.0, 0)
    >>> found.holds_from
    10
    """

    kind: Kind
    log_constant: float
    power: float
    rate: float
    stretch: float
    parity: int | None = None
    other: Law | None = None
    factorial: float = 0.0
    spectrum: tuple[Network | ZonalKernel, Domain, Kernel] | None = None

    @property
    def holds_from(self) -> int | None:
        """Degree from which on the law is within 10 % of the spectrum.

        Computed from the spectrum on first use, which takes up to some seconds: the law holds at
        all degrees of its parity from there to at least twice as far, and is closest at the end.
        None if no computed degree qualifies: up to 16384 by closed forms and series, up to 512
        by balls.  The law may then be several times off in all of them: read this before you use
        its numbers.  A printed law does not say it, as that would take these seconds; it names a
        degree from 10 on where the law is too large, if one is seen by the trace alone.

        Examples
        --------
        >>> from ntkspec import Network, law
        >>> law(Network("gelu", depth=4, weight_variance=0.5), dim=3).holds_from is None
        True
        """
        from ntkspec.laws.reach import first_degree

        return None if self.spectrum is None else first_degree(*self.spectrum, self)

    def log_eigenvalue(self, degrees: ArrayLike) -> NDArray[np.float64]:
        """Natural logarithm of the law at degrees >= 1 of its parity, elementwise.

        Examples
        --------
        >>> Law("power", 0.0, -3.0, 0.0, 1.0).log_eigenvalue([1, 10]).round(6)
        array([ 0.      , -6.907755])
        """
        k = np.asarray(degrees, dtype=np.float64)
        log = self.log_constant + self.power * np.log(k) - self.rate * k**self.stretch
        if self.factorial:
            log = log - self.factorial * np.vectorize(math.lgamma)(k + 1.0)
        return np.asarray(log)

    def of_parity(self, parity: int) -> Law | None:
        """Return the law of the even (0) or odd (1) degrees, or None if these end.

        Examples
        --------
        >>> Law("power", 0.0, -3.0, 0.0, 1.0, parity=0).of_parity(1) is None
        True
        """
        if self.parity is None or self.parity == parity:
            return self
        return self.other

    def plot(self, degrees: ArrayLike | None = None, *, ax: Any = None, **style: Any) -> Any:
        """Draw the law on logarithmic axes, dashed where it is off by more than 10 %.

        The label says so where no computed degree is within 10 %.

        Parameters
        ----------
        degrees : array_like of int, optional
            1 to 100 by default; degrees of the other parity are ignored.
        ax, **style
            As for `ntkspec.results.Result.plot`, which returns the axes too.

        Raises
        ------
        NtkspecError
            When the law's constant is not derived.

        Examples
        --------
        >>> from ntkspec.laws import law
        >>> axes = law("relu", dim=3).plot()
        """
        if not math.isfinite(self.log_constant + self.power + self.rate):
            raise NtkspecError(f"{self!r} has numbers that are not derived; it cannot be drawn")
        ax = axes_to_draw(ax)
        k = np.arange(1, 101) if degrees is None else np.asarray(degrees)
        k = k[(k > 0) & ((self.parity is None) | (k % 2 == self.parity))]
        start = 0 if self.spectrum is None else self.holds_from or math.inf
        far = f" ({NOWHERE})" if start == math.inf else ""
        label = self._formula() + far
        line = style_of(len(ax.lines), {"marker": "none", "label": label, **style})
        for part, dashes in law_lines(k, start):
            if part.any():
                logs = self.log_eigenvalue(k[part])
                draw_eigenvalues(ax, k[part], logs, **{"linestyle": dashes, **line})
                line["label"] = None
        return ax

    def _formula(self) -> str:
        """The law as text; "C", "p" and "r" are not derived."""
        if self.kind == "power" and math.isnan(self.power):
            return "a faster decay, not derived"
        if self.kind == "superexponential" and math.isnan(self.rate):
            return "faster than exp(-r k) for every r"
        log = self.log_constant
        constant = "C" if math.isnan(log) else f"exp({log:.4g})"
        if abs(log) < 600.0:
            constant = f"{math.exp(log):.4g}"
        parts = [constant, "k^p" if math.isnan(self.power) else f"k^{self.power:.4g}"]
        if self.rate or math.isnan(self.rate):
            stretch = "" if self.stretch == 1.0 else f"^{self.stretch:.4g}"
            rate = "r" if math.isnan(self.rate) else f"{self.rate:.4g}"
            parts.append(f"exp(-{rate} k{stretch})".replace("--", ""))
        if self.factorial:
            parts.append("/ k!" if self.factorial == 1.0 else f"/ k!^{self.factorial:g}")
        return " ".join(parts)

    def _title(self) -> str:
        if self.spectrum is None:
            return "Law"
        network, domain, kernel = self.spectrum
        where = f"{domain.place}, dim = {domain.dim}"
        return f"Law of {full_name(network)}{where}{qualified(network, kernel)}"

    def __repr__(self) -> str:
        degrees = {0: ", even k", 1: ", odd k", None: ""}[self.parity]
        other = "" if self.other is None else f"; {self.other._formula()}, other k"
        notes = "".join(f"; {note}" for note in self._notes())
        return f"{self._title()}: {self._formula()}{degrees}{other}{notes}"

    def _notes(self) -> list[str]:
        """A degree at which the law is still too large, where that is seen at once."""
        from ntkspec.laws.reach import too_large_at

        most = 0 if self.spectrum is None else too_large_at(*self.spectrum, self)
        return [f"a limit, still too large at k = {most}: see holds_from"] if most >= FIRST else []

    def _repr_html_(self) -> str:
        rows = [({0: "even", 1: "odd", None: "all"}[self.parity], self._formula())]
        if self.parity is not None:
            other = "0 from some degree on" if self.other is None else self.other._formula()
            rows.append((("odd", "even")[self.parity], other))
        return html_table(self._title(), ("degrees k", "eigenvalue"), rows, self._notes())

    def _numbers(self) -> tuple[Any, ...]:
        """The numbers that laws are compared by, with NaN as a string."""
        numbers = (
            self.log_constant, self.power, self.rate, self.stretch, self.parity, self.factorial,
        )  # fmt: skip
        known = tuple("nan" if x != x else x for x in numbers)
        return (self.kind, *known, None if self.other is None else self.other._numbers())

    def __eq__(self, other: object) -> bool:
        return self._numbers() == other._numbers() if isinstance(other, Law) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._numbers())


def by_parity(form: Law, first: float, last: float, main: int | None) -> Law:
    """Law of a kernel with the singular parts `first` f(t) and `last` f(-t), both with one law.

    Degree k has first + (-1)^k last times the form.  `main` is the parity of a kernel whose
    other degrees end; `last` is then not read: its size is that of `first`.
    """
    if main is not None:
        return _times(form, 2.0 * first, main)
    if last == 0.0:
        return _times(form, first, None)
    parts = (first + last, first - last)
    none = replace(form, log_constant=math.nan, power=math.nan, rate=math.nan if form.rate else 0.0)
    # The other parity decays faster where they cancel, by a law that is not derived.
    return of_parities(
        *(none if abs(x) <= CANCELS * abs(first) else _times(form, x, None) for x in parts)
    )


def of_parities(even: Law | None, odd: Law | None) -> Law:
    """The law of even and of odd degrees, None if these end; the larger one first."""
    both = [None if x is None else replace(x, parity=i) for i, x in enumerate((even, odd))]
    known = [x for x in both if x is not None]
    if even is not None and even == odd:
        return even
    known.sort(key=lambda x: (math.isnan(x.log_constant), -x.power, -x.log_constant), reverse=True)
    return replace(known[-1], other=known[0] if len(known) > 1 else None)


def _times(form: Law, factor: float, parity: int | None) -> Law:
    size = math.log(abs(factor)) if factor and math.isfinite(factor) else math.nan
    return replace(form, log_constant=form.log_constant + size, parity=parity)


def branch_point(dim: int, distance: float, order: float) -> Law:
    """Law of (z - t)^(-order), where arccosh(z) or, for imaginary z, arcsinh|z| is `distance`.

    k differentiations by parts (Rodrigues) and Laplace's method at t_0 = z - sqrt(z^2 - 1) give
    lambda_k ~ Gamma(d/2) / Gamma(order) * 2^order t_0^(k + order) (1 - t_0^2)^(d/2 - 1 - order)
    k^(order - d/2).  The sign of Gamma is omitted; this is for z > 1.
    """
    constant = math.lgamma(dim / 2) - math.lgamma(order) + order * (math.log(2.0) - distance)
    constant += (dim / 2 - 1.0 - order) * math.log(-math.expm1(-2.0 * distance))
    return Law("geometric", constant, order - dim / 2, distance, 1.0)
