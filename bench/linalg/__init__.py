"""Benchmarks of nearlinear.linalg, a module per task."""
