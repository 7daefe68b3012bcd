"""What a step publishes beside the state: as JSON, which executes nothing when it is read."""

from __future__ import annotations

import base64
import json
import random
import warnings
from array import array
from typing import Any, Iterable, Mapping, Sequence

import torch

from . import errors

_BYTES = "bytes:base64"
_TENSOR = "uint8:base64"


def published(
    extra: Mapping[str, Any], groups: Iterable[Mapping[str, Any]], tracked: Iterable[Any]
) -> bytes:
    """What a step publishes: numbers, text, lists, dicts, bytes and uint8 tensors.

    :raises TypeError: if there is anything else
    """
    content = {
        "extra": extra,
        "groups": [_hyperparameters(group) for group in groups],
        "random": _random_state(),
        "tracked": [each.state_dict() for each in tracked],
    }
    return json.dumps(content, default=_encoded, separators=(",", ":")).encode()


def decode(position: bytes) -> dict[str, Any]:
    """Decodes what a step has published; empty if there was nothing."""
    decoded: dict[str, Any] = json.loads(position, object_hook=_decoded) if position else {}
    return decoded


def restore(
    content: Mapping[str, Any],
    groups: Iterable[dict[str, Any]],
    tracked: Sequence[Any],
    store: str,
) -> None:
    """Makes groups, what is tracked and the random state what they were.

    :raises MismatchError: if another number of states was tracked
    """
    states = content["tracked"]
    if len(states) != len(tracked):
        raise errors.MismatchError(
            f"{store}: its steps published {len(states)} tracked states, {len(tracked)} are to be"
            " restored"
        )
    for group, values in zip(groups, content["groups"]):
        group.update(values)
    for each, state in zip(tracked, states):
        each.load_state_dict(state)
        if isinstance(each, torch.optim.lr_scheduler.LRScheduler):
            with warnings.catch_warnings():
                # It was stepped, before the process ended.
                warnings.simplefilter("ignore")
                each.step()
    _restore_random_state(content["random"])


def _hyperparameters(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: float(value) if isinstance(value, torch.Tensor) else value
        for key, value in group.items()
        if key not in ("params", "name")
    }


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


def _random_state() -> dict[str, Any]:
    """The state of PyTorch's and Python's generators."""
    version, words, gauss = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "python": [version, array("I", words).tobytes(), gauss],
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _restore_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(array("I", words)), gauss))
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
