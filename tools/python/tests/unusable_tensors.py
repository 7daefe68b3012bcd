"""Prints what an optimizer says to each kind of tensor that has no memory of its own: unusable_tensors.py FOLDER.

In a process of its own, since whoever reads at such a tensor's address ends the process.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.testing._internal.two_tensor import TwoTensor

from lionstore import Lion
from cases import WAYS, copies, iterate
from reference import differing

ONES = torch.ones(4, 4)
LAZY = "lazy"


def kinds(mesh: Any) -> dict[str, Callable[[], torch.Tensor]]:
    return {
        "DTensor": lambda: distribute_tensor(ONES, mesh, [Shard(0)]),
        "TwoTensor": lambda: TwoTensor(ONES.clone(), ONES.clone()),
        "meta": lambda: torch.ones(4, 4, device="meta"),
        "freed": lambda: freed(ONES.clone()),
        "sparse": lambda: ONES.to_sparse(),
        "float64": lambda: ONES.double(),
        "complex64": lambda: ONES.to(torch.complex64),
    }


def freed(tensor: torch.Tensor) -> torch.Tensor:
    tensor.untyped_storage().resize_(0)
    return tensor


def told(act: Callable[[], Any], is_as_before: Callable[[], bool]) -> tuple[str, str]:
    try:
        act()
    except Exception as error:
        return type(error).__name__ if is_as_before() else "changed", str(error)
    return "taken", ""


def as_parameter(store: str, way: str, make: Callable[[], torch.Tensor] | None) -> tuple[str, str]:
    model = nn.LazyLinear(4) if make is None else nn.Linear(4, 4)
    if make is not None:
        model.weight = nn.Parameter(make())
    names = model.named_parameters()
    return told(lambda: Lion(names, store, gradients=way), lambda: not os.path.exists(store))


def as_gradient(store: str, way: str, make: Callable[[], torch.Tensor]) -> tuple[str, str]:
    model = nn.Linear(4, 4)
    optimizer = Lion(model.named_parameters(), store, gradients=way)
    iterate(model, optimizer)
    optimizer.zero_grad()
    before = copies(model)
    put(model.weight, make())
    found = told(
        optimizer.step,
        lambda: differing(before, model.parameters()) == 0 and optimizer.steps == 1,
    )
    model.weight.grad = None
    return found


def put(parameter: torch.Tensor, gradient: torch.Tensor) -> None:
    """Lets a gradient stand in ``.grad``, by ``.data`` where PyTorch checks its dtype."""
    if gradient.dtype is parameter.dtype:
        parameter.grad = gradient
    else:
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad.data = gradient


def main(folder: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=0, world_size=1
    )
    found = {}
    for way in WAYS:
        found[f"parameter {LAZY} {way}"] = as_parameter(f"{folder}/never", way, None)
        for kind, make in kinds(init_device_mesh("cpu", (1,))).items():
            found[f"parameter {kind} {way}"] = as_parameter(f"{folder}/never", way, make)
            try:
                found[f"gradient {kind} {way}"] = as_gradient(f"{folder}/{way}-{kind}", way, make)
            except (RuntimeError, TypeError) as refusal:
                found[f"gradient {kind} {way}"] = "PyTorch", str(refusal)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
