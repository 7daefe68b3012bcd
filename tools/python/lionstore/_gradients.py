"""How gradients come to the store; here: all at ``step()``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Protocol, Sequence

import torch

from ._binding import Binding, gradient_on_host, write_weights
from ._store import TYPES, StepArguments, Store

class Optimizer(Protocol):
    """What a way of taking gradients asks of its optimizer."""

    store: Store
    arguments: StepArguments

    def take_over_changes(self) -> None:
        """Takes over weights that something else has written; forgets gradients that were put."""

    def request(self) -> bytes:
        """Writes the groups' values into the arguments; gives the position to publish."""

    def is_maximized(self, binding: Binding) -> bool:
        """Whether a parameter's group maximizes."""


class Gradients:
    """A way of taking gradients; this one leaves them in ``.grad`` until ``step()``, where anything
    may look at and change them."""

    def __init__(self, optimizer: Optimizer, bindings: Sequence[Binding]) -> None:
        self._optimizer = optimizer
        self._bindings = bindings

    def step(self) -> int | None:
        """Steps what has gradients; gives completed steps, None if nothing has.

        :raises NotFiniteError: if one is not finite; nothing is changed then
        """
        self._require_frozen()
        optimizer = self._optimizer
        with_gradients = [
            (b, b.parameter.grad)
            for b in self._bindings
            if b.parameter.grad is not None and b.has_elements
        ]
        if not with_gradients:
            return None
        optimizer.take_over_changes()
        given = [b for b, _ in with_gradients]
        hosts = [self._on_host(b, gradient) for b, gradient in with_gradients]
        optimizer.store.call_with_lists(
            "putAll",
            [b.number for b in given],
            [TYPES[host.dtype] for host in hosts],
            [host.data_ptr() for host in hosts],
        )
        steps = optimizer.store.call_with_position(
            "step", optimizer.arguments, optimizer.request()
        )
        write_weights(optimizer.store, given)
        return steps

    def _require_frozen(self) -> None:
        for binding in self._bindings:
            binding.require_still_frozen()

    def discard(self) -> None:
        """Forgets what has left ``.grad``."""

    def require_nothing_taken(self) -> None:
        """Checks that it is between two steps.

        :raises StateError: if gradients have left for the next step
        """

    @contextmanager
    def accumulating(self) -> Iterator[None]:
        """Gradients stay in ``.grad``, to be added to by the next backward pass."""
        yield

    def close(self) -> None:
        """Takes no more."""

    def _on_host(self, binding: Binding, gradient: torch.Tensor) -> torch.Tensor:
        return gradient_on_host(gradient, maximize=self._optimizer.is_maximized(binding))
