"""The model's parameters as tensors of a store: their names, and what can be stored."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

import torch

from . import errors
from ._store import TYPES, Layout, Tensor


class Names:
    """The names of parameters: their own, or those in a model, or their number."""

    def __init__(self, model: torch.nn.Module | None) -> None:
        named = model.named_parameters() if model is not None else ()
        self._names = {id(parameter): name for name, parameter in named}

    def taken_from(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """A group without the names in its parameters, which are remembered."""
        members = group["params"]
        members = [members] if isinstance(members, torch.Tensor) else list(members)
        parameters = []
        for member in members:
            name, parameter = member if isinstance(member, tuple) else (None, member)
            number = f"parameter{len(self._names)}"
            self._names[id(parameter)] = name or self._names.get(id(parameter), number)
            parameters.append(parameter)
        return {**group, "params": parameters}

    def of(self, parameter: torch.Tensor) -> str:
        return self._names[id(parameter)]


def default_plane(parameters: Iterable[torch.Tensor]) -> torch.dtype:
    """What a store keeps gradients in unless it is told."""
    trained = {p.dtype for p in parameters if p.requires_grad}
    return torch.bfloat16 if trained == {torch.bfloat16} else torch.float32


def layout_groups(
    groups: Iterable[Mapping[str, Any]], names: Names
) -> list[tuple[str, list[Tensor]]]:
    """The groups of an optimizer, as a store has them.

    :raises ArgumentError: if a parameter cannot be stored
    """
    memory: dict[int, str] = {}
    made = []
    for index, group in enumerate(groups):
        tensors = []
        for parameter in group["params"]:
            name = names.of(parameter)
            _require_storable(name, parameter, memory)
            tensors.append(Tensor(name, tuple(parameter.shape), parameter.requires_grad))
        made.append((str(group.get("name", f"group{index}")), tensors))
    return made


def require_plane_fits(layout: Layout, parameters: Iterable[torch.Tensor]) -> None:
    if layout.gradient_plane is torch.bfloat16:
        for parameter in parameters:
            if parameter.requires_grad and parameter.dtype is not torch.bfloat16:
                raise errors.ArgumentError(
                    f"a store that keeps bfloat16 gradients cannot train {parameter.dtype}"
                    " parameters: make it with gradient_dtype=torch.float32"
                )


def _require_storable(name: str, parameter: torch.Tensor, memory: dict[int, str]) -> None:
    if parameter.dtype not in TYPES:
        raise errors.ArgumentError(
            f"{name} is {parameter.dtype}; Lion trains float32, float16 and bfloat16"
        )
    if parameter.numel() > 0:
        owner = memory.setdefault(parameter.data_ptr(), name)
        if owner != name:
            raise errors.ArgumentError(
                f"{name} and {owner} share memory without being one parameter: tie them by"
                " assigning the parameter itself"
            )
