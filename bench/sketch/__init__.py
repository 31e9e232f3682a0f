"""Benchmarks of sketches, and of least squares by them."""
