"""Which tensors have memory that Java may read or write, and at which address."""

from __future__ import annotations

from typing import Sequence

import torch

from . import errors

_LAZY = (torch.nn.parameter.UninitializedParameter, torch.nn.parameter.UninitializedBuffer)

TYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
"""The dtypes that a store takes, with the numbers of dev.lionstore.python.Native."""


def require_plain(tensor: torch.Tensor, name: str) -> None:
    """Checks that a tensor is one whose values lie, as they are, in memory of its own.

    Wrappers (DTensor, NF4, functional tensors …), meta tensors and freed storage have an address of
    0 or somebody else's: reading it would end the process.

    :param name: what the error calls it, such as ``the gradient of wide.weight``
    :raises ArgumentError: if it is not, naming its type
    """
    kind = type(tensor)
    if isinstance(tensor, _LAZY):
        raise _unusable(name, "has no shape yet", "run a forward pass of the lazy module first")
    if (
        kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    ):
        advice = (
            "shard-aware stores are not there yet: hand over plain tensors, such as DTensor.to_local()"
            if "DTensor" in kind.__name__
            else "Lionstore steps plain tensors; leave such parameters out, or make them plain before"
        )
        raise _unusable(name, f"is a {kind.__module__}.{kind.__qualname__}", advice)
    if tensor.layout is not torch.strided:
        raise _unusable(name, f"has layout {tensor.layout}", "Lionstore takes dense gradients and weights")
    if tensor.dtype not in TYPES:
        raise _unusable(name, f"is {tensor.dtype}", "Lionstore takes float32, float16 and bfloat16")
    if tensor.is_meta:
        raise _unusable(name, "is on the meta device: it has no values", "materialize the model first")
    if _needed_bytes(tensor) > tensor.untyped_storage().nbytes():
        raise _unusable(name, "has no storage: it has been freed", "make the tensor whole first")


def on_host(tensor: torch.Tensor, name: str, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A tensor's values as the store takes them: contiguous, on the CPU.

    :param dtype: converts to it; default: the tensor's own
    :returns: the tensor itself, detached, if it is so already
    :raises ArgumentError: as :func:`require_plain`
    """
    require_plain(tensor, name)
    host = tensor.detach().to("cpu", dtype or tensor.dtype).contiguous().resolve_neg()
    return host.clone() if host._is_zerotensor() else host


def addresses(tensors: Sequence[torch.Tensor]) -> list[int]:
    """Where the values of tensors lie that :func:`on_host` gave, and that the caller keeps.

    :raises ArgumentError: if one has no memory
    """
    found = [tensor.data_ptr() for tensor in tensors]
    for tensor, address in zip(tensors, found):
        if address == 0 and tensor.numel() > 0:
            raise _unusable(f"a {type(tensor).__name__}", "has no memory", "hand over plain tensors")
    return found


def is_contiguous_on_cpu(tensor: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether Java may use a plain tensor's memory in place, as values of a dtype."""
    return (
        tensor.device.type == "cpu"
        and tensor.dtype is dtype
        and tensor.is_contiguous()
        and not tensor.is_neg()
    )


def _needed_bytes(tensor: torch.Tensor) -> int:
    if tensor.numel() == 0:
        return 0
    if tensor.is_contiguous():
        return int((tensor.storage_offset() + tensor.numel()) * tensor.element_size())
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
    return int((tensor.storage_offset() + last + 1) * tensor.element_size())


def _unusable(name: str, fault: str, advice: str) -> errors.ArgumentError:
    return errors.ArgumentError(f"{name} {fault}: {advice}")
