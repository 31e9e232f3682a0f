"""Dense linear algebra that several rooms share."""

from nearlinear.linalg._transforms import hadamard_transform

__all__ = ["hadamard_transform"]
