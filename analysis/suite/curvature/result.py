"""What `curvature` found."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.results import Found, Result


@dataclass(frozen=True)
class Course:
    """The trace along training: its peak, its end, and both as shares of the real ones.

    `below` is the first moment, not before the peak, from which on the trace is smaller than the real one at
    every moment; None if there is none. `error` is the standard error of the peak over probes. Shares are
    None where the real trace is not positive.
    """

    peak: float
    peak_at: int
    peak_to_real: float | None
    below: int | None
    last: float
    last_to_real: float | None
    error: float


@dataclass(frozen=True)
class Traces:
    """Of one set of `images`, in each of `VIEWS`."""

    images: int
    smooth: Course
    raw: Course

    def course(self, view: str) -> Course:
        """That of a view, as named in `VIEWS`."""
        return {"smooth": self.smooth, "raw": self.raw}[view]


@dataclass(frozen=True)
class CurvatureFound(Found):
    """By run key, and for `REAL`, which is all training images where `all_real`.

    Traces are measured every `every` iterations up to `last` by `probes` probes in each of `nets` networks of
    `parameters` weights, spectra at the iterations `spectra`. `agreed` is the share of the largest eigenvalue
    by which estimates of a known rank differ at most, `asymmetry` the largest of any Hessian, `soft` are the
    runs with soft labels.
    """

    sets: dict[str, Traces]
    nets: int
    probes: int
    every: int
    last: int
    spectra: list[int]
    network: str
    parameters: int
    all_real: bool
    agreed: float
    asymmetry: float
    soft: tuple[str, ...]


CurvatureResult = Result[CurvatureFound]
