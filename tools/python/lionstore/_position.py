"""What a step publishes beside the state: as JSON, which executes nothing when it is read."""

from __future__ import annotations

import base64
import json
import random
from array import array
from typing import Any, Mapping

import torch

_BYTES = "bytes:base64"
_TENSOR = "uint8:base64"


def encode(content: Mapping[str, Any]) -> bytes:
    """Encodes numbers, text, lists, dicts, bytes and uint8 tensors.

    :raises TypeError: if there is anything else
    """
    return json.dumps(content, default=_encoded, separators=(",", ":")).encode()


def decode(position: bytes) -> dict[str, Any]:
    """Decodes what ``encode`` gave; empty if there was nothing."""
    return json.loads(position, object_hook=_decoded) if position else {}


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, torch.Tensor) and value.dtype is torch.uint8:
        return {_TENSOR: base64.b64encode(bytes(value.cpu().numpy())).decode()}
    raise TypeError(
        f"extra holds a {type(value).__name__}; a step publishes numbers, text, lists, dicts, bytes"
        " and uint8 tensors"
    )


def _decoded(value: dict[str, Any]) -> Any:
    if value.keys() == {_BYTES}:
        return base64.b64decode(value[_BYTES])
    if value.keys() == {_TENSOR}:
        content = bytearray(base64.b64decode(value[_TENSOR]))
        return torch.frombuffer(content, dtype=torch.uint8)
    return value


def random_state() -> dict[str, Any]:
    """The state of PyTorch's and Python's generators."""
    version, words, gauss = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "python": [version, array("I", words).tobytes(), gauss],
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(array("I", words)), gauss))
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
