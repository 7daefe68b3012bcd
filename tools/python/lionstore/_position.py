"""What a step publishes beside the state: in PyTorch's own format, read with ``weights_only``.

A position is the model's buffers, where Java finds them for snapshots, and then whatever Python needs::

     8 bytes  "LIONBUF1"
     u64      length of the buffers, little-endian
     …        the buffers: a safetensors file
     …        torch.save of the rest
"""

from __future__ import annotations

import io
import math
import random
import struct
import sys
from array import array
from collections import Counter, OrderedDict
from typing import Any, Callable, Iterable, Mapping

import torch

from . import errors

_MAGIC = b"LIONBUF1"
_HEAD = struct.Struct("<8sQ")
_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray)
_DESCRIPTIONS = (torch.dtype, torch.device, torch.Size)
_TAG = "lionstore:type"


def encode(content: Mapping[str, Any], buffers: bytes) -> bytes:
    """Encodes what a step publishes.

    :param buffers: a safetensors file
    :raises ArgumentError: if something is of a type that cannot be read back without executing code
    """
    file = io.BytesIO()
    torch.save(_encoded(content, ""), file)
    return _HEAD.pack(_MAGIC, len(buffers)) + buffers + file.getvalue()


def buffers_in(position: bytes) -> bytes:
    """The buffers in a position; empty if this package did not publish it."""
    if not position.startswith(_MAGIC):
        return b""
    _, length = _HEAD.unpack_from(position)
    return position[_HEAD.size : _HEAD.size + length]


def with_buffers(position: bytes, buffers: bytes) -> bytes:
    """A position with other buffers; one that this package did not publish stays as it is."""
    if not position.startswith(_MAGIC):
        return position
    _, length = _HEAD.unpack_from(position)
    return _HEAD.pack(_MAGIC, len(buffers)) + buffers + position[_HEAD.size + length :]


def decode(position: bytes) -> tuple[dict[str, Any], bytes]:
    """Decodes what a step has published: the content and the buffers; both empty if there was nothing.

    :raises FormatError: if it was not published by this package
    """
    if not position:
        return {}, b""
    try:
        magic, length = _HEAD.unpack_from(position)
        if magic != _MAGIC or _HEAD.size + length > len(position):
            raise ValueError(f"it begins with {position[:8]!r}, expected {_MAGIC!r}")
        end = _HEAD.size + length
        file = io.BytesIO(position[end:])
        content: dict[str, Any] = _decoded(torch.load(file, weights_only=True, map_location="cpu"))
        return content, position[_HEAD.size : end]
    except Exception as failure:
        raise errors.FormatError(
            f"what the store's last step has published cannot be read ({failure}): it was published by"
            " something else than this optimizer, such as lionstore train; such a store has no place to"
            " resume from, and export or a snapshot takes its weights"
        ) from failure


def _encoded(value: Any, place: str) -> Any:
    """The same of types that ``torch.load(weights_only=True)`` knows."""
    kind = type(value)
    if kind is bytes and not value:
        return {_TAG: "no bytes"}  # torch.save writes a call for it, which torch.load refuses
    if kind in _PLAIN or kind in _DESCRIPTIONS:
        return value
    if isinstance(value, torch.Tensor):
        return _encoded_tensor(value, place)
    if kind in (list, tuple, set):
        return kind(_encoded(each, f"{place}[{index}]") for index, each in enumerate(value))
    if kind in (dict, OrderedDict, Counter):
        items = {_encoded(key, place): _encoded(each, f"{place}[{key!r}]") for key, each in value.items()}
        return items if kind is dict else kind(items)
    numpy = sys.modules.get("numpy")
    is_numpys = numpy is not None and (kind is numpy.ndarray or isinstance(value, numpy.generic))
    if numpy is not None and is_numpys and value.dtype.kind in "biufc":
        return {
            _TAG: "ndarray" if isinstance(value, numpy.ndarray) else "scalar",
            "dtype": value.dtype.str,
            "shape": value.shape,
            "bytes": _encoded(value.tobytes(), place),
        }
    raise errors.ArgumentError(
        f"{place or 'it'} is a {kind.__module__}.{kind.__qualname__}; a step publishes numbers, text, bytes,"
        " None, tensors, NumPy arrays, and lists, tuples, sets and dicts of these, which can be read back"
        " without executing anything"
    )


def _encoded_tensor(value: torch.Tensor, place: str) -> torch.Tensor:
    if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.layout is not torch.strided or value.is_meta or value.is_quantized:
        raise errors.ArgumentError(
            f"{place} is a {type(value).__name__} of layout {value.layout} on {value.device}; a step"
            " publishes dense tensors"
        )
    # Its storage would go along whole, though it may be much larger.
    return value.detach().cpu().clone()


