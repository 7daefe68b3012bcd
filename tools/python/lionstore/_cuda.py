"""What copies beside a GPU's computing need of it: streams, events, pinned memory."""

from __future__ import annotations

from typing import Any, Protocol

import torch


class Event(Protocol):
    """A moment in a stream."""

    def synchronize(self) -> None:
        """Blocks this thread until the stream has come there."""


class Stream(Protocol):
    """Work that a GPU does in order."""

    def wait_event(self, event: Any) -> None:
        """What is enqueued from now on waits for a moment in another stream."""


class Gpu(Protocol):
    """A device with memory of its own."""

    def stream(self) -> Stream:
        """A new stream."""

    def current_stream(self) -> Stream:
        """The stream that this thread computes in."""

    def record(self, stream: Stream) -> Event:
        """The moment when a stream has done what it has."""

    def copy(self, stream: Stream, to: torch.Tensor, of: torch.Tensor) -> None:
        """Enqueues a copy between the device's memory and pinned memory."""

    def pinned(self, size: int) -> torch.Tensor:
        """Bytes of the host's memory that the device reads and writes by itself."""


class Cuda:
    """CUDA's, by PyTorch."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def stream(self) -> Any:
        return torch.cuda.Stream(self._device)

    def current_stream(self) -> Any:
        return torch.cuda.current_stream(self._device)

    def record(self, stream: Any) -> Any:
        # One that does not block spins, and the core is needed for steps.
        event = torch.cuda.Event(blocking=True)
        event.record(stream)
        return event

    def copy(self, stream: Any, to: torch.Tensor, of: torch.Tensor) -> None:
        with torch.no_grad(), torch.cuda.stream(stream):
            to.detach().copy_(of.detach(), non_blocking=True)

    def pinned(self, size: int) -> torch.Tensor:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)


KINDS: dict[str, Any] = {"cuda": Cuda}
"""How devices are reached, by their type."""
