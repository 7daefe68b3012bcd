"""What an optimizer is called with: each value is of its type and within its bounds, or an ArgumentError says so."""

from __future__ import annotations

import math
import numbers
from typing import Any, Mapping, Sequence

import torch

from . import errors


def require_one_of(name: str, value: Any, choices: Sequence[Any]) -> None:
    if isinstance(value, torch.Tensor) or value not in choices:
        raise errors.ArgumentError(f"{name} is {_shown(value)}, expected one of {[*choices]}")


def require_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise errors.ArgumentError(f"{name} is {_shown(value)}, expected a {kind.__name__}")


def require_whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise errors.ArgumentError(f"{name} is {_shown(value)}, expected a whole number, {bounds}")


def require_clip_norm(norm: Any) -> None:
    if norm is not None and not 0 < number("clip_norm", norm) < math.inf:
        raise errors.ArgumentError(f"clip_norm is {norm}, expected more than 0, or None")


def require_hyperparameters(group: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Checks the values of a group; gives the learning rate, both betas and the weight decay.

    :raises ArgumentError: if one is no number, or out of its bounds
    """
    lr, betas, decay = group["lr"], group["betas"], group["weight_decay"]
    for flag in ("capturable", "differentiable"):
        require_one_of(flag, group.get(flag) or False, [False])
    require_one_of("maximize", group.get("maximize", False), [False, True])
    rate = number("lr", lr)
    if not 0 <= rate < math.inf:
        raise errors.ArgumentError(f"Invalid learning rate: {lr}, expected 0 or more")
    try:
        first, second = betas
    except (TypeError, ValueError):
        raise errors.ArgumentError(f"betas are {_shown(betas)}, expected two numbers") from None
    both = number("beta", first), number("beta", second)
    for index, beta in enumerate(both):
        if not 0 <= beta < 1:
            raise errors.ArgumentError(f"Invalid beta parameter at index {index}: {beta}, expected 0 to below 1")
    shrinkage = number("weight_decay", decay)
    if not 0 <= shrinkage < math.inf:
        raise errors.ArgumentError(f"Invalid weight_decay value: {decay}, expected 0 or more")
    return rate, *both, shrinkage


def numbers_of(name: str, values: Any, count: int) -> list[float]:
    """So many numbers of whatever type."""
    try:
        found = [*values]
    except TypeError:
        found = []
    if len(found) != count or isinstance(values, (str, bytes)):
        raise errors.ArgumentError(f"{name} is {_shown(values)}, expected {count} numbers")
    return [number(name, value) for value in found]


def number(name: str, value: Any) -> float:
    """A number of whatever type; text is none, though files of settings have 1e-4."""
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        raise errors.ArgumentError(f"{name} is a tensor of shape {[*value.shape]}, expected one element")
    try:
        if not isinstance(value, (str, bytes, bytearray)):
            return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        pass
    raise errors.ArgumentError(f"{name} is {_shown(value)}, expected a number")


def _shown(value: Any) -> str:
    """One line, however large the value is."""
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        return f"a tensor of shape {[*value.shape]}"
    text = " ".join(repr(value).split())
    return text if len(text) < 80 else f"{text[:80]}…"
