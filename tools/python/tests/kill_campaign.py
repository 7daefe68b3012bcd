"""Kills a training process again and again, and compares where it ends with one that nobody killed.

    python3 kill_campaign.py --kills 1000 --seed 1

Each run trains a network with batch norm and dropout, under a scheduler of its own habit, prunes weights
through ``.data`` and takes snapshots in the background. It is killed at random times and started again
until it ends; then its hash, its buffers, its learning rates and its last snapshot must be those of the
uninterrupted run. Processes are forked from one that has imported PyTorch: a start takes little.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import torch
from torch import nn
from torch.optim import lr_scheduler

from lionstore import Lion

STEPS = 40
EPOCH = 5


@dataclass(frozen=True)
class Habit:
    """When a scheduler is stepped: after which steps, and with a metric or without."""

    make: Callable[[Lion], Any]
    every: int = 1
    with_metric: bool = False


HABITS: dict[str, Habit] = {
    "cosine": Habit(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)),
    "one cycle": Habit(lambda o: lr_scheduler.OneCycleLR(o, 1e-2, total_steps=STEPS + 1)),
    "milestones": Habit(lambda o: lr_scheduler.MultiStepLR(o, [2, 4, 6], 0.5), every=EPOCH),
    "warm restarts": Habit(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7)),
    "plateau": Habit(
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.7), every=3, with_metric=True
    ),
    "chained": Habit(
        lambda o: lr_scheduler.SequentialLR(
            o,
            [lr_scheduler.LinearLR(o, 0.1, total_iters=6), lr_scheduler.ExponentialLR(o, 0.9)],
            milestones=[6],
        )
    ),
}


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(288, 4)
    )


def train(folder: Path, name: str, dtype: torch.dtype, way: str) -> dict[str, Any]:
    """Trains to the end, from wherever a process before this one has come; gives what it ends with."""
    model = network().to(dtype)
    optimizer = Lion(
        model.named_parameters(), folder / "store", lr=1e-3, weight_decay=0.1, model=model, gradients=way
    )
    habit = HABITS[name]
    scheduler = habit.make(optimizer)
    torch.manual_seed(2)
    start = optimizer.resume(scheduler).get("next", 0)
    log = open(folder / "rates", "a", encoding="utf-8")
    for number in range(start, STEPS):
        images = torch.randn(4, 3, 8, 8).to(dtype) + 1
        optimizer.zero_grad()
        model(images).float().square().mean().backward()
        optimizer.extra["next"] = number + 1
        optimizer.step()
        print(number, optimizer.param_groups[0]["lr"], file=log, flush=True)
        if number % 4 == 3:
            weight = model[5].weight
            weight.data[weight.data.abs() < 1e-3] = 0
        if number % 8 == 7:
            optimizer.snapshot(folder / "snapshots", wait=False, keep=2)
        if (number + 1) % habit.every == 0:
            scheduler.step(*[metric(model, dtype)] * habit.with_metric)
    path = optimizer.snapshot(folder / "snapshots")
    assert path is not None
    result = {
        "hash": optimizer.hash(),
        "steps": optimizer.steps,
        "buffers": digest(dict(model.named_buffers())),
        "snapshot": hashlib.sha256((Path(path) / "model.safetensors").read_bytes()).hexdigest(),
    }
    optimizer.close()
    return result


@torch.no_grad()
def metric(model: nn.Module, dtype: torch.dtype) -> float:
    """A loss on images that are always the same, which the random state does not notice."""
    model.eval()
    images = torch.linspace(-1, 1, 4 * 3 * 8 * 8).view(4, 3, 8, 8).to(dtype)
    loss = float(model(images).float().square().mean())
    model.train()
    return loss


def digest(tensors: dict[str, torch.Tensor]) -> str:
    content = [t.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes() for t in tensors.values()]
    return hashlib.sha256(b"".join(content)).hexdigest()


def forked(work: Callable[[], dict[str, Any]], result: Path) -> int:
    """Has a child do something, and write what it gives into a file; gives the child's number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        warnings.simplefilter("ignore")
        content = work()
        result.with_suffix(".partial").write_text(json.dumps(content))
        result.with_suffix(".partial").rename(result)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def rates(folder: Path) -> dict[int, float]:
    """The learning rate of each step; of one that was printed twice, both must be equal."""
    found: dict[int, float] = {}
    for line in (folder / "rates").read_text().splitlines():
        parts = line.split(" ")
        if len(parts) == 2 and line.count(".") + line.count("e") > 0:
            number, rate = int(parts[0]), float(parts[1])
            if found.setdefault(number, rate) != rate:
                raise AssertionError(f"{folder}: step {number} had learning rate {found[number]}, then {rate}")
    return found


def whole(work: Callable[[], dict[str, Any]], folder: Path) -> tuple[dict[str, Any], float]:
    """An uninterrupted run: what it ends with, and its seconds."""
    begun = time.monotonic()
    _, status = os.waitpid(forked(work, folder / "result"), 0)
    if status != 0:
        raise AssertionError(f"{folder}: the run that nobody killed ended with {status}")
    return json.loads((folder / "result").read_text()), time.monotonic() - begun


def killed(
    work: Callable[[], dict[str, Any]], folder: Path, kills: int, seconds: float, dice: random.Random
) -> tuple[dict[str, Any], int]:
    """A run that is killed so often, or until it ends by itself; gives what it ends with, and how often."""
    done = 0
    while not (folder / "result").exists():
        child = forked(work, folder / "result")
        if done < kills:
            time.sleep(dice.uniform(0.2, 1.0) * seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            done += 1
        elif status != 0:
            raise AssertionError(f"{folder}: a run that had been killed {done} times ended with {status}")
    return json.loads((folder / "result").read_text()), done


def campaign(kills: int, seed: int, folder: Path, per_run: int = 8) -> int:
    """Kills so often; gives how many runs were compared.

    :raises AssertionError: if a run is lost, or ends otherwise than it does alone
    """
    dice = random.Random(seed)
    expected: dict[tuple[str, torch.dtype, str], tuple[dict[str, Any], dict[int, float], float]] = {}
    compared = done = 0
    while done < kills:
        case = (dice.choice(sorted(HABITS)), dice.choice([torch.float32, torch.bfloat16]), dice.choice(["step", "plane"]))
        if case not in expected:
            place = folder / f"whole-{len(expected)}"
            place.mkdir()
            result, seconds = whole(lambda: train(place, *case), place)
            expected[case] = result, rates(place), seconds
        place = folder / f"killed-{compared}"
        place.mkdir()
        result, seconds = expected[case][0], expected[case][2]
        found, times = killed(lambda: train(place, *case), place, min(per_run, kills - done), seconds, dice)
        if found != result or rates(place) != expected[case][1]:
            raise AssertionError(f"{case}, seed {seed}, {place}: {found} with {rates(place)}, expected {expected[case]}")
        compared, done = compared + 1, done + times
        print(f"\r{done} of {kills} kills, {compared} runs equal", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        compared = campaign(arguments.kills, arguments.seed, Path(folder))
    print(f"{arguments.kills} kills with seed {arguments.seed}: {compared} runs compared, none lost, none different")


if __name__ == "__main__":
    main()
