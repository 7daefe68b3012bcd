"""Trains a small byte-level transformer on text files that you name, with its state in a store.

    python3 fine_tune.py --store run/store README.md

Kill it whenever you like (``kill -9`` too) and run the same command again: it goes on where it was,
and the hash at the end is that of a run that was never killed. With ``--snapshot`` the
weights are written as a Hugging Face folder besides, which is a checkpoint too.
"""

from __future__ import annotations

import argparse
import math
import random
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from lionstore import Lion

CONTEXT, WIDTH, HEADS, LAYERS = 64, 64, 4, 2


class Block(nn.Module):
    """Attention and a feed-forward network, each added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm, self.norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.dropout = nn.Dropout(0.1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        heads = self.query_key_value(self.attention_norm(hidden)).unflatten(2, (3, HEADS, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.dropout(self.projection(mixed.transpose(1, 2).flatten(2)))
        wide = nn.functional.gelu(self.wide(self.norm(hidden)))
        return hidden + self.dropout(self.narrow(wide))


class Transformer(nn.Module):
    """Predicts the next byte."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm, self.output = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 256, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.bytes(tokens) + self.places(torch.arange(tokens.shape[1]))
        return self.output(self.norm(self.blocks(hidden)))


def batch(text: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pieces of the text, and the same one byte on."""
    starts = [random.randrange(len(text) - CONTEXT) for _ in range(count)]
    pieces = torch.stack([text[start : start + CONTEXT + 1] for start in starts]).long()
    return pieces[:, :-1], pieces[:, 1:]


def groups(model: nn.Module) -> list[dict[str, object]]:
    """Weight decay is for matrices."""
    named = list(model.named_parameters())
    return [
        {"name": "matrices", "params": [(n, p) for n, p in named if p.dim() > 1]},
        {"name": "rest", "params": [(n, p) for n, p in named if p.dim() <= 1], "weight_decay": 0.0},
    ]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="+", type=Path, help="text files to learn from")
    parser.add_argument("--store", required=True, help="the folder of the state")
    parser.add_argument("--steps", type=int, default=200, help="steps in all (default: 200)")
    parser.add_argument("--batch", type=int, default=8, help="pieces of text in a step (default: 8)")
    parser.add_argument("--snapshot", help="a folder that gets a snapshot at the end")
    parser.add_argument("--gradients", choices=["step", "plane", "stream"], default="step")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    content = b"".join(path.read_bytes() for path in chosen.texts)
    text = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    torch.manual_seed(0)
    random.seed(0)
    model = Transformer().bfloat16()

    # The one line that differs from any other optimizer; the state, too, is there when it returns.
    optimizer = Lion(
        groups(model), chosen.store, lr=1e-3, weight_decay=0.3, gradients=chosen.gradients
    )
    schedule = LambdaLR(optimizer, lambda step: 0.5 + 0.5 * math.cos(step / chosen.steps * math.pi))
    optimizer.resume(schedule)
    print(f"at step {optimizer.steps}; {optimizer.kernel}", flush=True)

    while optimizer.steps < chosen.steps:
        tokens, expected = batch(text, chosen.batch)
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1).float(), expected.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if optimizer.steps % 20 == 0:
            print(f"step {optimizer.steps}: loss {loss:.4f}", flush=True)

    if chosen.snapshot:
        print(f"snapshot {optimizer.snapshot(chosen.snapshot)}")
    print(f"hash {optimizer.hash()}")


if __name__ == "__main__":
    main()
