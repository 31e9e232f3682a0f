"""Pictures of results, where Matplotlib is installed."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearlinear.ot._result import SinkhornIteration


def plot_history(history: "Sequence[SinkhornIteration]", axes: Any = None) -> Any:
    """Draw marginal errors against iterations: Newton steps filled, sweeps hollow, the way of reg along the top."""
    axes = new_axes() if axes is None else axes
    numbers = [iteration.nit for iteration in history]
    errors = [max(iteration.marginal_error, 1e-17) for iteration in history]
    axes.semilogy(numbers, errors, color="0.7", linewidth=1, zorder=1)
    for newton, label, face in ((True, "Newton step", "C0"), (False, "sweep", "white")):
        chosen = [k for k, iteration in enumerate(history) if iteration.newton == newton]
        axes.plot(
            [numbers[k] for k in chosen],
            [errors[k] for k in chosen],
            "o",
            color="C0",
            markerfacecolor=face,
            markersize=5,
            label=label,
        )
    # Each change of reg begins a stretch of its own.
    for before, after in itertools.pairwise(history):
        if after.reg != before.reg:
            axes.axvline(before.nit + 0.5, color="0.9", linewidth=1, zorder=0)
    axes.set(xlabel="iteration", ylabel="marginal error at its regularisation")
    axes.legend(frameon=False)
    return axes


def new_axes() -> Any:
    """Return the axes of a new figure that belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(layout="constrained").subplots()
