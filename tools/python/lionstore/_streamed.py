"""Tensors that are stepped as their gradients appear, beside the backward pass."""

from __future__ import annotations

import functools
import warnings
from typing import Callable, Sequence

import torch

from . import errors
from ._binding import Binding, Weights
from ._transfer import Arrival
from ._gradients import Optimizer, gradient_on_host
from ._hooked import Hooked
from ._memory import TYPES, addresses
from ._store import Store


class Streamed(Hooked):
    """Each tensor is stepped as soon as its gradient is there, while the backward pass goes on."""

    _is_beside = True

    def __init__(self, optimizer: Optimizer, bindings: Sequence[Binding]) -> None:
        super().__init__(optimizer, bindings)
        self._taken: dict[int, Binding] = {}
        self._has_begun = False

    def _must_stay(self) -> bool:
        if self._reduction.is_expected():
            raise errors.StateError(self._reduction.reason + 'choose gradients="plane" or "step"')
        return self._optimizer.is_repeating

    def _admit(self, binding: Binding) -> Callable[[Arrival], None]:
        with self._lock:
            if binding.number in self._taken:
                raise _second_gradient(binding)
            if not self._has_begun:
                self._begin()
            self._taken[binding.number] = binding
        return functools.partial(_stream, self._optimizer.store, self._optimizer.weights, binding)

    def _withdraw(self, binding: Binding) -> None:
        self._taken.pop(binding.number, None)

    def _begin(self) -> None:
        optimizer = self._optimizer
        position = optimizer.request()
        optimizer.take_over_changes()
        optimizer.store.call_with_position("beginStreaming", optimizer.arguments, position)
        self._has_begun = True

    def step(self) -> int | None:
        for binding, gradient in self._with_gradients():
            if gradient is not self._stored.get(binding.number):
                self._take_from_grad(binding, gradient)
        for binding in self._taken.values():
            if binding.parameter.grad is None:
                raise errors.StateError(
                    f".grad of {binding.name} was set to None after the backward pass, but stream mode has"
                    " stepped it by then: optimizer.zero_grad() ends this step with what was stepped;"
                    ' gradients="plane" leaves such a parameter alone'
                )
        return self._finish() if self._has_begun else None

    def _take_from_grad(self, binding: Binding, gradient: torch.Tensor) -> None:
        """Steps by a gradient that no backward pass has written, or that was left in ``.grad``."""
        self._must_stay()
        is_maximized = self._optimizer.is_maximized(binding)
        host = gradient_on_host(binding, gradient, maximize=is_maximized)
        use = self._admit(binding)
        self._worker.do(functools.partial(use, _AtHand(host)))

    def _finish(self) -> int:
        failures = self._worker.join()
        for transfer in self._transfers.values():
            transfer.settle()
        optimizer = self._optimizer
        optimizer.weights.sent([*self._taken.values()])
        for failure in failures:
            if not isinstance(failure, errors.NotFiniteError):
                raise failure
        position = optimizer.request()
        steps = optimizer.store.call_with_position("finishStreaming", optimizer.arguments, position)
        for binding in self._taken.values():
            if binding.parameter.grad is self._stored[binding.number]:
                binding.parameter.grad = None
        self._taken.clear()
        self._has_begun = False
        if failures:
            raise failures[0]
        return steps

    def forget(self) -> None:
        if self._has_begun:
            taken, of, left_out = len(self._taken), len(self._stored), ""
            try:
                self._finish()
            except errors.NotFiniteError as refusal:
                left_out = f", and one was skipped: {refusal}"
            warnings.warn(
                f"a step was given up when {taken} of {of} tensors had been stepped, which stream mode"
                f" cannot take back: it counts as a step of these alone{left_out}",
                stacklevel=4,
            )

    def require_nothing_taken(self) -> None:
        self.require_between_steps()

    def give_up(self) -> None:
        self.forget()

    def require_between_steps(self) -> None:
        if self._has_begun:
            raise errors.StateError(
                "tensors have been stepped for a step that has not ended: call step(), or zero_grad() to"
                " give it up"
            )

    def require_kept(self, number: int) -> None:
        """Is an error: gradients are not kept."""
        raise self._not_kept(number)

    def norm_of(self, number: int) -> float:
        """Is an error: gradients are not kept."""
        raise self._not_kept(number)

    def read(self, number: int) -> torch.Tensor:
        """Is an error: gradients are not kept."""
        raise self._not_kept(number)

    def came_back(self, number: int, gradient: torch.Tensor) -> None:
        """Is an error: gradients are not kept."""
        raise self._not_kept(number)

    def add(self, number: int, values: torch.Tensor) -> None:
        """Is an error: there is nothing to add to."""
        raise _second_gradient(self._bindings[number])

    def _not_kept(self, number: int) -> errors.StateError:
        return errors.StateError(
            f"{self._bindings[number].name} has been stepped already: stream mode can neither clip nor"
            ' scale gradients, nor show them; choose gradients="plane"'
        )


class _AtHand:
    """A gradient on the host that nobody brings."""

    def __init__(self, host: torch.Tensor) -> None:
        self._host = host

    def received(self) -> _AtHand:
        """It is there."""
        return self

    def __enter__(self) -> torch.Tensor:
        return self._host

    def __exit__(self, *_: object) -> None:
        """It stays with its owner."""

    def return_weights(self, store: Store, weights: Weights, binding: Binding) -> None:
        """Writes the parameter at once."""
        weights.write([binding])


def _second_gradient(binding: Binding) -> errors.StateError:
    return errors.StateError(
        f"{binding.name} has a second gradient before step(), and stream mode has stepped the first: run"
        " every micro-batch but the last one in `with optimizer.accumulating():`; a layer that is used"
        " twice under re-entrant checkpointing (use_reentrant=True) needs use_reentrant=False or"
        ' gradients="plane"'
    )


def _stream(store: Store, weights: Weights, binding: Binding, arrival: Arrival) -> None:
    with arrival.received() as gradient:
        store.call("stream", binding.number, TYPES[gradient.dtype], *addresses([gradient]))
        arrival.return_weights(store, weights, binding)
