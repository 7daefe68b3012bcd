"""Tensors that are stepped as their gradients appear, beside the backward pass."""

from __future__ import annotations

import functools
from typing import Callable

from . import errors
from ._binding import Binding
from ._courier import Arrival
from ._hooked import Hooked
from ._store import TYPES, Store


class Streamed(Hooked):
    """Each tensor is stepped as soon as its gradient is there, while the backward pass goes on."""

    _is_beside = True

    def _admit(self, binding: Binding) -> Callable[[Arrival], None]:
        with self._lock:
            if binding.number in self._taken:
                raise errors.StateError(
                    f"{binding.name} has a second gradient before step(): in stream mode, run every"
                    " micro-batch but the last one in `with optimizer.accumulating():`"
                )
            if not self._taken:
                self._begin()
            self._taken[binding.number] = binding
        return functools.partial(_stream, self._optimizer.store, binding)

    def _begin(self) -> None:
        self._optimizer.take_over_changes()
        position = self._optimizer.request()
        self._optimizer.store.call_with_position(
            "beginStreaming", self._optimizer.arguments, position
        )

    def step(self) -> int | None:
        self._require_frozen()
        if not self._taken:
            return None
        failures = self._worker.join()
        for courier in self._couriers.values():
            courier.settle()
        for failure in failures:
            if not isinstance(failure, errors.NotFiniteError):
                raise failure
        arguments = self._optimizer.arguments
        steps = self._optimizer.store.call("finishStreaming", arguments.address)
        self._taken_now()
        if failures:
            raise failures[0]
        return steps

    def require_kept(self, number: int) -> None:
        raise errors.StateError(
            f"{self._bindings[number].name} has been stepped already: stream mode can neither clip"
            ' nor scale gradients; choose gradients="plane"'
        )

    def discard(self) -> None:
        if self._taken:
            raise errors.StateError(
                "tensors have been stepped already: in stream mode a backward pass cannot be taken"
                " back; call step() first"
            )


def _stream(store: Store, binding: Binding, arrival: Arrival) -> None:
    with arrival.received() as gradient:
        store.call("stream", binding.number, TYPES[gradient.dtype], gradient.data_ptr())
        arrival.return_weights(store, binding)
