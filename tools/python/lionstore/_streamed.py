"""Tensors that are stepped as their gradients appear, by threads of their own."""

from __future__ import annotations

import functools
import queue
import threading
import weakref
from typing import Callable, Sequence

import torch

from . import errors
from ._binding import Binding, write_weights
from ._gradients import Optimizer
from ._hooked import Hooked
from ._store import TYPES, Store

_MOST_WAITING = 8
"""How many gradients wait for the worker before a backward pass waits: they take memory."""


class Streamed(Hooked):
    """Each tensor is stepped as soon as its gradient is there, while the backward pass goes on."""

    def __init__(self, optimizer: Optimizer, bindings: Sequence[Binding]) -> None:
        super().__init__(optimizer, bindings)
        self._todo: queue.Queue[Callable[[], None] | None] = queue.Queue(_MOST_WAITING)
        self._failures: list[Exception] = []
        self._end = weakref.finalize(self, self._todo.put, None)
        self._end.atexit = False
        self._worker: threading.Thread | None = None

    def _take(self, binding: Binding, gradient: torch.Tensor) -> None:
        with self._lock:
            if binding.number in self._taken:
                raise errors.StateError(
                    f"{binding.name} has a second gradient before step(): in stream mode, run every"
                    " micro-batch but the last one in `with optimizer.accumulating():`"
                )
            if not self._taken:
                self._begin()
            self._taken[binding.number] = binding
        self._todo.put(functools.partial(_stream, self._optimizer.store, binding, gradient))

    def _begin(self) -> None:
        self._optimizer.take_over_changes()
        position = self._optimizer.request()
        self._optimizer.store.call_with_position(
            "beginStreaming", self._optimizer.arguments, position
        )
        if self._worker is None:
            self._worker = threading.Thread(
                target=_work, args=(self._todo, self._failures), name="lionstore", daemon=True
            )
            self._worker.start()

    def step(self) -> int | None:
        self._require_frozen()
        if not self._taken:
            return None
        self._todo.join()
        failures = self._failures[:]
        self._failures.clear()
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

    def close(self) -> None:
        super().close()
        self._end()


def _work(todo: queue.Queue[Callable[[], None] | None], failures: list[Exception]) -> None:
    while (work := todo.get()) is not None:
        try:
            work()
        except Exception as failure:
            failures.append(failure)
        finally:
            del work  # it holds a gradient
            todo.task_done()


def _stream(store: Store, binding: Binding, gradient: torch.Tensor) -> None:
    store.call("stream", binding.number, TYPES[gradient.dtype], gradient.data_ptr())
    write_weights(store, [binding])
