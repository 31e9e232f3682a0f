"""
Benchmarks: ``python -m bench [room ...]`` from the root of the repository.

A room joins with a module ``bench/<room>.py`` that holds ``ROOM``, a :class:`bench.harness.Room`.
"""

ROOMS = ("linalg", "sparse")
