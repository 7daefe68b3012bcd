"""Lion in PyTorch's own operations: float32 masters, bfloat16 momentum; what a store is compared with."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

import torch
from torch import nn


def rounded(master: torch.Tensor) -> torch.Tensor:
    """bfloat16 weights of float32 masters: to nearest, ties away from zero (core/ARITHMETIC.md)."""
    return ((master.view(torch.int32) + 0x8000) >> 16).to(torch.int16).view(torch.bfloat16)


def step_(
    master: torch.Tensor, momentum: torch.Tensor, gradient: torch.Tensor, group: Mapping[str, Any]
) -> None:
    """Steps a float32 master and its bfloat16 momentum, in place, with lion-pytorch's operations."""
    (beta1, beta2), lr = group["betas"], float(group["lr"])
    exact = momentum.float()
    master.mul_(1 - lr * group["weight_decay"])
    update = exact.clone().mul_(beta1).add(gradient, alpha=1 - beta1).sign_()
    master.add_(update, alpha=-lr)
    momentum.copy_(exact.mul_(beta2).add_(gradient, alpha=1 - beta2))


def weights_of(master: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The weights that a float32 master gives in a dtype."""
    return rounded(master) if dtype is torch.bfloat16 else master.to(dtype)


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
            master = self.masters[name]
            step_(master, self.momenta[name], gradient, group)
            parameter.copy_(weights_of(master, parameter.dtype))


    def norm(self) -> float:
        """The global norm of the gradients, in float64."""
        squares = [
            p.grad.double().square().sum() for p in self.parameters.values() if p.grad is not None
        ]
        return float(torch.stack(squares).sum().sqrt())


class PlainLion(torch.optim.Optimizer):
    """Lion as PyTorch's own optimizers are: at ``step()`` weights and ``.grad`` are what stands there.

    A 16-bit weight has a float32 master; an element that was changed since the last step becomes the
    new master. A gradient that is not finite skips the step.
    """

    def __init__(self, params: Any, **options: Any) -> None:
        defaults = {"lr": 1e-3, "betas": (0.9, 0.99), "weight_decay": 0.0}
        super().__init__(params, {**defaults, **options})
        self.steps = 0
        self.step_was_skipped = False

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        given: list[tuple[Any, Any]] = [
            (group, p) for group in groups for p in group["params"] if p.grad is not None
        ]
        self.step_was_skipped = not all(bool(p.grad.isfinite().all()) for _, p in given)
        if given and not self.step_was_skipped:
            for group, parameter in given:
                self._step(parameter, group)
            self.steps += 1
        return loss

    def _step(self, parameter: Any, group: Mapping[str, Any]) -> None:
        master, momentum = self.master(parameter), self.momentum(parameter)
        step_(master, momentum, parameter.grad.float(), group)
        parameter.copy_(weights_of(master, parameter.dtype))
        self.state[parameter].update(
            master=master, exp_avg=momentum, given=parameter.detach().clone()
        )

    def master(self, parameter: torch.Tensor) -> torch.Tensor:
        """The float32 master that the next step starts from."""
        state = self.state[parameter]
        now = parameter.detach().float().clone()
        if "master" not in state:
            return now
        kept: torch.Tensor = torch.where(state["given"] == parameter, state["master"], now)
        return kept

    def momentum(self, parameter: torch.Tensor) -> torch.Tensor:
        zero = torch.zeros(parameter.shape, dtype=torch.bfloat16)
        momentum: torch.Tensor = self.state[parameter].get("exp_avg", zero)
        return momentum


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