def _decoded(value: Any) -> Any:
    kind = type(value)
    if kind in (list, tuple, set):
        return kind(map(_decoded, value))
    if kind is dict and _TAG in value:
        if value[_TAG] == "no bytes":
            return b""
        import numpy

        made: Any = numpy.ndarray(value["shape"], value["dtype"], _decoded(value["bytes"]))
        return made.copy() if value[_TAG] == "ndarray" else made[()]
    if kind in (dict, OrderedDict, Counter):
        items = {_decoded(key): _decoded(each) for key, each in value.items()}
        return items if kind is dict else kind(items)
    return value


def copied(value: Any, name: str = "extra") -> Any:
    """A copy of what can be published, which no longer changes with it.

    :raises ArgumentError: if something in it cannot be published; ``name`` is what it is called then
    """
    return _decoded(_encoded(value, name))


def is_same_place(left: Any, right: Any) -> bool:
    """Whether two ``extra`` name the same place in a run: whole numbers and text in both are equal.

    A loss or another measured value may differ when an iteration is repeated; a counter does not.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        return all(is_same_place(left[key], right[key]) for key in left.keys() & right.keys())
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return all(map(is_same_place, left, right))
    if isinstance(left, (int, str)) and isinstance(right, (int, str)):
        return left == right
    return True


def is_between(first: Mapping[str, Any], place: Mapping[str, Any], last: Mapping[str, Any]) -> bool:
    """Whether the whole numbers of a place, in the order of ``last``, lie from the first one to below the
    last; text must be that of the last."""
    begin, here, end = _counters(first), _counters(place), _counters(last)
    names = [name for name in end if name in here]
    if any(isinstance(end[name], str) and end[name] != here[name] for name in names):
        return False
    names = [name for name in names if isinstance(end[name], int) and isinstance(here[name], int)]
    there = [here[name] for name in names]
    if not there < [end[name] for name in names]:
        return False
    return not all(name in begin for name in names) or [begin[name] for name in names] <= there


def names_a_place(extra: Mapping[str, Any]) -> bool:
    """Whether there is a whole number in it."""
    return any(isinstance(each, int) for each in _counters(extra).values())


def _counters(extra: Any, at: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """The whole numbers and texts in it, by where they are."""
    if isinstance(extra, dict):
        items: Iterable[tuple[Any, Any]] = extra.items()
    elif isinstance(extra, (list, tuple)):
        items = enumerate(extra)
    else:
        return {at: extra} if isinstance(extra, (int, str)) else {}
    return {name: each for key, value in items for name, each in _counters(value, (*at, key)).items()}


def replace(old: Any, new: Any) -> Any:
    """Makes a dict or list what another one is, and those in it: whoever holds one of them sees it."""
    if type(old) is not type(new):
        return new
    if isinstance(old, dict):
        items = {key: replace(old[key], value) if key in old else value for key, value in new.items()}
        old.clear()
        old.update(items)
        return old
    if isinstance(old, list):
        old[:] = [*map(replace, old, new), *new[len(old) :]]
        return old
    return new


# --- random state


def random_state() -> dict[str, Any]:
    """The state of PyTorch's, Python's and, if it is there, NumPy's generators."""
    version, words, gauss = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": (version, array("I", words).tobytes(), gauss),
    }
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        state["numpy"] = numpy.random.get_state()
    for name, module in _devices():
        state[name] = module.get_rng_state_all()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Makes the generators go on from a state."""
    torch.set_rng_state(state["torch"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(array("I", words)), gauss))
    if "numpy" in state:
        import numpy

        numpy.random.set_state(state["numpy"])
    for name, module in _devices():
        if name in state and len(state[name]) == module.device_count():
            module.set_rng_state_all(state[name])


def _devices() -> list[tuple[str, Any]]:
    found = [(name, getattr(torch, name, None)) for name in ("cuda", "xpu")]
    return [(n, m) for n, m in found if m is not None and m.is_available() and m.is_initialized()]


# --- what is tracked


def step_once(tracked: Any) -> bool:
    """Steps a scheduler that takes no metric, as was due when the process ended; whether it could."""
    step: Callable[[], Any] | None = getattr(tracked, "step", None)
    if step is None or not hasattr(tracked, "get_last_lr"):
        return False
    try:
        step()
    except TypeError:
        return False  # it wants a metric
    return True


def is_equal(left: Any, right: Any) -> bool:
    """Whether two states are the same."""
    if isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor):
        return isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and torch.equal(left, right)
    numpy = sys.modules.get("numpy")
    if numpy is not None and (isinstance(left, numpy.ndarray) or isinstance(right, numpy.ndarray)):
        return type(left) is type(right) and left.dtype == right.dtype and bool(numpy.array_equal(left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_equal(left[k], right[k]) for k in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(is_equal, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)
