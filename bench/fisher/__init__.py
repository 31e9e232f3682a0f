"""Benchmarks of nearlinear.fisher."""
