"""A store, as Python has it: tensors have the numbers of the plan that it was opened with."""

from __future__ import annotations

import atexit
import ctypes
import os
import time
import weakref
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Callable, Mapping, Sequence

import torch

from ._java import Java, java
from ._memory import TYPES, addresses

if TYPE_CHECKING:
    from ._adapters import Adapter
    from ._rules import UpdateRule

ROUNDINGS = {"nearest": 0, "stochastic": 1}
PLANES = {None: 0, torch.bfloat16: 1, torch.float32: 2}
_STORES_ROUNDING = -1

ADAPTER, ADAPTER_CONFIG = "adapter_model", "adapter_config.json"
"""What PEFT calls the weights of an adapter, and its configuration."""


@dataclass(frozen=True)
class InFiles:
    """A tensor as a model's files have it."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """A parameter: its name, shape, and whether steps change it."""

    name: str
    shape: tuple[int, ...]
    trainable: bool
    in_files: tuple[InFiles, ...] = ()
    """What the model's files have of it, if not the same: its elements, in their order."""


@dataclass(frozen=True)
class Layout:
    """What is trained, and by which rules: named groups of tensors, and what is kept of their gradients."""

    rule: UpdateRule
    group_rules: Sequence[UpdateRule]
    """Of each group, which may be the store's own."""
    groups: Sequence[tuple[str, Sequence[Tensor]]]
    rounding: str
    seed: int
    gradient_plane: torch.dtype | None
    position_capacity: int = 0
    """How many bytes a step may publish; 0: 256 KiB."""


class _Plan:
    """A layout where Java has it, for the time of a ``with``."""

    def __init__(self, layout: Layout) -> None:
        self._java = java()
        self.handle = self._java.call(
            "newPlan",
            layout.rule.handle,
            ROUNDINGS[layout.rounding],
            layout.seed,
            PLANES[layout.gradient_plane],
            layout.position_capacity,
        )
        for (name, tensors), rule in zip(layout.groups, layout.group_rules):
            self._java.call("addGroup", self.handle, rule.handle, name)
            for tensor in tensors:
                self._add("addTensor", tensor, tensor.trainable)
                for part in tensor.in_files:
                    self._add("addTensorInFiles", part)

    def _add(self, function: str, tensor: Tensor | InFiles, *more: bool) -> None:
        shape = (ctypes.c_int64 * len(tensor.shape))(*tensor.shape)
        self._java.call(function, self.handle, tensor.name, ctypes.addressof(shape), len(shape), *more)

    def __enter__(self) -> int:
        return self.handle

    def __exit__(self, *_: object) -> None:
        self._java.call("dropPlan", self.handle)


class StepArguments:
    """What a step is called with (dev.lionstore.python.StepArguments has the table)."""

    _HEAD = 6

    def __init__(self, hyperparameters: Sequence[int]) -> None:
        """:param hyperparameters: how many each group has"""
        self._starts = [*accumulate(hyperparameters, initial=self._HEAD)]
        self._values = (ctypes.c_double * self._starts[-1])()
        self._values[1] = self._values[2] = 1
        self._values[3] = _STORES_ROUNDING
        self.address = ctypes.addressof(self._values)

    def set_clip_norm(self, norm: float | None) -> None:
        self._values[0] = 0 if norm is None else norm

    def set_loss_scale(self, scale: float) -> None:
        self._values[1] = scale

    def set_rounding(self, rounding: str | None) -> None:
        self._values[3] = _STORES_ROUNDING if rounding is None else ROUNDINGS[rounding]

    def set_group(self, index: int, values: Sequence[float]) -> None:
        self._values[self._starts[index] : self._starts[index + 1]] = list(values)

    @property
    def norm(self) -> float:
        """The global norm that the step found, before clipping."""
        return self._values[4]

    @property
    def clip_coefficient(self) -> float:
        return self._values[5]


