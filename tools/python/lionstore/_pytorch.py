"""The optimizers of ``torch.optim`` by the same names, whose state lives in a store.

Constructors have PyTorch's arguments in PyTorch's order, and by keyword what
:class:`lionstore.StoreOptimizer` has: ``store=`` must be given. With float32 parameters each step equals
``torch.optim``'s with ``foreach=False`` in every bit, unless a class says otherwise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Union

import torch

from . import errors
from ._hyperparameters import number
from ._of_rules import OfRule, Place
from ._optimizer import StoreOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

Params = Union[Iterable[Any], torch.nn.Module]
Number = Union[float, torch.Tensor]

_BETAS: Mapping[str, Place] = {"learning_rate": "lr", "beta1": ("betas", 0, 2), "beta2": ("betas", 1, 2)}
_AMSGRAD = "no rule keeps the largest second moments: use amsgrad=False, or torch.optim's optimizer"

_VALUES = {
    "betas", "eps", "amsgrad", "momentum", "dampening", "nesterov", "alpha", "centered", "rho", "lr_decay",
    "initial_accumulator_value", "momentum_decay", "etas", "step_sizes", "decoupled_weight_decay",
}  # fmt: skip


def _others(*own: str) -> frozenset[str]:
    return frozenset(_VALUES.difference(own))


class _Adams(OfRule):
    """What Adam and AdamW share."""

    _PLACES = _BETAS
    _REFUSED = {"amsgrad": _AMSGRAD}
    _HAS_STEP = True
    _OTHERS = _others("betas", "eps", "amsgrad", "decoupled_weight_decay")

    def _rule_name(self, group: Mapping[str, Any]) -> str:
        return "adamw" if group["decoupled_weight_decay"] else "adam"

    def _require_loadable(self, group: Mapping[str, Any]) -> None:
        decoupled = group.get("decoupled_weight_decay", self.defaults["decoupled_weight_decay"])
        if bool(decoupled) != (self._chosen == "adamw"):
            raise errors.MismatchError(
                f"the state_dict is of another optimizer: its decoupled_weight_decay is {decoupled}, the rule here"
                f" is {self._chosen}"
            )
        super()._require_loadable(group)


class AdamW(_Adams):
    """``torch.optim.AdamW`` whose state lives in a store."""

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            foreach=foreach,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
        super().__init__(params, defaults, **options)


class Adam(_Adams):
    """``torch.optim.Adam`` whose state lives in a store."""

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            foreach=foreach,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=decoupled_weight_decay,
        )
        super().__init__(params, defaults, **options)


class SGD(OfRule):
    """``torch.optim.SGD`` whose state lives in a store; without momentum there is none.

    All groups have a momentum, or none has.
    """

    _REFUSED = {"fused": "PyTorch's fused kernel gives other bits than its other ones, which this equals: leave it out"}
    _HAS_ALL = False
    _OTHERS = _others("momentum", "dampening", "nesterov")

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Number = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            foreach=foreach,
            differentiable=differentiable,
            fused=fused,
        )
        super().__init__(params, defaults, **options)

    def _rule_name(self, group: Mapping[str, Any]) -> str:
        has_momentum = number("momentum", group["momentum"]) != 0
        if group["nesterov"] and (not has_momentum or number("dampening", group["dampening"]) != 0):
            raise errors.ArgumentError("nesterov=True requires a momentum and zero dampening")
        return "sgd-momentum" if has_momentum else "sgd"

    def _shown(
        self, states: dict[str, torch.Tensor], count: int, group: Mapping[str, Any]
    ) -> dict[str, torch.Tensor]:
        # PyTorch's copies the gradient in the first step: a buffer of zeros would be averaged.
        return states if count else {}


class RMSprop(OfRule):
    """``torch.optim.RMSprop`` whose state lives in a store.

    All groups have a momentum, or none has; a centered one has none. Where rounding makes the variance of
    a centered one negative, it is 0 here and NaN in PyTorch.
    """

    _HAS_STEP = True
    _OTHERS = _others("alpha", "eps", "momentum", "centered")

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            momentum=momentum,
            alpha=alpha,
            eps=eps,
            centered=centered,
            weight_decay=weight_decay,
            capturable=capturable,
            foreach=foreach,
            maximize=maximize,
            differentiable=differentiable,
        )
        super().__init__(params, defaults, **options)

    def _rule_name(self, group: Mapping[str, Any]) -> str:
        has_momentum = number("momentum", group["momentum"]) != 0
        if has_momentum and group["centered"]:
            raise errors.ArgumentError(
                "momentum and centered together are not supported: use one of them, or torch.optim.RMSprop"
            )
        return "rmsprop-momentum" if has_momentum else "rmsprop-centered" if group["centered"] else "rmsprop"


class Adagrad(OfRule):
    """``torch.optim.Adagrad`` whose state lives in a store."""

    _NAME = "adagrad"
    _REFUSED = {"initial_accumulator_value": "sums of squares begin at 0 in a store; a larger eps damps first steps"}
    _HAS_STEP = True
    _OTHERS = _others("lr_decay", "eps", "initial_accumulator_value")

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            lr_decay=lr_decay,
            eps=eps,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            foreach=foreach,
            maximize=maximize,
            differentiable=differentiable,
            fused=fused,
        )
        super().__init__(params, defaults, **options)


class Adadelta(OfRule):
    """``torch.optim.Adadelta`` whose state lives in a store."""

    _NAME = "adadelta"
    _HAS_STEP = True
    _OTHERS = _others("rho", "eps")

    def __init__(
        self,
        params: Params,
        lr: Number = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            rho=rho,
            eps=eps,
            weight_decay=weight_decay,
            maximize=maximize,
            capturable=capturable,
            foreach=foreach,
            differentiable=differentiable,
        )
        super().__init__(params, defaults, **options)


class Adamax(OfRule):
    """``torch.optim.Adamax`` whose state lives in a store."""

    _NAME = "adamax"
    _PLACES = _BETAS
    _HAS_STEP = True
    _OTHERS = _others("betas", "eps")

    def __init__(
        self,
        params: Params,
        lr: Number = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            foreach=foreach,
            maximize=maximize,
            differentiable=differentiable,
            capturable=capturable,
        )
        super().__init__(params, defaults, **options)

    # A store has 0 where PyTorch's norm is eps because the gradient never was anything.

    def _shown(
        self, states: dict[str, torch.Tensor], count: int, group: Mapping[str, Any]
    ) -> dict[str, torch.Tensor]:
        norm = states["exp_inf"]
        if count:
            norm[norm == 0] = number("eps", group["eps"])
        return super()._shown(states, count, group)

    def _stored(
        self, entry: Mapping[str, Any], of: str, group: Mapping[str, Any], is_ours: bool
    ) -> dict[str, torch.Tensor]:
        states = super()._stored(entry, of, group, is_ours)
        if "exp_inf" in states:
            norm = states["exp_inf"]
            eps = torch.tensor(number("eps", group["eps"]), dtype=torch.float32)
            states["exp_inf"] = torch.where(norm == eps, torch.zeros_like(norm), norm)
        return states


class NAdam(OfRule):
    """``torch.optim.NAdam`` whose state lives in a store.

    PyTorch rounds ``mu_product`` to float32 in each step, unless the default dtype is float64: then the
    bits are equal, otherwise a weight may differ in its last bits.
    """

    _NAME = "nadam"
    _PLACES = _BETAS
    _REFUSED = {"foreach": "NAdam's bits with foreach=True are others than with foreach=False, which this equals"}
    _HAS_STEP = True
    _DERIVED = frozenset({"mu_product"})
    _OTHERS = _others("betas", "eps", "momentum_decay", "decoupled_weight_decay")

    def __init__(
        self,
        params: Params,
        lr: Number = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
            foreach=foreach,
            capturable=capturable,
            differentiable=differentiable,
        )
        super().__init__(params, defaults, **options)

    def _shown(
        self, states: dict[str, torch.Tensor], count: int, group: Mapping[str, Any]
    ) -> dict[str, torch.Tensor]:
        shown = super()._shown(states, count, group)
        beta, decay = number("betas", group["betas"][0]), number("momentum_decay", group["momentum_decay"])
        dtype = shown["step"].dtype
        return {"step": shown["step"], "mu_product": _mu_product(beta, decay, count, dtype).clone(), **shown}


@lru_cache(maxsize=64)
def _mu_product(beta: float, decay: float, count: int, dtype: torch.dtype) -> torch.Tensor:
    """As PyTorch's loop leaves it."""
    product = torch.ones((), dtype=dtype)
    for number_of_step in range(1, count + 1):
        product *= beta * (1.0 - 0.5 * (0.96 ** (number_of_step * decay)))
        if product == 0:
            break
    return product


