"""What brings gradients to the host and weights back; for a GPU, beside what it computes."""

from __future__ import annotations

import queue
from contextlib import contextmanager
from typing import Callable, ContextManager, Iterable, Iterator, Protocol, Sequence

import torch

from . import errors
from ._binding import Binding, Weights, copy_weights
from ._cuda import KINDS, Event, Gpu
from ._gradients import gradient_on_host
from ._store import Store

SLOTS = 4
"""One is copied to, one waits for the worker, one is stepped, one is copied from."""


class Arrival(Protocol):
    """A gradient that comes to the host."""

    def received(self) -> ContextManager[torch.Tensor]:
        """Waits until it is there; it stays until the end of the ``with``."""

    def return_weights(self, store: Store, weights: Weights, binding: Binding) -> None:
        """Sends the parameter its weights from the store, while the gradient is no longer read."""


class Transfer(Protocol):
    """The way between the parameters of a device and the store."""

    is_beside: bool
    """Whether a gradient is still on its way when it was fetched."""

    def fetch(self, gradient: torch.Tensor, binding: Binding, *, maximize: bool) -> Arrival:
        """Begins to bring a gradient that the current stream writes."""

    def send(self, store: Store, weights: Weights, bindings: Sequence[Binding]) -> None:
        """Sends parameters their weights."""

    def settle(self) -> None:
        """Lets the current stream, so the next forward pass, wait for what was sent."""

    def close(self) -> None:
        """Waits until nothing is on its way."""


class _Here:
    """A gradient in the host's memory."""

    def __init__(self, host: torch.Tensor) -> None:
        self._host = host

    @contextmanager
    def received(self) -> Iterator[torch.Tensor]:
        yield self._host

    def return_weights(self, store: Store, weights: Weights, binding: Binding) -> None:
        weights.write([binding])


class Direct:
    """For the CPU, which has all of it; for other devices it copies at once."""

    is_beside = False

    def fetch(self, gradient: torch.Tensor, binding: Binding, *, maximize: bool) -> Arrival:
        return _Here(gradient_on_host(binding, gradient, maximize=maximize))

    def send(self, store: Store, weights: Weights, bindings: Sequence[Binding]) -> None:
        weights.write(bindings)

    def settle(self) -> None:
        """Nothing is on its way."""

    def close(self) -> None:
        """Nothing is on its way."""


class _Slot:
    """Pinned memory for one tensor at a time, and the last copy out of it."""

    def __init__(self, memory: torch.Tensor) -> None:
        self._memory = memory
        self.sent: Event | None = None

    def like(self, tensor: torch.Tensor) -> torch.Tensor:
        """Its memory as a contiguous tensor of that shape and dtype."""
        size = tensor.numel() * tensor.element_size()
        return self._memory[:size].view(tensor.dtype).view(tensor.shape)


class _Coming:
    """A gradient on its way; its own memory stays until it is there."""

    def __init__(
        self, ring: Ring, slot: _Slot, gradient: torch.Tensor, copied: Event, maximize: bool
    ) -> None:
        self._ring, self._slot = ring, slot
        self._host = slot.like(gradient)
        self._gradient: torch.Tensor | None = gradient
        self._copied = copied
        self._is_maximized = maximize

    @contextmanager
    def received(self) -> Iterator[torch.Tensor]:
        try:
            self._copied.synchronize()
            self._gradient = None
            yield self._host.neg_() if self._is_maximized else self._host
        finally:
            self._ring.give(self._slot)

    def return_weights(self, store: Store, weights: Weights, binding: Binding) -> None:
        self._ring.send_from(self._slot, store, binding)


class Ring:
    """For a GPU: a few pieces of pinned memory, a stream for what comes and one for what goes.

    What comes waits for the stream that computes the gradient; the gradient's memory is given back,
    to that stream, when this thread knows that it was copied, so no stream can write it too early.
    A parameter is written after its gradient has come, so after all that the backward pass reads of
    it. A slot is used again when the copy out of it has ended.
    """

    is_beside = True

    def __init__(self, gpu: Gpu, largest: int) -> None:
        self._gpu = gpu
        self._largest = largest
        self._coming, self._going = gpu.stream(), gpu.stream()
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        for _ in range(SLOTS):
            self.give(_Slot(gpu.pinned(largest)))

    def fetch(self, gradient: torch.Tensor, binding: Binding, *, maximize: bool) -> Arrival:
        size = gradient.numel() * gradient.element_size()
        if size > self._largest:
            raise errors.ArgumentError(
                f"the gradient of {binding.name} has {size} bytes, expected at most {self._largest}, as many"
                " as the largest parameter"
            )
        slot = self._taken()
        self._coming.wait_event(self._gpu.record(self._gpu.current_stream()))
        self._gpu.copy(self._coming, slot.like(gradient), gradient)
        return _Coming(self, slot, gradient, self._gpu.record(self._coming), maximize)

    def _taken(self) -> _Slot:
        """A slot that nothing reads or writes any more."""
        slot = self._free.get()
        if slot.sent is not None:
            slot.sent.synchronize()
            slot.sent = None
        return slot

    def give(self, slot: _Slot) -> None:
        """Takes a slot back; what is sent from it may still be on its way."""
        self._free.put(slot)

    def send(self, store: Store, weights: Weights, bindings: Sequence[Binding]) -> None:
        # Whatever this thread has had computed since the backward pass reads the weights before.
        self._going.wait_event(self._gpu.record(self._gpu.current_stream()))
        for binding in bindings:
            slot = self._taken()
            try:
                self.send_from(slot, store, binding)
            finally:
                self.give(slot)

    def send_from(self, slot: _Slot, store: Store, binding: Binding) -> None:
        """Sends a parameter its weights by way of a slot."""
        host = slot.like(binding.parameter)
        copy_weights(store, binding, host)
        self._gpu.copy(self._going, binding.parameter, host)
        binding.given_dtype = binding.parameter.dtype
        slot.sent = self._gpu.record(self._going)
        binding.stepped()

    def settle(self) -> None:
        self._gpu.current_stream().wait_event(self._gpu.record(self._going))

    def close(self) -> None:
        for stream in [self._coming, self._going]:
            self._gpu.record(stream).synchronize()


def transfers_for(bindings: Iterable[Binding]) -> dict[torch.device, Transfer]:
    """A transfer for each device that there are parameters on."""
    largest: dict[torch.device, int] = {}
    for binding in bindings:
        parameter = binding.parameter
        size = parameter.numel() * parameter.element_size()
        largest[parameter.device] = max(size, largest.get(parameter.device, 0))
    return {device: _transfer_for(device, size) for device, size in largest.items()}


def _transfer_for(device: torch.device, largest: int) -> Transfer:
    kind: Callable[[torch.device], Gpu] | None = KINDS.get(device.type)
    return Direct() if kind is None else Ring(kind(device), largest)
