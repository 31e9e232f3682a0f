"""Benchmarks of the completion of matrices of low rank."""