class Rprop(OfRule):
    """``torch.optim.Rprop`` whose state lives in a store.

    PyTorch takes the learning rate as every element's first step size; here an element takes the rate of
    its first step with a gradient.
    """

    _NAME = "rprop"
    _PLACES = {
        "learning_rate": "lr",
        "etaminus": ("etas", 0, 2),
        "etaplus": ("etas", 1, 2),
        "step_size_min": ("step_sizes", 0, 2),
        "step_size_max": ("step_sizes", 1, 2),
    }
    _HAS_STEP = True
    _OTHERS = _others("etas", "step_sizes")

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            etas=etas,
            step_sizes=step_sizes,
            foreach=foreach,
            maximize=maximize,
            differentiable=differentiable,
            capturable=capturable,
        )
        super().__init__(params, defaults, **options)

    # A store has 0 where the step size still is the first one.

    def _shown(
        self, states: dict[str, torch.Tensor], count: int, group: Mapping[str, Any]
    ) -> dict[str, torch.Tensor]:
        sizes = states["step_size"]
        sizes[sizes == 0] = _first_size(group, count)
        return super()._shown(states, count, group)

    def _stored(
        self, entry: Mapping[str, Any], of: str, group: Mapping[str, Any], is_ours: bool
    ) -> dict[str, torch.Tensor]:
        states = super()._stored(entry, of, group, is_ours)
        if is_ours and "step_size" in states:
            sizes, previous = states["step_size"], states["prev"]
            first = torch.tensor(_first_size(group, int(entry["step"])), dtype=torch.float32)
            states["step_size"] = torch.where((sizes == first) & (previous == 0), torch.zeros_like(sizes), sizes)
        return states


def _first_size(group: Mapping[str, Any], count: int) -> float:
    """PyTorch's first step size, which its first step clamps."""
    rate, (least, most) = number("lr", group["lr"]), group["step_sizes"]
    return min(max(rate, least), most) if count else rate

