"""What tests of ot.compat share: POT, where it is installed, and small problems."""

import os
import warnings

import numpy as np
import pytest

from tests.ot import instances, reference

METHODS = ("sinkhorn", "sinkhorn_log", "greenkhorn", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling")
LOGS = {
    "sinkhorn": {"err", "niter", "u", "v"},
    "sinkhorn_log": {"err", "niter", "log_u", "log_v", "u", "v"},
    "greenkhorn": {"n_iter", "u", "v"},
    "sinkhorn_stabilized": {"err", "n_iter", "logu", "logv", "alpha", "beta", "warmstart"},
    "sinkhorn_epsilon_scaling": {"err", "niter", "alpha", "beta", "warmstart"},
}
LAZY_LOG = {"err", "niter", "u", "v", "lazy_plan"}
DIVERGENCE_LOG = {
    *(f"sinkhorn_loss_{case}" for case in ("ab", "a", "b")),
    *(f"log_sinkhorn_{case}" for case in ("ab", "a", "b")),
}


class Pot:
    """POT's functions, called without its warnings: at import, and of its iterations."""

    def __init__(self):
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for backend in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):  # not needed, and slow to import
                if f"POT_BACKEND_DISABLE_{backend}" not in os.environ:
                    patch.setenv(f"POT_BACKEND_DISABLE_{backend}", "1")
            self.module = pytest.importorskip("ot", minversion="0.9")

    def function(self, name):
        return getattr(self.module.smooth if name.startswith("smooth") else self.module.bregman, name)

    def __getattr__(self, name):
        def call(*args, **kwargs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.function(name)(*args, **kwargs)

        return call


def instance(seed):
    """Random masses and costs, and a regularisation at which POT's iteration converges soon."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 16, size=2)
    M = (
        rng.random((n, m))
        if seed % 2
        else reference.squared_distances(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)))
    )
    return (
        rng.dirichlet(np.ones(n)) + 0.01,
        rng.dirichlet(np.ones(m)) + 0.01 * n / m,
        M,
        np.ptp(M) * rng.uniform(0.05, 1),
    )


def clouds(seed=0, n=12, m=9, d=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5


def solved(a, b, M, reg):
    """The reference's plan."""
    solution = reference.solve(a, b, M, reg)
    return reference.plan(solution.f, solution.g, M, reg)


A, B, M = instances.uniform(3), instances.uniform(4), np.arange(12.0).reshape(3, 4) % 5
X_S, X_T = clouds(0, 3, 4, 2)
