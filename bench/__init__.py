"""Benchmarks against the alternatives of a user: `python -m bench [NAME ...]`."""
