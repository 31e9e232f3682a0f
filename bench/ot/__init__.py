"""Benchmarks of nearlinear.ot."""
