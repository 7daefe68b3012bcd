"""What stands in ``.grad`` for a gradient that has left for the store."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Mapping, Protocol, Sequence

import torch

from . import errors

_aten = torch.ops.aten


class Keeper(Protocol):
    """Where gradients have gone."""

    def norm_of(self, number: int) -> float:
        """The norm of a tensor's gradient, before it is scaled.

        :raises StateError: if the gradient is not kept
        """

    def require_kept(self, number: int) -> None:
        """Checks that what is done to a gradient can be done to the one that left.

        :raises StateError: if the gradient is not kept
        """


class StoredGradient(torch.Tensor):
    """A tensor without memory: its norm is the store's, factors are applied by the step.

    So ``torch.nn.utils.clip_grad_norm_`` and gradient scalers do what they always do. What else is
    asked of it is an error, not a wrong number.
    """

    number: int
    parameter_name: str
    keeper: Keeper
    factor: float
    added: torch.Tensor | None

    @staticmethod
    def of(number: int, name: str, parameter: torch.Tensor, keeper: Keeper) -> StoredGradient:
        made: StoredGradient = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            StoredGradient, parameter.shape, dtype=parameter.dtype, device=parameter.device
        )
        made.number, made.parameter_name, made.keeper = number, name, keeper
        made.reset()
        return made

    def reset(self) -> None:
        """Forgets the step before."""
        self.factor, self.added = 1.0, None

    def take_added(self) -> torch.Tensor:
        """What a backward pass has added to the gradient that left."""
        added, self.added = self.added, None
        assert added is not None, "autograd has added nothing"
        return added

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"StoredGradient({self.parameter_name}, {[*self.shape]}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        function: Any,
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        handler = _HANDLERS.get(function)
        if handler is None:
            gradients = [a for a in arguments if isinstance(a, StoredGradient)]
            raise errors.StateError(
                f"{gradients[0].parameter_name if gradients else 'a gradient'} has left .grad for the store:"
                f" its norm and factors are all that PyTorch can ask for ({function} is not);"
                ' gradients="step" leaves gradients where they are'
            )
        return handler(*arguments, **(keywords or {}))

    # Autograd and the dispatcher look at these directly; the class must not be asked for them.
    __torch_function__ = torch._C._disabled_torch_function_impl


def _norm(gradient: StoredGradient, order: float = 2, *rest: Any, **keywords: Any) -> torch.Tensor:
    if order != 2 or rest and rest[0] is not None:
        raise errors.StateError(
            f"{gradient.parameter_name} has left .grad for the store, which knows its 2-norm, not {order}:"
            ' gradients="step" leaves gradients where they are'
        )
    norm = gradient.keeper.norm_of(gradient.number) * gradient.factor
    return torch.tensor(norm, dtype=torch.float32, device=gradient.device)


def _multiply(gradient: StoredGradient, factor: Any) -> StoredGradient:
    gradient.keeper.require_kept(gradient.number)
    gradient.factor *= float(factor)
    return gradient


def _unscale(
    gradients: Sequence[StoredGradient], found_inf: torch.Tensor, inverse_scale: torch.Tensor
) -> None:
    for gradient in gradients:
        if not torch.isfinite(_norm(gradient)):
            found_inf.fill_(1)
        _multiply(gradient, inverse_scale)


def _add(gradient: StoredGradient, other: torch.Tensor, *, alpha: float = 1) -> StoredGradient:
    if gradient.factor != 1.0:
        raise errors.StateError(
            f"{gradient.parameter_name} was scaled or clipped before its last micro-batch: accumulate first"
        )
    gradient.added = other
    return gradient


_HANDLERS: dict[Any, Callable[..., Any]] = {
    _aten.linalg_vector_norm.default: _norm,
    _aten.mul_.Tensor: _multiply,
    _aten.mul_.Scalar: _multiply,
    _aten.add_.Tensor: _add,
    _aten.detach.default: lambda gradient: gradient,
    _aten._amp_foreach_non_finite_check_and_unscale_.default: _unscale,
}


def read_double(write: Callable[[int], int]) -> float:
    """What a function writes to the address of a float64."""
    value = ctypes.c_double()
    write(ctypes.addressof(value))
    return value.value
