"""What a backward pass leaves behind when something raises in it."""

from __future__ import annotations

import atexit
import os

import torch


def _made_before_any_other() -> torch.Tensor:
    with torch.enable_grad():
        return torch.zeros((), device="cpu", requires_grad=True) * 1


def _forget(process: int) -> None:
    # A forked child may run no pass.
    if os.getpid() == process:
        _first.backward()


# The thread's queue keeps the nodes that were to come, and they the store's memory: without this it
# is given back when the thread ends, which is after Python has, and the process crashes. A pass takes
# the newest node first, so that one over the oldest empties the queue.
_first = _made_before_any_other()
atexit.register(_forget, os.getpid())
