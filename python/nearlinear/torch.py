"""Optimisers for PyTorch. This module needs it, and nothing else here does: ``pip install 'nearlinear[torch]'``."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import torch

from nearlinear import _inputs
from nearlinear.fisher import SlidingFisherInverse


class MFAC(torch.optim.Optimizer):
    r"""
    M-FAC: stochastic gradient descent, preconditioned by the inverse of the Fisher matrix of the last gradients.

    .. math:: u_t = F_t^{-1} g_t,\qquad F_t = \lambda I + \frac1s \sum_{i \le t} g_i g_i^T,\qquad
              v_t = \mu v_{t-1} + (1 - \mu) u_t,\qquad p_t = p_{t-1} - \mathrm{lr}\, v_t

    over a window of the last gradients, the newest one included. One window for all parameters together.

    Parameters
    ----------
    params : iterable of torch.Tensor
        Tensors on the CPU, of float32 or float64, all of one type.
    lr : float, default 1e-3
        Step length.
    momentum : float, default 0
        :math:`0 \le \mu < 1`.
    weight_decay : float, default 0
        Added to the gradient as ``weight_decay * p`` before it comes into the window, or with
        `decoupled_weight_decay`, ``lr * weight_decay * p`` is taken from the weights.
    decoupled_weight_decay : bool, default False
    n_grads : int, default 1024
        Size of the window.
    damping : float, default 1e-5
        :math:`\lambda`, absolute.
    momentum_style : {"ema", "heavy_ball"}, default "ema"
        :math:`v_t = \mu v_{t-1} + (1 - \mu) u_t`, or :math:`v_t = \mu v_{t-1} + u_t`.
    normalize : {"capacity", "count"}, default "capacity"
        s, `n_grads` or the number of gradients held. The first is what the authors' optimiser does: while the window
        fills, its steps are longer than those of the second by ``n_grads`` over the number held.
    storage : {"float32", "float64", "float16", "bfloat16"}, optional
        As for `nearlinear.fisher.SlidingFisherInverse`; by default the parameters' type.
    n_threads : int, optional
        Upper limit on the number of threads.

    Raises
    ------
    ValueError
        If an option is out of range or the parameters are not of one type on the CPU. In `step`, if a gradient has an
        entry that is NaN or infinite: nothing has changed then.

    Notes
    -----
    The defaults reproduce the authors' optimiser [1]_. A parameter whose ``grad`` is None counts as one with gradient
    zero. The window is part of `state_dict`, so that training goes on from a checkpoint with the same bits.

    References
    ----------
    .. [1] E. Frantar, E. Kurtic, D. Alistarh, "M-FAC: Efficient matrix-free approximations of second-order
       information", NeurIPS 2021.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        decoupled_weight_decay: bool = False,
        n_grads: int = 1024,
        damping: float = 1e-5,
        momentum_style: Literal["ema", "heavy_ball"] = "ema",
        normalize: Literal["capacity", "count"] = "capacity",
        storage: Literal["float64", "float32", "float16", "bfloat16"] | None = None,
        n_threads: int | None = None,
    ) -> None:
        lr = _inputs.check_real("lr", lr)
        weight_decay = _inputs.check_real("weight_decay", weight_decay)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is {momentum}; it must be at least 0 and below 1")
        _inputs.check_choice("momentum_style", momentum_style, ("ema", "heavy_ball"))
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": bool(decoupled_weight_decay),
            "momentum_style": momentum_style,
        }
        super().__init__(params, defaults)
        self._tensors = [p for group in self.param_groups for p in group["params"]]
        kinds = {(str(p.device), p.dtype) for p in self._tensors}
        if len(kinds) != 1 or kinds.isdisjoint({("cpu", torch.float32), ("cpu", torch.float64)}):
            raise ValueError(
                f"params are {sorted(map(str, kinds))}; they must be float32 or float64 on the CPU, all of one"
            )
        dtype = np.float64 if self._tensors[0].dtype == torch.float64 else np.float32
        self._gradient = np.zeros(sum(p.numel() for p in self._tensors), dtype)
        self._window = SlidingFisherInverse(
            self._gradient.size,
            n_grads,
            damping,
            normalize=normalize,
            storage=storage if storage is not None else np.dtype(dtype).name,  # type: ignore[arg-type]
            n_threads=n_threads,
        )

    @property
    def window(self) -> SlidingFisherInverse:
        """The inverse of Fisher that steps are made with."""
        return self._window

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; `closure`, if there is one, computes the loss and its gradients first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for p, options, part in self._parts(self._gradient):
            target = torch.from_numpy(part).view_as(p)
            if p.grad is None:
                target.zero_()
            else:
                target.copy_(p.grad)
            if options["weight_decay"] != 0 and not options["decoupled_weight_decay"]:
                target.add_(p, alpha=options["weight_decay"])
        update = self._window.precondition(self._gradient).astype(self._gradient.dtype, copy=False)
        for p, options, part in self._parts(update):
            u = torch.from_numpy(part).view_as(p)
            if options["weight_decay"] != 0 and options["decoupled_weight_decay"]:
                p.mul_(1 - options["lr"] * options["weight_decay"])
            mu = options["momentum"]
            if mu != 0:
                state = self.state[p]
                v = state.setdefault("momentum", torch.zeros_like(p))
                v.mul_(mu).add_(u, alpha=1 - mu if options["momentum_style"] == "ema" else 1.0)
                u = v
            p.add_(u, alpha=-options["lr"])
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the optimiser's state and its window."""
        window = {
            key: torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
            for key, value in self._window.state_dict().items()
        }
        return {**super().state_dict(), "window": window}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state, with the same bits."""
        if "window" not in state_dict:
            raise ValueError("state_dict has no 'window'; it is not of this optimiser")
        window = {
            key: value.numpy() if isinstance(value, torch.Tensor) else value
            for key, value in state_dict["window"].items()
        }
        self._window.load_state_dict(window)
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "window"})

    def _parts(self, flat: Any) -> Any:
        """Yield every parameter with its options and its part of an array of all."""
        begin = 0
        for group in self.param_groups:
            for p in group["params"]:
                yield p, group, flat[begin : begin + p.numel()]
                begin += p.numel()
