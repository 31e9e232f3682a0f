"""Pictures of results, where Matplotlib is installed."""

from typing import Any

import numpy as np

SHADES = {"biases": "0.75", "descent": "0.8", "homotopy": "0.9"}  # of the phases before the last lambda is reached


def plot_history(history: Any, axes: Any = None) -> Any:
    """Draw errors against iterations, lambda on an axis of its own where it changes, and shade what leads up to it."""
    axes = new_axes() if axes is None else axes
    iterations = history["iteration"]
    for what in ("training", "validation"):
        errors = np.maximum(history[f"{what}_rmse"], 1e-17)
        if np.isfinite(errors).any():
            axes.semilogy(iterations, errors, ".-", markersize=4, linewidth=1, label=what)
    # Each phase begins a stretch of its own.
    phases = history["phase"]
    begins = np.flatnonzero(np.append(True, phases[1:] != phases[:-1])) if len(phases) > 0 else np.empty(0, np.intp)
    shaded = set()
    for begin, end in zip(begins, np.append(begins[1:], len(phases)), strict=True):
        phase = str(phases[begin])
        if phase in SHADES:
            first, last = iterations[begin] - 0.5, iterations[end - 1] + 0.5
            name = None if phase in shaded else phase
            axes.axvspan(first, last, color=SHADES[phase], linewidth=0, zorder=0, label=name)
            shaded.add(phase)
    lams = history["lam"]
    if np.unique(lams[lams > 0]).size > 1:
        beside = axes.twinx()
        beside.semilogy(iterations, np.where(lams > 0, lams, np.nan), color="0.6", linewidth=1, drawstyle="steps-mid")
        beside.set_ylabel(r"$\lambda$", color="0.4")
    axes.set(xlabel="iteration", ylabel="root mean square error")
    axes.legend(facecolor="white", framealpha=1)
    return axes


def new_axes() -> Any:
    """Return the axes of a new figure that belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(layout="constrained").subplots()
