"""Dense linear algebra that several rooms share."""

from nearlinear.linalg._qr import QrFactors, qr, qr_multiply
from nearlinear.linalg._transforms import hadamard_transform

__all__ = ["QrFactors", "hadamard_transform", "qr", "qr_multiply"]
