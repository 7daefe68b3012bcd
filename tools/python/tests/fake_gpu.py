"""A GPU whose streams do nothing until somebody waits for them: what is not waited for shows in bits.

Its memory is the host's. A copy's target is spoilt at once, for the copy may begin at any time, and
written when an event after it is waited for, from what its source is then; a source that nobody
keeps any more gives nothing. What PyTorch computes is computed at once; yet a gradient is there only
for a stream that has waited for the computing one since the copy before.
"""

from __future__ import annotations

import threading
import weakref
from typing import Callable

import torch

SPOILT = 0x3C
"""A byte that makes finite, small values of every dtype."""


def spoil(tensor: torch.Tensor) -> None:
    """Overwrites a tensor."""
    memory = torch.full((tensor.numel() * tensor.element_size(),), SPOILT, dtype=torch.uint8)
    tensor.data.copy_(memory.view(tensor.dtype).view(tensor.shape))


class FakeEvent:
    def __init__(self, stream: FakeStream) -> None:
        self._stream, self._moment = stream, stream.enqueued
        self.is_of_computing = stream.is_computing

    def synchronize(self) -> None:
        self._stream.run_to(self._moment)


class FakeStream:
    def __init__(self, gpu: FakeGpu, *, is_computing: bool = False) -> None:
        self._gpu = gpu
        self._todo: list[Callable[[], None]] = []
        self._done = 0
        self.is_computing = is_computing
        self.has_waited = False

    @property
    def enqueued(self) -> int:
        return self._done + len(self._todo)

    @property
    def is_idle(self) -> bool:
        return not self._todo

    def enqueue(self, work: Callable[[], None]) -> None:
        with self._gpu.lock:
            self._todo.append(work)

    def run_to(self, moment: int) -> None:
        with self._gpu.lock:
            while self._done < moment:
                self._done += 1
                self._todo.pop(0)()

    def wait_event(self, event: FakeEvent) -> None:
        if self.is_computing or event.is_of_computing:
            event.synchronize()  # it computes as soon as it may
        self.has_waited |= event.is_of_computing


class FakeGpu:
    """A kind of device, for ``lionstore._cuda.KINDS``."""

    def __init__(self, _: torch.device | None = None) -> None:
        self.lock = threading.RLock()
        self.computing = FakeStream(self, is_computing=True)
        self.streams: list[FakeStream] = []
        self._pinned: list[torch.Tensor] = []
        self._gradients: list[weakref.ref[torch.Tensor]] = []
        self.copies = 0
        self.most_gradients = 0

    def stream(self) -> FakeStream:
        self.streams.append(FakeStream(self))
        return self.streams[-1]

    def current_stream(self) -> FakeStream:
        return self.computing

    def record(self, stream: FakeStream) -> FakeEvent:
        return FakeEvent(stream)

    def pinned(self, size: int) -> torch.Tensor:
        memory = torch.full((size,), SPOILT, dtype=torch.uint8)
        self._pinned.append(memory)
        return memory

    def copy(self, stream: FakeStream, to: torch.Tensor, of: torch.Tensor) -> None:
        assert not stream.is_computing, "copies are beside what is computed"
        goes_out = self._is_pinned(of)
        assert goes_out != self._is_pinned(to), "one side is pinned memory"
        is_there = goes_out or stream.has_waited
        stream.has_waited = False
        # Who copies keeps nothing: the caching allocator gives memory to the next who asks.
        source = (lambda: of) if goes_out else weakref.ref(of)
        if not goes_out:
            self._count(of)
        spoil(to)
        torch.autograd.graph.increment_version(to)  # as every copy does

        def run() -> None:
            kept = source()
            self.copies += 1
            if kept is not None and is_there:
                to.data.copy_(kept.data)

        stream.enqueue(run)

    def _count(self, gradient: torch.Tensor) -> None:
        alive = [each for each in self._gradients if each() is not None]
        self._gradients = [*alive, weakref.ref(gradient)]
        self.most_gradients = max(self.most_gradients, len(self._gradients))

    def _is_pinned(self, tensor: torch.Tensor) -> bool:
        storages = {memory.untyped_storage().data_ptr() for memory in self._pinned}
        return tensor.untyped_storage().data_ptr() in storages
