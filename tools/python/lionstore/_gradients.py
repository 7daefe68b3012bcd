"""How gradients come to the store: all at ``step()``, as they appear, or stepped as they appear."""

from __future__ import annotations

import functools
import queue
import threading
import weakref
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Protocol, Sequence

import torch

from . import errors
from ._binding import Binding, gradient_on_host, write_weights
from ._store import TYPES, StepArguments, Store
from ._stored_gradient import StoredGradient, read_double

_MOST_WAITING = 8
"""How many gradients wait for the worker before a backward pass waits: they take memory."""


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
        given = [b for b in self._bindings if b.parameter.grad is not None and b.has_elements]
        if not given:
            return None
        optimizer.take_over_changes()
        hosts = [self._on_host(b, b.parameter.grad) for b in given]
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


class _Hooked(Gradients):
    """Gradients leave ``.grad`` as soon as a backward pass has written them."""

    def __init__(self, optimizer: Optimizer, bindings: Sequence[Binding]) -> None:
        super().__init__(optimizer, bindings)
        self._is_accumulating = False
        self._lock = threading.Lock()
        self._taken: dict[int, Binding] = {}
        trained = [b for b in bindings if b.is_trained and b.has_elements]
        myself = weakref.proxy(self)
        self._stored = {
            b.number: StoredGradient.of(b.number, b.name, b.parameter, myself) for b in trained
        }
        self._hooks = [
            b.parameter.register_post_accumulate_grad_hook(self._hook(b.number)) for b in trained
        ]

    def _hook(self, number: int) -> Callable[[torch.Tensor], None]:
        # The parameter must not keep the optimizer, nor its store.
        taker_of = weakref.ref(self)

        def hook(parameter: torch.Tensor) -> None:
            taker = taker_of()
            if taker is not None and parameter.grad is not None:
                taker._take_from(parameter, taker._bindings[number])

        return hook

    def _take_from(self, parameter: torch.Tensor, binding: Binding) -> None:
        stored = self._stored[binding.number]
        if self._is_accumulating and parameter.grad is not stored:
            return
        gradient, parameter.grad = parameter.grad, None
        if gradient is stored:
            gradient = stored.take_added()
        self._take(binding, self._on_host(binding, gradient))
        parameter.grad = stored

    def _take(self, binding: Binding, gradient: torch.Tensor) -> None:
        raise NotImplementedError

    def norm_of(self, number: int) -> float:
        """The norm of a gradient that was taken, before it is scaled."""
        self.require_kept(number)
        return read_double(
            lambda address: self._optimizer.store.call("copyNorm", number, address)
        )

    def require_kept(self, number: int) -> None:
        """Checks that a gradient was taken and is there.

        :raises StateError: if it is not
        """
        if number not in self._taken:
            raise errors.StateError(
                f"{self._bindings[number].name} has no gradient: the step has been taken"
            )

    def require_nothing_taken(self) -> None:
        if self._taken:
            raise errors.StateError("gradients have been taken for a step: call step() first")

    def _taken_now(self) -> list[Binding]:
        """What was taken for this step; the next one begins."""
        taken, self._taken = list(self._taken.values()), {}
        for binding in taken:
            self._stored[binding.number].reset()
            if binding.parameter.grad is self._stored[binding.number]:
                binding.parameter.grad = None
        return taken

    @contextmanager
    def accumulating(self) -> Iterator[None]:
        self._is_accumulating = True
        try:
            yield
        finally:
            self._is_accumulating = False

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()


class IntoPlane(_Hooked):
    """Gradients go into the gradient plane as they appear, and add up there."""

    def _take(self, binding: Binding, gradient: torch.Tensor) -> None:
        with self._lock:
            if not self._taken:
                self._optimizer.take_over_changes()
            function = "accumulate" if binding.number in self._taken else "put"
            self._taken[binding.number] = binding
        self._optimizer.store.call(
            function, binding.number, TYPES[gradient.dtype], gradient.data_ptr()
        )

    def step(self) -> int | None:
        self._require_frozen()
        if not self._taken:
            return None
        optimizer = self._optimizer
        factor = self._factor()
        taken = self._taken_now()
        position = optimizer.request()
        optimizer.arguments.set_loss_scale(1 / factor)
        steps = optimizer.store.call_with_position("step", optimizer.arguments, position)
        write_weights(optimizer.store, taken)
        return steps

    def _factor(self) -> float:
        """What gradients were multiplied with after they were taken.

        :raises StateError: if it is not the same for all
        """
        factors = {self._stored[number].factor for number in self._taken}
        if len(factors) > 1:
            raise errors.StateError(
                f"gradients were scaled by different factors ({sorted(factors)}), which only one"
                ' step each can be: clip all of them at once, or use gradients="step"'
            )
        return factors.pop()

    def discard(self) -> None:
        self._taken_now()
        self._optimizer.store.call("discard")


class Streamed(_Hooked):
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
