"""What stands in ``.grad`` for a gradient that has left for the store."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Mapping, Protocol, Sequence

import torch
from torch.utils._pytree import tree_map

from . import errors


_aten = torch.ops.aten


class Keeper(Protocol):
    """Where gradients have gone."""

    def require_kept(self, number: int) -> None:
        """Checks that a gradient is there, so that it can be scaled.

        :raises StateError: if it is not kept
        """

    def norm_of(self, number: int) -> float:
        """The norm of a tensor's gradient, before it is scaled.

        :raises StateError: if the gradient is not kept
        """

    def read(self, number: int) -> torch.Tensor:
        """A copy of a tensor's gradient, before it is scaled, on the parameter's device.

        :raises StateError: if the gradient is not kept
        """

    def add(self, number: int, values: torch.Tensor) -> None:
        """Adds to the gradient that is kept, as a backward pass does.

        :raises StateError: if it is not kept
        """

    def came_back(self, number: int, gradient: torch.Tensor) -> None:
        """Lets a gradient with memory stand in ``.grad`` from now on."""


class StoredGradient(torch.Tensor):
    """A gradient without memory here: the store has it.

    Its norm is the store's, and factors are applied by the step, so that clipping and gradient scalers
    cost what they do on other tensors. Whatever else is asked of it brings it back into ``.grad``, where
    it may be looked at and changed as ever; the step takes it from there.
    """

    number: int
    parameter_name: str
    keeper: Keeper
    factor: float
    back: torch.Tensor | None
    """The gradient, once it has come back."""
    is_gone: bool
    """Whether another gradient has taken its place in the store."""

    @staticmethod
    def of(number: int, name: str, parameter: torch.Tensor, keeper: Keeper) -> StoredGradient:
        made: StoredGradient = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            StoredGradient, parameter.shape, dtype=parameter.dtype, device=parameter.device
        )
        made.number, made.parameter_name, made.keeper = number, name, keeper
        made.factor, made.back, made.is_gone = 1.0, None, False
        return made

    def require_there(self) -> None:
        """Checks that the store still has this gradient.

        :raises StateError: if a later one has replaced it, or zero_grad has forgotten it
        """
        if self.is_gone:
            raise errors.StateError(
                f"this gradient of {self.parameter_name} is no longer in the store: a later one has replaced"
                ' it; keep p.grad.clone(), or use gradients="step"'
            )

    def values(self) -> torch.Tensor:
        """A copy of the gradient as it is now."""
        if self.back is not None:
            return self.back.clone()
        self.require_there()
        kept = self.keeper.read(self.number)
        return kept if self.factor == 1.0 else kept.mul_(self.factor)

    def brought_back(self) -> torch.Tensor:
        """The gradient, with memory."""
        if self.back is None:
            self.back = self.values()
            self.keeper.came_back(self.number, self.back)
        return self.back

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"StoredGradient({self.parameter_name}, {[*self.shape]}, {self.dtype})"

    # What asks a tensor for its memory without an operation would find none.

    def share_memory_(self) -> torch.Tensor:
        shared: torch.Tensor = self.brought_back().share_memory_()
        return shared

    def is_shared(self) -> bool:
        return bool(self.brought_back().is_shared())

    def numpy(self, **keywords: Any) -> Any:
        return self.brought_back().numpy(**keywords)

    def tolist(self) -> Any:
        return self.brought_back().tolist()

    def untyped_storage(self) -> Any:
        return self.brought_back().untyped_storage()

    def storage(self) -> Any:
        return self.brought_back().storage()

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.brought_back().__array__(*arguments, **keywords)

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        return self.values()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.values().__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        function: Any,
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        handler = _HANDLERS.get(function)
        first = arguments[0] if arguments else None
        is_away = isinstance(first, StoredGradient) and first.back is None or isinstance(first, (list, tuple))
        if isinstance(first, StoredGradient) and first.back is None:
            first.require_there()
        if handler is not None and is_away:
            return handler(*arguments, **(keywords or {}))
        return _with_memory(function, *arguments, **(keywords or {}))

    # Autograd and the dispatcher look at these directly; the class must not be asked for them.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


def _with_memory(function: Any, *arguments: Any, **keywords: Any) -> Any:
    """Has a function work on gradients that have come back."""

    def back(value: Any) -> Any:
        return value.brought_back() if isinstance(value, StoredGradient) else value

    return function(*tree_map(back, arguments), **tree_map(back, keywords))


def _norm(gradient: StoredGradient, order: float = 2, *rest: Any, **keywords: Any) -> torch.Tensor:
    if order != 2 or (rest and rest[0] is not None) or keywords.get("dim") is not None:
        other: torch.Tensor = _with_memory(
            _aten.linalg_vector_norm.default, gradient, order, *rest, **keywords
        )
        return other
    norm = gradient.keeper.norm_of(gradient.number) * abs(gradient.factor)
    dtype: torch.dtype = keywords.get("dtype") or torch.float32
    return torch.tensor(norm, dtype=dtype, device=gradient.device)


def _multiply(gradient: StoredGradient, factor: Any) -> Any:
    if isinstance(factor, torch.Tensor) and (factor.numel() != 1 or isinstance(factor, StoredGradient)):
        return _with_memory(_aten.mul_.Tensor, gradient, factor)
    gradient.keeper.require_kept(gradient.number)
    gradient.factor *= float(factor)
    return gradient


def _unscale(
    gradients: Sequence[torch.Tensor], found_inf: torch.Tensor, inverse_scale: torch.Tensor
) -> None:
    away = [g for g in gradients if isinstance(g, StoredGradient) and g.back is None]
    here = [g for g in gradients if not (isinstance(g, StoredGradient) and g.back is None)]
    if here:
        _with_memory(
            _aten._amp_foreach_non_finite_check_and_unscale_.default, here, found_inf, inverse_scale
        )
    for gradient in away:
        if not torch.isfinite(_norm(gradient)):
            found_inf.fill_(1)
        _multiply(gradient, inverse_scale)


def _add(gradient: StoredGradient, other: Any, *, alpha: float = 1) -> Any:
    is_plain = isinstance(other, torch.Tensor) and not isinstance(other, StoredGradient)
    if not is_plain or alpha != 1 or gradient.factor != 1.0 or other.shape != gradient.shape:
        return _with_memory(_aten.add_.Tensor, gradient, other, alpha=alpha)
    gradient.keeper.add(gradient.number, other)
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
