"""A model's tensors as its files have them, where those differ from what it has in memory.

transformers keeps a mixture's experts fused in memory and apart in files, and gives some models' tensors
other names there. It is asked for its own mapping: what it would write of tensors without memory shows
which elements of which parameter each tensor of a file is.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import AbstractSet, Any, Callable, Iterator, Mapping

import torch

from ._names import unwrapped
from ._store import InFiles


@dataclass(frozen=True)
class Files:
    """What the files of a model have of its parameters and buffers."""

    tensors: Mapping[str, tuple[InFiles, ...]] = field(default_factory=dict)
    """Of each that is not there as it is in memory, by its name in memory: its elements, in their order."""
    only_in_memory: tuple[str, ...] = ()
    """Names of those that files have in another order of elements, so that a store cannot keep them so."""

    def first(self, in_memory: str) -> str:
        """What the files call a tensor, or the first of those that they have of it."""
        found = self.tensors.get(in_memory, ())
        return found[0].name if found else in_memory

    def name(self, in_memory: str) -> str:
        """What the files call a tensor that is one there, too."""
        found = self.tensors.get(in_memory, ())
        return found[0].name if len(found) == 1 else in_memory


def files_of(
    model: torch.nn.Module | None, buffers: Mapping[str, torch.Tensor], held: AbstractSet[str] = frozenset()
) -> Files:
    """What ``model.save_pretrained`` would write.

    That depends on the folder that the model was loaded from, so a store may have been made when it was another.

    :param buffers: those that are saved, by name
    :param held: the names in the store, if there is one: of those that the files may have, the store's count
    """
    model = None if model is None else unwrapped(model)
    revert = _reversal(model)
    if model is None or revert is None:
        return Files()
    files = _written(model, buffers, revert)
    missing = [n for n, _ in model.named_parameters() if n not in held and files.first(n) not in held]
    if not held or not missing:
        return files
    tensors = dict(files.tensors)
    for other in _otherwise_written(model, buffers, revert):
        tensors.update({name: other.tensors[name] for name in other.tensors if other.first(name) in held})
    return Files(tensors, tuple(name for name in files.only_in_memory if name not in tensors))


def _otherwise_written(
    model: Any, buffers: Mapping[str, torch.Tensor], revert: Callable[..., dict[str, torch.Tensor]]
) -> Iterator[Files]:
    """As a model that was not loaded from a folder, and as one that was loaded from an old one."""
    mapping: Any = sys.modules.get("transformers.conversion_mapping")
    loaded = getattr(model, "_weight_conversions", None)
    try:
        for conversions in (None, mapping.get_model_conversion_mapping(model, add_legacy=True)):
            model._weight_conversions = conversions
            yield _written(model, buffers, revert)
    finally:
        model._weight_conversions = loaded


def _written(
    model: torch.nn.Module,
    buffers: Mapping[str, torch.Tensor],
    revert: Callable[..., dict[str, torch.Tensor]],
) -> Files:
    tied: Mapping[str, str] = getattr(model, "all_tied_weights_keys", None) or {}
    parameters = dict(model.named_parameters(remove_duplicate=False))
    of_memory: dict[str, str] = {}
    without_memory: dict[str, torch.Tensor] = {}
    for name, tensor in [*model.named_parameters(), *buffers.items()]:
        source = tied.get(name, name)
        kept = source if parameters.get(source) is tensor else name
        of_memory[kept] = name
        without_memory[kept] = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    parts = _parts(without_memory, revert(model, dict(without_memory)))
    tensors: dict[str, tuple[InFiles, ...]] = {}
    only_in_memory = []
    for kept, name in of_memory.items():
        found, shape = parts.get(kept), tuple(without_memory[kept].shape)
        if found is None:
            only_in_memory.append(name)
        elif found != (InFiles(name, shape),):
            tensors[name] = found
    return Files(tensors, tuple(only_in_memory))


def undeclared_ties(model: torch.nn.Module | None) -> list[tuple[str, str]]:
    """Names of parameters of a model of transformers that another name has, too, without being declared so."""
    model = None if model is None else unwrapped(model)
    if model is None or _reversal(model) is None:
        return []
    declared = getattr(model, "all_tied_weights_keys", None) or {}
    first: dict[int, str] = {}
    ties = []
    for name, parameter in model.named_parameters(remove_duplicate=False):
        other = first.setdefault(id(parameter), name)
        if other != name and name not in declared and other not in declared:
            ties.append((other, name))
    return ties


def _reversal(model: torch.nn.Module | None) -> Callable[..., dict[str, torch.Tensor]] | None:
    """What transformers turns tensors in memory into tensors of files with, if it has made the model."""
    loading: Any = sys.modules.get("transformers.core_model_loading")
    modeling: Any = sys.modules.get("transformers.modeling_utils")
    if loading is None or modeling is None or not isinstance(model, modeling.PreTrainedModel):
        return None
    revert: Callable[..., dict[str, torch.Tensor]] = loading.revert_weight_conversion
    return revert


def _parts(
    before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]
) -> dict[str, tuple[InFiles, ...]]:
    """Which tensors after a conversion are the elements of each one before it, in their order.

    One is left out if its elements are not all there, or not in their order.
    """
    owners = {_storage(tensor): name for name, tensor in before.items()}
    views: dict[str, list[tuple[int, str, torch.Tensor]]] = {name: [] for name in before}
    for name, tensor in after.items():
        owner = owners.get(_storage(tensor))
        if owner is not None:
            views[owner].append((int(tensor.storage_offset()), name, tensor))
    parts = {}
    for owner, found in views.items():
        at = 0
        ordered = sorted(found, key=lambda each: each[0])
        for offset, _, tensor in ordered:
            if offset != at or not tensor.is_contiguous():
                break
            at += tensor.numel()
        else:
            if found and at == before[owner].numel():
                parts[owner] = tuple(InFiles(name, tuple(tensor.shape)) for _, name, tensor in ordered)
    return parts


def _storage(tensor: torch.Tensor) -> int:
    identity: int = tensor.untyped_storage()._cdata
    return identity