class Store:
    """A store open for stepping; it is closed when it is no longer used."""

    def __init__(self, layout: Layout, path: str, backend: str, threads: int) -> None:
        self._java = java()
        self.gradient_plane = layout.gradient_plane
        self.weights_file = os.path.join(path, "weights.plane")
        with _Plan(layout) as plan:
            self.handle = self._java.call("open", plan, path, backend, threads)
        self._position_capacity: int | None = None
        self._before_closing: list[Callable[[], None]] = []
        self._close = weakref.finalize(
            self, _close, self._java, self.handle, os.getpid(), self._before_closing
        )

    @staticmethod
    def exists(path: str) -> bool:
        return java().call("isStore", path) == 1

    @staticmethod
    def tensors_in(path: str) -> list[str]:
        """The names of a store's tensors; none if there is no store."""
        return java().call_for_text("tensorNames", path).split("\n") if Store.exists(path) else []

    @staticmethod
    def groups_in(path: str) -> list[str]:
        """The names of a store's groups; none if there is no store."""
        return java().call_for_text("groupNames", path).split("\n") if Store.exists(path) else []

    @staticmethod
    def create(
        layout: Layout, path: str, state: NewState, model_files: str | None, adapter: Adapter | None = None
    ) -> None:
        """Makes a store with masters for each tensor of the layout.

        :param adapter: what it is of; its configuration may be among the model's files
        """
        with _Plan(layout) as plan:
            _build(java().call("build", plan, path), state, model_files, adapter)

    def succeed(self, layout: Layout, state: NewState) -> None:
        """Closes this store and puts one of another layout, or another state, in its place.

        Tensors of the same name keep what ``state`` does not replace.
        """
        with _Plan(layout) as plan:
            _build(self.call("buildSuccessor", plan), state, None)
        self._close.detach()
        for do in self._before_closing:
            do()
        self.call("succeed")

    def at_close(self, do: Callable[[], None]) -> None:
        """Has something done before the store is closed, unless the process ends."""
        self._before_closing.append(do)

    def close(self) -> None:
        """Makes everything durable."""
        self._close()

    @property
    def is_open(self) -> bool:
        return self._close.alive

    @property
    def steps(self) -> int:
        return self.call("steps")

    @property
    def kernel(self) -> str:
        return self._java.call_for_text("kernel", self.handle)

    @property
    def position_capacity(self) -> int:
        """How many bytes a step may publish."""
        if self._position_capacity is None:
            self._position_capacity = self.call("positionCapacity")
        return self._position_capacity

    @property
    def position(self) -> bytes:
        return self._java.call_for_bytes("position", self.handle)

    def hash(self) -> str:
        return self._java.call_for_text("hash", self.handle)

    def call(self, name: str, *arguments: int | str | bytes) -> int:
        """Calls a function on this store."""
        return self._java.call(name, self.handle, *arguments)

    def call_with_lists(self, name: str, *lists: Sequence[int]) -> None:
        """Calls a function with a count and lists of that many integers."""
        arrays = [(ctypes.c_int64 * len(values))(*values) for values in lists]
        self.call(name, len(lists[0]), *map(ctypes.addressof, arrays))

    def call_with_position(self, name: str, arguments: StepArguments, position: bytes) -> int:
        """Calls a function that steps."""
        return self.call(name, arguments.address, position)

    def begin_snapshot(self, folder: str, extra: Mapping[str, bytes], keep: int) -> None:
        """Begins a snapshot, once the one before it has ended; keep 0: all are kept."""
        extras = self._java.call("newExtras")
        for name, content in extra.items():
            self._java.call("addExtra", extras, name, content)
        self.call("beginSnapshot", folder, extras, keep)

    @property
    def is_snapshot_done(self) -> bool:
        return self.call("isSnapshotDone") == 1

    def await_snapshot(self) -> list[str]:
        """Waits for the snapshot that is being taken; its path and what is to be told of others."""
        if not self._close.alive:
            return []
        while not self.is_snapshot_done:
            time.sleep(0.005)  # here Ctrl-C is heard
        return self._java.call_for_text("awaitSnapshot", self.handle).splitlines()


@dataclass(frozen=True)
class NewState:
    """What a store that is made takes from memory; tensors are contiguous, on the host."""

    masters: Mapping[int, torch.Tensor]
    states: Mapping[tuple[int, int], torch.Tensor] = field(default_factory=dict)
    """By the numbers of the tensor and of its rule's state."""
    step_counts: Mapping[int, int] = field(default_factory=dict)
    """How many steps a tensor has taken, for rules that count them."""
    progress: tuple[int, bytes] | None = None
    """Completed steps and the position that the last one published; None: 0, or the predecessor's."""


def _build(building: int, state: NewState, model_files: str | None, adapter: Adapter | None = None) -> None:
    calls = java()
    try:
        if model_files is not None:
            calls.call("carryFiles", building, model_files)
        if adapter is not None:
            calls.call("setBaseName", building, ADAPTER)
            if model_files is None or not os.path.exists(os.path.join(model_files, ADAPTER_CONFIG)):
                calls.call("carryFile", building, ADAPTER_CONFIG, adapter.config)
            for name, parameter in adapter.tied.items():
                calls.call("setTied", building, name, parameter)
        for number, values in state.masters.items():
            calls.call("setInitial", building, number, TYPES[values.dtype], *addresses([values]))
        for (number, plane), values in state.states.items():
            kind = TYPES[values.dtype]
            calls.call("setInitialState", building, number, plane, kind, *addresses([values]))
        for number, count in state.step_counts.items():
            calls.call("setStepCount", building, number, count)
        if state.progress is not None:
            calls.call("setProgress", building, *state.progress)
    except BaseException:
        calls.call("abandonBuild", building)
        raise
    calls.call("finishBuild", building)


def restore(snapshot: str, store: str) -> None:
    """Makes a store from a snapshot."""
    java().call("restore", snapshot, store)


def extras_of(snapshot: str) -> dict[str, bytes]:
    """What is kept with a snapshot."""
    names = java().call_for_text("extraNames", snapshot).splitlines()
    return {name: java().call_for_bytes("extra", snapshot, name) for name in names}


_is_ending = False


def _end() -> None:
    global _is_ending
    _is_ending = True


def _close(
    calls: Java, handle: int, process: int, before: Sequence[Callable[[], None]]
) -> None:
    # A forked child ends with the objects of its parent, whose store it is.
    if os.getpid() == process:
        for do in () if _is_ending else before:
            do()
        calls.call("close", handle)


# Finalizers run at the end of the process too, and those who registered later run first.
weakref.finalize(_close, _end).atexit = False
atexit.register(_end)
