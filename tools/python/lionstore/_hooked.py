"""Gradients that leave ``.grad`` as they appear; here: for the gradient plane."""

from __future__ import annotations

import functools
import threading
import weakref
from contextlib import contextmanager
from typing import Callable, Iterator, Sequence

import torch

from . import _distributed, errors
from ._binding import Binding
from ._transfer import Arrival, Transfer, transfers_for
from ._gradients import Gradients, Optimizer, gradient_on_host
from ._memory import TYPES, addresses, require_plain
from ._store import Store
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
        trained = [b for b in bindings if b.is_trained and b.has_elements]
        self._worker = Worker(_MOST_WAITING)
        self._transfers = transfers_for(trained)
        self._reduction = _distributed.LaterReduction([b.parameter for b in trained])
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
            gradient = parameter.grad
            # What was added to a gradient in the store has been added there.
            if taker is not None and gradient is not None and gradient is not taker._stored[number]:
                taker._take_from(parameter, gradient, taker._bindings[number])

        return hook

    def _take_from(
        self, parameter: torch.Tensor, gradient: torch.Tensor, binding: Binding
    ) -> None:
        if self._is_accumulating or self._must_stay():
            return
        require_plain(gradient, f"the gradient of {binding.name}")
        self._renew(binding)
        use = self._admit(binding)
        try:
            self._bring(gradient, binding, use)
        except BaseException:
            self._withdraw(binding)
            raise
        parameter.grad = self._stored[binding.number]

    def _renew(self, binding: Binding) -> None:
        """Lets a tensor of its own stand for a gradient that leaves: whoever has kept the last one's is told."""
        self._stored[binding.number].is_gone = True
        self._stored[binding.number] = StoredGradient.of(
            binding.number, binding.name, binding.parameter, weakref.proxy(self)
        )

    def _must_stay(self) -> bool:
        """Whether gradients are not final yet when they appear."""
        raise NotImplementedError

    def _admit(self, binding: Binding) -> Callable[[Arrival], None]:
        """Lets a gradient be taken for this step; gives what is done with it when it is there."""
        raise NotImplementedError

    def _withdraw(self, binding: Binding) -> None:
        """Forgets a gradient that could not be taken: it still stands in ``.grad``."""
        raise NotImplementedError

    def _bring(
        self, gradient: torch.Tensor, binding: Binding, use: Callable[[Arrival], None]
    ) -> None:
        transfer = self._transfer(binding.parameter.device)
        is_maximized = self._optimizer.is_maximized(binding)
        arrival = transfer.fetch(gradient, binding, maximize=is_maximized)
        if transfer.is_beside or self._is_beside:
            self._worker.do(functools.partial(use, arrival))
        else:
            use(arrival)

    def _transfer(self, device: torch.device) -> Transfer:
        if device not in self._transfers:  # the model was moved
            there = [b for b in self._bindings if b.is_trained and b.parameter.device == device]
            self._transfers.update(transfers_for(there))
        return self._transfers[device]

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
        for transfer in self._transfers.values():
            transfer.close()
        for binding in self._bindings:
            if isinstance(binding.parameter.grad, StoredGradient):
                binding.parameter.grad = None


