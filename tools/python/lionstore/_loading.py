"""Weights that something loads into a model whose parameters are the store's own memory."""

from __future__ import annotations

import weakref
from typing import Any, Mapping, Sequence

import torch

from ._binding import Binding, give_weights_back
from ._store import Store


class Loading:
    """Lets what ``model.load_state_dict`` writes come to the store with the next step only.

    Hugging Face's Trainer loads a checkpoint's weights before it asks the optimizer whether it is of
    the checkpoint's step. Until then a parameter that is the store's memory has memory of its own,
    if what is loaded differs: however the process ends, the store is what it was.
    """

    def __init__(self, model: torch.nn.Module | None) -> None:
        self._bindings: Sequence[Binding] = ()
        # PyTorch before 2.5 has no such hook.
        register = getattr(model, "register_load_state_dict_pre_hook", None)
        self.is_watched = register is not None
        if register is not None:
            loading_of = weakref.ref(self)  # the model must not keep a closed store

            def hook(_: torch.nn.Module, state: Mapping[str, Any], prefix: str, *__: Any) -> None:
                loading = loading_of()
                if loading is not None:
                    loading._begin(state, prefix)

            register(hook)

    def watch(self, bindings: Sequence[Binding]) -> None:
        """Watches parameters, none of which is being loaded."""
        self._bindings = bindings

    def _begin(self, state: Mapping[str, Any], prefix: str) -> None:
        for binding in self._bindings:
            loaded = state.get(prefix + binding.name)
            if binding.is_alias and not binding.is_detached and isinstance(loaded, torch.Tensor):
                if not _has_equal_bits(binding.parameter.detach(), loaded):
                    binding.detach()

    def refuse(self, store: Store) -> None:
        """Gives the model the weights that the store has."""
        with torch.no_grad():
            give_weights_back(store, [b for b in self._bindings if b.was_changed])


def _has_equal_bits(weights: torch.Tensor, loaded: torch.Tensor) -> bool:
    return loaded.dtype is weights.dtype and torch.equal(
        weights.contiguous().view(torch.int16), loaded.to("cpu").contiguous().view(torch.int16)
    )
