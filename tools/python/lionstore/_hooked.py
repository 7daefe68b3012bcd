"""Gradients that leave ``.grad`` as they appear; here: for the gradient plane."""

from __future__ import annotations

import functools
import threading
import weakref
from contextlib import contextmanager
from typing import Callable, Iterator, Sequence

import torch

from . import errors
from ._binding import Binding, require_storable_gradient
from ._courier import Arrival, couriers_for
from ._gradients import Gradients, Optimizer
from ._store import TYPES, Store
from ._stored_gradient import StoredGradient, read_double
from ._worker import Worker

_MOST_WAITING = 8
"""How many gradients wait for the worker before a backward pass waits: they take memory."""


class Hooked(Gradients):
    """Gradients leave ``.grad`` as soon as a backward pass has written them."""

    _is_beside = False
    """Whether even a gradient that is on the host is left to the worker."""

    def __init__(self, optimizer: Optimizer, bindings: Sequence[Binding]) -> None:
        super().__init__(optimizer, bindings)
        self._is_accumulating = False
        self._lock = threading.Lock()
        self._taken: dict[int, Binding] = {}
        trained = [b for b in bindings if b.is_trained and b.has_elements]
        self._worker = Worker(_MOST_WAITING)
        self._couriers = couriers_for(trained)
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
                taker._take_from(parameter, parameter.grad, taker._bindings[number])

        return hook

    def _take_from(
        self, parameter: torch.Tensor, gradient: torch.Tensor, binding: Binding
    ) -> None:
        stored = self._stored[binding.number]
        if self._is_accumulating and gradient is not stored:
            return
        parameter.grad = None
        if gradient is stored:
            gradient = stored.take_added()
        require_storable_gradient(gradient)
        use = self._admit(binding)
        courier = self._couriers[parameter.device]
        is_maximized = self._optimizer.is_maximized(binding)
        arrival = courier.fetch(gradient, maximize=is_maximized)
        if courier.is_beside or self._is_beside:
            self._worker.do(functools.partial(use, arrival))
        else:
            use(arrival)
        parameter.grad = stored

    def _admit(self, binding: Binding) -> Callable[[Arrival], None]:
        """Lets a gradient be taken for this step; gives what is done with it when it is there."""
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
        self._worker.close()
        for courier in self._couriers.values():
            courier.close()


class IntoPlane(Hooked):
    """Gradients go into the gradient plane as they appear, and add up there."""

    def _admit(self, binding: Binding) -> Callable[[Arrival], None]:
        store = self._optimizer.store
        with self._lock:
            if not self._taken:
                self._optimizer.take_over_changes()
            is_first = binding.number not in self._taken
            self._taken[binding.number] = binding
        if not is_first and store.gradient_plane is torch.bfloat16:
            raise errors.StateError(
                f"{binding.name} has a second gradient before step(), and a store for bfloat16"
                " gradients cannot add them up: run every micro-batch but the last one in `with"
                " optimizer.accumulating():`, or make the store with gradient_dtype=torch.float32"
            )
        function = "put" if is_first else "accumulate"
        return functools.partial(_keep, store, function, binding)

    def step(self) -> int | None:
        self._require_frozen()
        if not self._taken:
            return None
        self._settle()
        optimizer = self._optimizer
        factor = self._factor()
        taken = self._taken_now()
        position = optimizer.request()
        optimizer.arguments.set_loss_scale(1 / factor)
        steps = optimizer.store.call_with_position("step", optimizer.arguments, position)
        for device, courier in self._couriers.items():
            courier.send(optimizer.store, [b for b in taken if b.parameter.device == device])
            courier.settle()
        return steps

    def norm_of(self, number: int) -> float:
        self._settle()
        return super().norm_of(number)

    def _settle(self) -> None:
        """Waits until all gradients are in the plane; forgets them if one is not."""
        failures = self._worker.join()
        if failures:
            self.discard()
            raise failures[0]

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
        self._worker.join()  # what failed is forgotten, too
        self._taken_now()
        self._optimizer.store.call("discard")


def _keep(store: Store, function: str, binding: Binding, arrival: Arrival) -> None:
    with arrival.received() as gradient:
        store.call(function, binding.number, TYPES[gradient.dtype], gradient.data_ptr())
