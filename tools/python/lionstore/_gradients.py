"""How gradients come to the store; here: all at ``step()``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Protocol, Sequence

import torch

from ._binding import Binding, Weights
from ._memory import TYPES, addresses, on_host
from ._store import StepArguments, Store


class Optimizer(Protocol):
    """What a way of taking gradients asks of its optimizer."""

    store: Store
    weights: Weights
    arguments: StepArguments

    def take_over_changes(self) -> None:
        """Takes over weights of trained parameters that something else has written."""

    def request(self) -> bytes:
        """Writes the groups' values into the arguments; gives the position to publish."""

    def is_maximized(self, binding: Binding) -> bool:
        """Whether a parameter's group maximizes."""

    @property
    def is_repeating(self) -> bool:
        """Whether the next step was taken before the process ended: its gradients stay where they are."""


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
        with_gradients = self._with_gradients()
        if not with_gradients:
            return None
        optimizer = self._optimizer
        given = [b for b, _ in with_gradients]
        hosts = [
            gradient_on_host(b, gradient, maximize=optimizer.is_maximized(b))
            for b, gradient in with_gradients
        ]
        position = optimizer.request()
        optimizer.take_over_changes()
        optimizer.store.call_with_lists(
            "putAll",
            [b.number for b in given],
            [TYPES[host.dtype] for host in hosts],
            addresses(hosts),
        )
        steps = optimizer.store.call_with_position("step", optimizer.arguments, position)
        optimizer.weights.write(given)
        return steps

    def _with_gradients(self) -> list[tuple[Binding, torch.Tensor]]:
        """What stands in ``.grad`` now, whoever has put it there."""
        found = []
        for binding in self._bindings:
            binding.require_still_frozen()
            gradient = binding.parameter.grad
            if gradient is not None and binding.has_elements:
                found.append((binding, gradient))
        return found

    def forget(self) -> None:
        """Forgets what has left ``.grad``, for the step is not to be taken."""

    def require_nothing_taken(self) -> None:
        """Checks that it is between two steps.

        :raises StateError: if gradients have left for the next step
        """

    def require_between_steps(self) -> None:
        """Checks that no tensor is a step ahead of others.

        :raises StateError: if a step has begun
        """

    def give_up(self) -> None:
        """Ends a step that has begun, before the store is closed."""

    @contextmanager
    def accumulating(self) -> Iterator[None]:
        """Gradients stay in ``.grad``, to be added to by the next backward pass."""
        yield

    def close(self) -> None:
        """Takes no more."""


def gradient_on_host(binding: Binding, gradient: torch.Tensor, *, maximize: bool) -> torch.Tensor:
    """A gradient as the store takes it: dense, contiguous, on the CPU.

    :raises ArgumentError: if it has no such memory
    """
    host = on_host(gradient, f"the gradient of {binding.name}")
    return host.neg() if maximize else host
