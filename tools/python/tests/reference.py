"""Lion in PyTorch's own operations: float32 masters, bfloat16 momentum; what a store is compared with."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

import torch
from torch import nn


def rounded(master: torch.Tensor) -> torch.Tensor:
    """bfloat16 weights of float32 masters: to nearest, ties away from zero (core/ARITHMETIC.md)."""
    return ((master.view(torch.int32) + 0x8000) >> 16).to(torch.int16).view(torch.bfloat16)


class Reference:
    """Trains a model of its own with lion-pytorch's operations."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parameters = dict(model.named_parameters())
        self.masters = {n: p.detach().float().clone() for n, p in self.parameters.items()}
        self.momenta = {
            n: torch.zeros(p.shape, dtype=torch.bfloat16) for n, p in self.parameters.items()
        }

    @torch.no_grad()
    def step(self, group_of: Callable[[str], Mapping[str, Any]], scale: float = 1.0) -> None:
        """Steps what has gradients; ``scale`` is what each gradient is multiplied with."""
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            group = group_of(name)
            gradient = parameter.grad.float() * torch.tensor(scale, dtype=torch.float32)
            if group.get("maximize"):
                gradient = -gradient
            self._step(name, gradient, group["lr"], *group["betas"], group["weight_decay"])
            master = self.masters[name]
            parameter.copy_(
                rounded(master) if parameter.dtype is torch.bfloat16 else master.to(parameter.dtype)
            )

    def _step(
        self, name: str, gradient: torch.Tensor, lr: float, beta1: float, beta2: float, decay: float
    ) -> None:
        master, momentum = self.masters[name], self.momenta[name].float()
        master.mul_(1 - lr * decay)
        update = momentum.clone().mul_(beta1).add(gradient, alpha=1 - beta1).sign_()
        master.add_(update, alpha=-lr)
        momentum.mul_(beta2).add_(gradient, alpha=1 - beta2)
        self.momenta[name] = momentum.to(torch.bfloat16)

    def norm(self) -> float:
        """The global norm of the gradients, in float64."""
        squares = [
            p.grad.double().square().sum() for p in self.parameters.values() if p.grad is not None
        ]
        return float(torch.stack(squares).sum().sqrt())


class Network(nn.Module):
    """A little of what models have: an embedding, tied with the output, norms, odd sizes."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(61, 24)
        self.norm = nn.LayerNorm(24)
        self.wide = nn.Linear(24, 207)
        self.narrow = nn.Linear(207, 24)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.unused = nn.Parameter(torch.ones(13))
        self.frozen = nn.Parameter(torch.full((24,), 0.5), requires_grad=False)
        self.output = nn.Linear(24, 61, bias=False)
        self.output.weight = self.embedding.weight
        self.to(dtype)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(tokens)
        hidden = hidden + self.narrow(torch.relu(self.wide(self.norm(hidden)))) * self.scale
        return self.output(hidden + self.frozen).float()


def network(dtype: torch.dtype, seed: int = 1) -> Network:
    torch.manual_seed(seed)
    return Network(dtype)


def batches(count: int, seed: int = 2) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Tokens and the ones to predict: random, so that there is always a gradient."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        tokens = torch.randint(0, 61, (4, 9), generator=generator)
        made.append((tokens, torch.randint(0, 61, (4, 9), generator=generator)))
    return made


def loss_of(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    tokens, expected = batch
    return nn.functional.cross_entropy(model(tokens).flatten(0, 1), expected.flatten())


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """What two tensors must have in common to be equal in every bit."""
    kinds = {2: torch.int16, 4: torch.int32}
    return tensor.detach().contiguous().view(-1).view(kinds[tensor.element_size()])


def differing(left: Iterable[torch.Tensor], right: Iterable[torch.Tensor]) -> int:
    """How many elements differ in any bit."""
    return sum(int((bits(a) != bits(b)).sum()) for a, b in zip(left, right, strict=True))
