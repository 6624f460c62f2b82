"""Scans: the spectra of networks on a grid of domains of any kind, as one tidy table."""

from ntkspec.sweeps.scans.compute import scan
from ntkspec.sweeps.scans.recipe import ScanRecipe, read_scan
from ntkspec.sweeps.scans.result import Scan
from ntkspec.sweeps.scans.run import run_scan

__all__ = ["Scan", "ScanRecipe", "read_scan", "run_scan", "scan"]
