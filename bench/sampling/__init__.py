"""Benchmarks of scores of rows, and of samples of rows by them."""
