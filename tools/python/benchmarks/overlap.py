"""How much of the optimizer's time a training step is seen to take: by the way gradients come.

    python3 overlap.py [--layers 8] [--width 1024] [--tokens 512] [--threads 1] [--torch-threads 1]
    python3 overlap.py --device cuda --dtype bfloat16 --layers 64 --width 4096 --tokens 4096 --threads 8

Exposed time is that of a step less that of its forward and backward pass alone; what is measured is
interleaved, and medians are of pairs. Each has the cores that it is given, for the whole run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time

import torch
from torch import nn

from lionstore import Lion

WAYS = ["step", "plane", "stream"]


class Work:
    """A stack of linear layers with a batch of its own; an optimizer, or none."""

    def __init__(self, chosen: argparse.Namespace, way: str | None, folder: str) -> None:
        torch.manual_seed(1)
        width, dtype = chosen.width, getattr(torch, chosen.dtype)
        layers = [nn.Linear(width, width, bias=False) for _ in range(chosen.layers)]
        self.model = nn.Sequential(*layers).to(chosen.device, dtype)
        self.batch = torch.randn(chosen.tokens, width).to(chosen.device, dtype)
        self.is_on_gpu = chosen.device.startswith("cuda")
        self.optimizer = way and Lion(
            self.model.named_parameters(),
            f"{folder}/{way}",
            lr=1e-5,
            gradients=way,
            threads=chosen.threads,
        )

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def seconds(self) -> float:
        self.wait()
        begun = time.perf_counter()
        self.model(self.batch).float().square().mean().backward()
        if self.optimizer:
            self.optimizer.step()
        self.wait()
        spent = time.perf_counter() - begun
        self.model.zero_grad()
        return spent

    def wait(self) -> None:
        """Lets a GPU end what it has begun: weights that go back belong to the step."""
        if self.is_on_gpu:
            torch.cuda.synchronize()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--device", default="cpu", help="that computes the passes")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="float32")
    parser.add_argument("--threads", type=int, default=1, help="that step")
    parser.add_argument("--torch-threads", type=int, default=1, help="of the two passes")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--folder", default="/dev/shm")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    torch.set_num_threads(chosen.torch_threads)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        alone = Work(chosen, None, folder)
        works = {way: Work(chosen, way, folder) for way in WAYS}
        rows = []
        for _ in range(chosen.steps + 3):
            # One beside each, so that what slows the machine down slows both.
            rows.append({way: (alone.seconds(), work.seconds()) for way, work in works.items()})
        print(f"{alone.parameters} {chosen.dtype} parameters, {chosen.tokens} tokens; medians")
        for way in WAYS:
            pairs = [row[way] for row in rows[3:]]
            passes = statistics.median(a for a, _ in pairs)
            whole = statistics.median(b for _, b in pairs)
            exposed = statistics.median((b - a) / b for a, b in pairs)
            print(
                f"{way:7} passes {passes * 1e3:7.1f} ms, with step {whole * 1e3:7.1f} ms,"
                f" exposed {exposed:6.1%}"
            )
        for work in works.values():
            assert work.optimizer
            work.optimizer.close()


if __name__ == "__main__":
    main()
