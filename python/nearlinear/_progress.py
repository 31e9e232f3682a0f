"""What a long call shows while it runs, and how it is stopped: ``callback`` and ``verbose``."""

import contextlib
import importlib.util
import logging
import time
from collections.abc import Callable, Iterator
from typing import Literal

from nearlinear import _inputs

Verbose = bool | Literal["progress"]
FractionDone = Callable[[float], object]

logger = logging.getLogger("nearlinear")


@contextlib.contextmanager
def watch(function: str, callback: _inputs.Callback | None, verbose: Verbose) -> Iterator[FractionDone | None]:
    """
    Yield what the core calls every 50 ms or so with the fraction that is done.

    ``verbose=True`` logs at most a line a second to the logger "nearlinear" at level INFO; "progress" shows a tqdm bar
    when tqdm is installed, else logs. ``callback(fraction_done)`` is called in any case and stops the call by returning
    True.
    """
    callback = _inputs.check_callback(callback)
    if verbose is False:
        yield callback
        return
    with _display(function, verbose) as show:

        def show_and_ask(fraction_done: float) -> object:
            show(fraction_done)
            return callback is not None and callback(fraction_done)

        show(0.0)
        yield show_and_ask
        show(1.0)


@contextlib.contextmanager
def _display(function: str, verbose: Verbose) -> Iterator[Callable[[float], object]]:
    if verbose not in (True, "progress"):
        raise ValueError(f"verbose is {verbose!r}; it must be False, True or 'progress'")
    if verbose == "progress" and importlib.util.find_spec("tqdm") is not None:
        from tqdm.auto import tqdm

        with tqdm(total=100, desc=function, bar_format="{desc}: {percentage:3.0f} %|{bar}| {elapsed}") as bar:
            yield lambda fraction_done: bar.update(100 * fraction_done - bar.n)
    else:
        yield _log_every_second(function)


def _log_every_second(function: str) -> Callable[[float], None]:
    next_line = time.monotonic()

    def log(fraction_done: float) -> None:
        nonlocal next_line
        if time.monotonic() >= next_line or fraction_done == 1.0:
            logger.info("%s: %.0f %% done", function, 100 * fraction_done)
            next_line = time.monotonic() + 1

    return log
