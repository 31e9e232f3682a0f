"""Matrices of low rank from some of their entries."""

from nearlinear.completion._complete import complete
from nearlinear.completion._fold_in import FoldIn
from nearlinear.completion._low_rank import Recommendation
from nearlinear.completion._result import Completion, CompletionStep, CompletionWarning

__all__ = ["Completion", "CompletionStep", "CompletionWarning", "FoldIn", "Recommendation", "complete"]
