"""Weights that something loads into a model whose parameters are the store's own memory."""

from __future__ import annotations

import weakref
from typing import Any, Mapping, Sequence

import torch

from ._binding import Binding, write_weights
from ._store import Store


class Loading:
    """Keeps what ``model.load_state_dict`` replaces until the next step, so that it can be undone.

    Hugging Face's Trainer loads a checkpoint's weights before it asks the optimizer whether it is of
    the checkpoint's step. A parameter that is not the store's memory needs no copy: the store has
    its weights.
    """

    def __init__(self, model: torch.nn.Module | None) -> None:
        self._bindings: Sequence[Binding] = ()
        self._kept: dict[int, torch.Tensor] = {}
        # PyTorch before 2.5 has no such hook.
        register = getattr(model, "register_load_state_dict_pre_hook", None)
        self.is_watched = register is not None
        if register is not None:
            loading_of = weakref.ref(self)  # the model must not keep a closed store

            def hook(_: torch.nn.Module, state: Mapping[str, Any], prefix: str, *__: Any) -> None:
                loading = loading_of()
                if loading is not None:
                    loading._keep(state, prefix)

            register(hook)

    def watch(self, bindings: Sequence[Binding]) -> None:
        """Watches parameters, none of which is being loaded."""
        self._bindings = bindings
        self.forget()

    def _keep(self, state: Mapping[str, Any], prefix: str) -> None:
        for binding in self._bindings:
            loaded = state.get(prefix + binding.name)
            if binding.is_alias and isinstance(loaded, torch.Tensor):
                weights = binding.parameter.detach()
                if not _has_equal_bits(weights, loaded):
                    self._kept.setdefault(binding.number, weights.clone())

    def forget(self) -> None:
        """Lets what was loaded stay."""
        self._kept = {}

    def undo(self, store: Store) -> None:
        """Gives the store and the model the weights that they had."""
        with torch.no_grad():
            for binding in self._bindings:
                if binding.number in self._kept:
                    binding.parameter.copy_(self._kept[binding.number])
            write_weights(store, [b for b in self._bindings if b.was_changed])
        self.forget()


def _has_equal_bits(weights: torch.Tensor, loaded: torch.Tensor) -> bool:
    return loaded.dtype is weights.dtype and torch.equal(
        weights.contiguous().view(torch.int16), loaded.to("cpu").contiguous().view(torch.int16)
    )
