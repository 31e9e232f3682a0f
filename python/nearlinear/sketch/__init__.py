"""Random sketches, and least squares by them: as accurate as QR, at the speed of memory where there is a way."""

from nearlinear.sketch._families import SketchKind, SketchOperator, sketch
from nearlinear.sketch._kron import KronLstsqResult, kron_lstsq, tensor_srht
from nearlinear.sketch._lstsq import LstsqResult, lstsq
from nearlinear.sketch._ridge import RidgePath, leave_one_out, ridge_path
from nearlinear.sketch._row_sketch import RowSketch
from nearlinear.sketch._solution import SketchSolution, sketch_rows
from nearlinear.sketch._stream import LstsqStream

__all__ = [
    "KronLstsqResult",
    "LstsqResult",
    "LstsqStream",
    "RidgePath",
    "RowSketch",
    "SketchKind",
    "SketchOperator",
    "SketchSolution",
    "kron_lstsq",
    "leave_one_out",
    "lstsq",
    "ridge_path",
    "sketch",
    "sketch_rows",
    "tensor_srht",
]