class IntoPlane(Hooked):
    """Gradients go into the gradient plane as they appear, and add up there.

    The plane keeps them after the step, as ``.grad`` does, until others come or they are forgotten.
    """

    def __init__(self, optimizer: Optimizer, bindings: Sequence[Binding]) -> None:
        super().__init__(optimizer, bindings)
        self._kept: set[int] = set()
        """Tensors of whose last gradient the plane has the values."""
        self._put: set[int] = set()
        """Those of them that the store would step now."""

    def _must_stay(self) -> bool:
        if self._optimizer.is_repeating:
            return True
        if self._reduction.is_expected():
            self._reduction.tell_once(
                "they stay in .grad until step(), which takes them from there"
            )
            return True
        return False

    def _admit(self, binding: Binding) -> Callable[[Arrival], None]:
        with self._lock:
            self._kept.add(binding.number)
            self._put.add(binding.number)
        return functools.partial(_keep, self._optimizer.store, "put", binding)

    def _withdraw(self, binding: Binding) -> None:
        self._kept.discard(binding.number)
        self._put.discard(binding.number)

    def add(self, number: int, values: torch.Tensor) -> None:
        """Adds to a gradient in the plane: in float32, or as PyTorch does if the plane is bfloat16."""
        binding = self._bindings[number]
        require_plain(values, f"the gradient of {binding.name}")
        store = self._optimizer.store
        if store.gradient_plane is torch.bfloat16:
            self._put_now(binding, self.read(number).add_(values))
            return
        if number not in self._put:
            self._put_again(number)
        self._bring(values, binding, functools.partial(_keep, store, "accumulate", binding))

    def step(self) -> int | None:
        optimizer = self._optimizer
        self._reduction.search_again()
        given = self._with_gradients()
        if not given:
            return None
        position = optimizer.request()
        optimizer.take_over_changes()
        self._settle()
        optimizer.arguments.set_loss_scale(1 / self._prepare(given))
        bindings = [b for b, _ in given]
        try:
            steps = optimizer.store.call_with_position("step", optimizer.arguments, position)
        finally:
            self._put.clear()
        for device in {b.parameter.device for b in bindings}:
            transfer = self._transfer(device)
            here = [b for b in bindings if b.parameter.device == device]
            transfer.send(optimizer.store, optimizer.weights, here)
            transfer.settle()
            optimizer.weights.sent(here)
        return steps

    def _prepare(self, given: Sequence[tuple[Binding, torch.Tensor]]) -> float:
        """Puts exactly what stands in ``.grad``; gives the factor that the step multiplies it with."""
        numbers = {b.number for b, _ in given}
        if self._put - numbers:
            self._optimizer.store.call("discard")
            self._put.clear()
        stored: list[StoredGradient] = []
        for binding, gradient in given:
            if gradient is self._stored.get(binding.number) and self._stored[binding.number].back is None:
                self.require_kept(binding.number)
                if binding.number not in self._put:
                    self._put_again(binding.number)
                stored.append(self._stored[binding.number])
            else:
                self._put_now(
                    binding, gradient.values() if isinstance(gradient, StoredGradient) else gradient
                )
        factors = {gradient.factor for gradient in stored}
        one = factors.pop() if len(factors) == 1 and len(stored) == len(given) else 0.0
        if one != 0 and abs(one) < float("inf"):
            return one
        for each in stored:
            if each.factor != 1.0:
                self._put_now(self._bindings[each.number], each.values())
                each.factor = 1.0
        return 1.0

    def _put_now(self, binding: Binding, gradient: torch.Tensor) -> None:
        is_maximized = self._optimizer.is_maximized(binding)
        host = gradient_on_host(binding, gradient, maximize=is_maximized)
        store = self._optimizer.store
        store.call("put", binding.number, TYPES[host.dtype], *addresses([host]))
        self._put.add(binding.number)
        self._kept.add(binding.number)

    def _put_again(self, number: int) -> None:
        self._settle()
        self._optimizer.store.call("putKept", number)
        self._put.add(number)

    def _settle(self) -> None:
        """Waits until all gradients are in the plane; forgets them if one is not."""
        failures = self._worker.join()
        if failures:
            self.forget()
            raise failures[0]

    # --- what is asked of gradients in the plane

    def require_kept(self, number: int) -> None:
        """Checks that the plane has a gradient.

        :raises StateError: if it was forgotten
        """
        if number not in self._kept:
            raise errors.StateError(
                f"the gradient of {self._bindings[number].name} was forgotten by optimizer.zero_grad():"
                " run a backward pass first"
            )

    def norm_of(self, number: int) -> float:
        """The norm of a gradient in the plane, before it is scaled."""
        self.require_kept(number)
        self._settle()
        if number not in self._put:
            self._put_again(number)
        store = self._optimizer.store
        return read_double(lambda address: store.call("copyNorm", number, address))

    def read(self, number: int) -> torch.Tensor:
        """A copy of a gradient in the plane, before it is scaled."""
        self.require_kept(number)
        self._settle()
        binding, store = self._bindings[number], self._optimizer.store
        host = torch.empty(binding.parameter.shape, dtype=store.gradient_plane)
        store.call("copyGradient", number, *addresses([host]))
        if self._optimizer.is_maximized(binding):
            host.neg_()
        return host.to(binding.parameter.device, binding.parameter.dtype)

    def came_back(self, number: int, gradient: torch.Tensor) -> None:
        """Lets a gradient stand in ``.grad`` that was in the plane."""
        parameter = self._bindings[number].parameter
        if parameter.grad is self._stored[number]:
            parameter.grad = gradient

    def forget(self) -> None:
        self._worker.join()  # what failed is forgotten, too
        for binding in self._bindings:
            if binding.parameter.grad is not None and binding.number in self._stored:
                if binding.parameter.grad is self._stored[binding.number]:
                    binding.parameter.grad = None
        self._kept.clear()
        self._put.clear()
        self._optimizer.store.call("discard")

    def require_nothing_taken(self) -> None:
        if self._put:
            raise errors.StateError("gradients have been taken for a step: call step() first")


def _keep(store: Store, function: str, binding: Binding, arrival: Arrival) -> None:
    with arrival.received() as gradient:
        store.call(function, binding.number, TYPES[gradient.dtype], *addresses([gradient]))
