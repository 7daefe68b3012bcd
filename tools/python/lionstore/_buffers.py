"""A model's buffers: what belongs to it, is saved with it, and is not trained."""

from __future__ import annotations

import json
import os
import struct
import weakref
from typing import AbstractSet, Mapping

import torch

from . import errors
from ._adapters import Adapter
from ._files import Files
from ._memory import addresses
from ._names import names_in

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
for _name, _text in [
    ("float8_e4m3fn", "F8_E4M3"),
    ("float8_e5m2", "F8_E5M2"),
    ("uint16", "U16"),
    ("uint32", "U32"),
    ("uint64", "U64"),
    ("complex64", "C64"),
]:
    if hasattr(torch, _name):
        _DTYPES[getattr(torch, _name)] = _text
_BY_TEXT = {text: dtype for dtype, text in _DTYPES.items()}
_LENGTH = struct.Struct("<Q")
_CARRIED = "carried.safetensors"
"""In a store's folder: tensors of an imported model that are no parameters (dev.lionstore.checkpoint.CarriedContent)."""


class Buffers:
    """The persistent buffers of a model, such as batch norm's running statistics."""

    def __init__(self, model: torch.nn.Module | None, adapter: Adapter | None = None) -> None:
        self._model = None if model is None else weakref.ref(model)
        self.files = Files()
        self._adapter = adapter

    @property
    def named(self) -> dict[str, torch.Tensor]:
        """The buffers by name, without those that ``persistent=False`` excludes; an adapter's as PEFT saves them."""
        named, adapter = self._in_model, self._adapter
        if adapter is None:
            return named
        return {adapter.saved[name]: buffer for name, buffer in named.items() if name in adapter.saved}

    @property
    def _in_model(self) -> dict[str, torch.Tensor]:
        model = None if self._model is None else self._model()
        if model is None:
            return {}
        found: dict[str, torch.Tensor] = {}
        for prefix, module in model.named_modules(remove_duplicate=self._adapter is None):
            left_out = module._non_persistent_buffers_set
            for name, buffer in module._buffers.items():
                if buffer is not None and name not in left_out:
                    found[f"{prefix}.{name}" if prefix else name] = buffer
        return dict(zip(names_in(model, found), found.values()))

    def encoded(self) -> bytes:
        """The buffers as they are now, as a safetensors file, which may have none."""
        return encode({self.files.name(name): buffer for name, buffer in self.named.items()})

    @torch.no_grad()
    def restore(self, encoded: bytes, store: str) -> None:
        """Gives the model's buffers the values that were published.

        One that no step has published yet gets what an import has left beside the store. Values go into the memory
        that is there, in its floating-point dtype.

        :raises MismatchError: if a buffer's shape has changed, or its kind; nothing is changed then
        """
        there = self.named
        if not there:
            return
        names = {self.files.name(name): name for name in there}
        published = decode(encoded) if encoded else {}
        carried = read_some(os.path.join(store, _CARRIED), names.keys() - published.keys())
        values = {names.get(name, name): value for name, value in {**carried, **published}.items()}
        if self._adapter is not None:  # the store may have been made with the model's names
            values = {self._adapter.saved.get(name, name): value for name, value in values.items()}
        for name in there.keys() & values.keys():
            now, then = there[name], values[name]
            is_kind_kept = now.dtype is then.dtype or (now.is_floating_point() and then.is_floating_point())
            if now.shape != then.shape or not is_kind_kept:
                raise errors.MismatchError(
                    f"{store}: buffer {name} was {then.dtype} {[*then.shape]} when it was published and"
                    f" is {now.dtype} {[*now.shape]} in the model: make the model as it was, or another store"
                )
        for name in there.keys() & values.keys():
            there[name].copy_(values[name])


def read_some(path: str, names: AbstractSet[str]) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file, those of these names; none if there is no such file."""
    if not names or not os.path.exists(path):
        return {}
    with open(path, "rb") as file:
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        header = json.loads(file.read(length))
        wanted: dict[str, object] = {}
        content, at = [], 0
        for name in names & header.keys():
            entry = header[name]
            first, end = entry["data_offsets"]
            file.seek(_LENGTH.size + length + first)
            content.append(file.read(end - first))
            wanted[name] = {**entry, "data_offsets": [at, at + end - first]}
            at += end - first
    text = json.dumps(wanted).encode()
    return decode(b"".join([_LENGTH.pack(len(text)), text, *content]))


def encode(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """A safetensors file of tensors.

    :raises ArgumentError: if a tensor has a dtype that the format lacks, or no values
    """
    header: dict[str, object] = {}
    parts: list[bytes] = []
    at = 0
    for name in sorted(tensors):
        host = _dense(name, tensors[name])
        content = host.view(-1).view(torch.uint8).numpy().tobytes() if host.numel() else b""
        header[name] = {
            "dtype": _DTYPES[host.dtype],
            "shape": [*host.shape],
            "data_offsets": [at, at + len(content)],
        }
        parts.append(content)
        at += len(content)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([_LENGTH.pack(len(text)), text, *parts])


def decode(file: bytes) -> dict[str, torch.Tensor]:
    """The tensors of what :func:`encode` gave."""
    (length,) = _LENGTH.unpack_from(file)
    start = _LENGTH.size + length
    header = json.loads(file[_LENGTH.size : start])
    memory = bytearray(file[start:])
    made = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        content = torch.frombuffer(memory, dtype=torch.uint8, count=end - first, offset=first) if end > first else None
        dtype = _BY_TEXT[entry["dtype"]]
        flat = torch.empty(0, dtype=dtype) if content is None else content.clone().view(dtype)
        made[name] = flat.view(entry["shape"])
    return made


def _dense(name: str, tensor: torch.Tensor) -> torch.Tensor:
    is_plain = type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
    if not is_plain or tensor.layout is not torch.strided or tensor.is_meta or tensor.dtype not in _DTYPES:
        raise errors.ArgumentError(
            f"buffer {name} is a {type(tensor).__name__} of {tensor.dtype} on {tensor.device}, which a step"
            " cannot publish: make it a dense tensor, or register it with persistent=False"
        )
    host = tensor.detach().cpu().contiguous()
    addresses([host])
    return host
