"""What a step costs beyond the store's own work: of 100 million parameters, by where the time goes.

"changes" is what it takes to find out whether anybody has changed the parameters since the last step.

    python3 overhead.py [--parameters 100000000] [--tensors 300] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import unittest.mock
from typing import Any

import torch

from lionstore import Lion
from lionstore._store import Store


class Clock:
    """Adds up the time inside the store's functions."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        call = Store.call

        def timed(store: Store, name: str, *arguments: Any) -> int:
            begun = time.perf_counter()
            try:
                return call(store, name, *arguments)
            finally:
                spent = time.perf_counter() - begun
                self.seconds[name] = self.seconds.get(name, 0) + spent

        Store.call = timed  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=int, default=100_000_000)
    parser.add_argument("--tensors", type=int, default=300)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--folder", default="/dev/shm")
    chosen = parser.parse_args()
    dtype = getattr(torch, chosen.dtype)
    count = chosen.parameters // chosen.tensors
    parameters = [
        (f"p{i}", torch.nn.Parameter(torch.ones(count, dtype=dtype))) for i in range(chosen.tensors)
    ]
    clock = Clock()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        optimizer = Lion(parameters, f"{folder}/store", lr=1e-4)
        for _, parameter in parameters:
            parameter.grad = torch.full_like(parameter, 0.25)
        rows = [measured(optimizer, clock) for _ in range(chosen.steps)][3:]
        optimizer.close()
    print(f"{chosen.tensors} tensors of {count} {chosen.dtype} parameters; medians of {len(rows)}")
    for name in rows[0]:
        print(f"{name:12} {statistics.median(row.get(name, 0) for row in rows) * 1e3:9.2f} ms")
    shares = [row["Python"] / row["step()"] for row in rows]
    print(f"Python's share of step(): {statistics.median(shares):.2%}")
    looking = [row["changes"] / row["step()"] for row in rows]
    print(f"share of step() for finding changes: {statistics.median(looking):.2%}")


def measured(optimizer: Lion, clock: Clock) -> dict[str, float]:
    clock.seconds.clear()
    looked = 0.0
    take_over = optimizer.weights.take_over

    def timed(*, frozen_too: bool) -> None:
        nonlocal looked
        begun = time.perf_counter()
        take_over(frozen_too=frozen_too)
        looked = time.perf_counter() - begun

    with unittest.mock.patch.object(optimizer.weights, "take_over", timed):
        begun = time.perf_counter()
        optimizer.step()
        whole = time.perf_counter() - begun
    python = whole - sum(clock.seconds.values())
    return {"step()": whole, "changes": looked, **clock.seconds, "Python": python}


if __name__ == "__main__":
    main()
