"""How many threads a call uses unless it is told, and the same number as threadpoolctl sees it."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from nearlinear import _core, _inputs


def get_num_threads() -> int:
    """
    Return the number of threads that a call uses when its ``n_threads`` is None.

    At first the environment variable ``NEARLINEAR_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the number of
    processors that this process may run on. `set_num_threads` and threadpoolctl change it.

    Examples
    --------
    >>> import nearlinear as nl
    >>> nl.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def set_num_threads(n_threads: int) -> None:
    """
    Set the number of threads that calls of this process use when their ``n_threads`` is None.

    No result depends on it. To lower it for a while, use threadpoolctl: ``with threadpool_limits(1): ...``

    Parameters
    ----------
    n_threads : int
        At least 1. More than 256 count as 256.

    Examples
    --------
    >>> import nearlinear as nl
    >>> before = nl.get_num_threads()
    >>> nl.set_num_threads(1)
    >>> nl.get_num_threads()
    1
    >>> nl.set_num_threads(before)
    """
    _core.set_num_threads(_inputs.check_thread_count(n_threads))


def _register_controller(threadpoolctl: ModuleType) -> None:
    """Teach threadpoolctl, version 3.2 or later, that the compiled core has a thread pool of its own."""
    if not hasattr(threadpoolctl, "register"):
        return

    class NearlinearController(threadpoolctl.LibController):  # type: ignore[misc, name-defined]
        user_api = "nearlinear"
        internal_api = "nearlinear"
        filename_prefixes = ("_core",)
        check_symbols = ("nearlinear_set_num_threads",)  # other packages have a _core too

        def get_num_threads(self) -> int:
            return _core.get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            _core.set_num_threads(num_threads)

        def get_version(self) -> str:
            return _core.version

    threadpoolctl.register(NearlinearController)


class _RegisterOnImport(MetaPathFinder):
    """
    Registers the controller when somebody imports threadpoolctl, be it after this package.

    Importing threadpoolctl here would cost each user 14 ms for what few need.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "threadpoolctl":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register_controller(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if "threadpoolctl" in sys.modules:
    _register_controller(sys.modules["threadpoolctl"])
else:
    sys.meta_path.insert(0, _RegisterOnImport())
