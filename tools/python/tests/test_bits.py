"""Every step is equal in every bit to Lion in PyTorch's own operations."""

from __future__ import annotations

import itertools
import tempfile
import unittest
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from lionstore import Lion
from reference import Network, Reference, batches, differing, loss_of, network

STEPS = 200
DTYPES = [torch.float32, torch.bfloat16]


def groups_of(model: Network) -> list[dict[str, Any]]:
    """Matrices decay, the rest does not and has other betas."""
    named = list(model.named_parameters())
    return [
        {"name": "matrices", "params": [(n, p) for n, p in named if p.dim() > 1]},
        {
            "name": "rest",
            "params": [(n, p) for n, p in named if p.dim() <= 1],
            "weight_decay": 0.0,
            "betas": (0.95, 0.98),
            "lr": 3e-3,
        },
    ]


class BitsTest(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def lion(self, model: Network, name: str, **options: Any) -> Lion:
        optimizer = Lion(
            groups_of(model),
            store=f"{self.folder}/{name}",
            lr=1e-3,
            weight_decay=0.3,
            **options,
        )
        self.addCleanup(optimizer.close)
        return optimizer

    def assert_equal(self, optimizer: Lion, model: Network, reference: Reference) -> None:
        self.assertEqual(differing(model.parameters(), reference.model.parameters()), 0)
        trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        momenta = [optimizer.momentum(p) for _, p in trained]
        self.assertEqual(differing(momenta, [reference.momenta[n].float() for n, _ in trained]), 0)

    def test_two_hundred_steps_equal_in_every_bit(self) -> None:
        for dtype, way in itertools.product(DTYPES, ["step", "plane", "stream"]):
            with self.subTest(dtype=dtype, gradients=way):
                model, reference = network(dtype), Reference(network(dtype))
                optimizer = self.lion(model, f"{dtype}-{way}", gradients=way)
                schedule = LambdaLR(optimizer, lambda step: 1 / (1 + step / 50))
                for batch in batches(STEPS):
                    self.train(optimizer, model, batch)
                    self.train_reference(reference, optimizer, batch)
                    schedule.step()
                self.assertEqual(optimizer.steps, STEPS)
                self.assert_equal(optimizer, model, reference)

    def test_clipped_steps_equal_in_every_bit(self) -> None:
        for dtype, way in itertools.product(DTYPES, ["step", "plane"]):
            with self.subTest(dtype=dtype, gradients=way):
                model, reference = network(dtype), Reference(network(dtype))
                optimizer = self.lion(model, f"{dtype}-{way}", gradients=way, clip_norm=0.05)
                coefficients = set()
                for batch in batches(STEPS):
                    self.train(optimizer, model, batch)
                    coefficients.add(optimizer.clip_coefficient)
                    self.train_reference(reference, optimizer, batch, clip_norm=0.05)
                self.assertGreater(len(coefficients), STEPS * 9 // 10, "clipped too seldom to show")
                self.assert_equal(optimizer, model, reference)

    def test_steps_clipped_by_torch_as_gradients_leave_equal_in_every_bit(self) -> None:
        for dtype in DTYPES:
            with self.subTest(dtype=dtype):
                model, reference = network(dtype), Reference(network(dtype))
                optimizer = self.lion(model, f"{dtype}", gradients="plane")
                for batch in batches(STEPS):
                    optimizer.zero_grad()
                    loss_of(model, batch).backward()
                    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
                    optimizer.step()
                    loss_of(reference.model, batch).backward()
                    self.assertAlmostEqual(float(norm), reference.norm(), places=5)
                    scale = torch.clamp(0.05 / (norm + 1e-6), max=1.0)
                    self.step_reference(reference, optimizer, float(scale))
                self.assert_equal(optimizer, model, reference)

    def test_accumulated_steps_equal_in_every_bit(self) -> None:
        for way in ["step", "plane", "stream"]:
            with self.subTest(gradients=way):
                model, reference = network(torch.float32), Reference(network(torch.float32))
                optimizer = self.lion(model, way, gradients=way)
                for first, second in itertools.batched(batches(STEPS), 2):
                    with optimizer.accumulating():
                        (loss_of(model, first) / 2).backward()
                    (loss_of(model, second) / 2).backward()
                    optimizer.step()
                    optimizer.zero_grad()
                    (loss_of(reference.model, first) / 2).backward()
                    self.train_reference(reference, optimizer, second, micro_batches=2)
                self.assert_equal(optimizer, model, reference)

    def test_gradients_add_up_in_the_plane(self) -> None:
        for dtype in DTYPES:
            with self.subTest(dtype=dtype):
                model, reference = network(dtype), Reference(network(torch.float32))
                reference.model.load_state_dict(model.state_dict())
                optimizer = self.lion(
                    model, f"{dtype}", gradients="plane", gradient_dtype=torch.float32
                )
                for first, second in itertools.batched(batches(20), 2):
                    sums = self.summed_gradients(model, [first, second])
                    optimizer.zero_grad()
                    loss_of(model, first).backward()
                    loss_of(model, second).backward()
                    optimizer.step()
                    for name, parameter in reference.parameters.items():
                        parameter.grad = sums.get(name)
                    self.step_reference(reference, optimizer)
                trained = [n for n, p in model.named_parameters() if p.requires_grad]
                momenta = [optimizer.momentum(p) for p in model.parameters() if p.requires_grad]
                self.assertEqual(
                    differing(momenta, [reference.momenta[n].float() for n in trained]), 0
                )

    def test_ascent_equals_in_every_bit(self) -> None:
        for way in ["step", "plane", "stream"]:
            with self.subTest(gradients=way):
                model, reference = network(torch.float32), Reference(network(torch.float32))
                optimizer = self.lion(model, way, gradients=way, maximize=True)
                for batch in batches(20):
                    self.train(optimizer, model, batch)
                    self.train_reference(reference, optimizer, batch)
                self.assert_equal(optimizer, model, reference)

    def test_groups_may_change_between_steps(self) -> None:
        model, reference = network(torch.float32), Reference(network(torch.float32))
        optimizer = self.lion(model, "changing")
        for number, batch in enumerate(batches(30)):
            optimizer.param_groups[0]["weight_decay"] = 0.01 * number
            optimizer.param_groups[1]["betas"] = (0.9, 0.9 + 0.003 * number)
            self.train(optimizer, model, batch)
            self.train_reference(reference, optimizer, batch)
        self.assert_equal(optimizer, model, reference)

    def train(self, optimizer: Lion, model: Network, batch: Any) -> None:
        optimizer.zero_grad()
        loss_of(model, batch).backward()
        optimizer.step()

    def train_reference(
        self,
        reference: Reference,
        optimizer: Lion,
        batch: Any,
        clip_norm: float | None = None,
        micro_batches: int = 1,
    ) -> None:
        (loss_of(reference.model, batch) / micro_batches).backward()
        scale = 1.0
        if clip_norm is not None:
            scale = min(1.0, clip_norm / (reference.norm() + 1e-6))
            # The order of the sum is not this one: the last bit of a float64 may differ.
            self.assertAlmostEqual(optimizer.clip_coefficient, scale, delta=scale * 1e-14)
            scale = optimizer.clip_coefficient
        self.step_reference(reference, optimizer, scale)

    def step_reference(self, reference: Reference, optimizer: Lion, scale: float = 1.0) -> None:
        matrices, rest = optimizer.param_groups
        reference.step(
            lambda name: matrices if reference.parameters[name].dim() > 1 else rest, scale
        )
        reference.model.zero_grad()

    @staticmethod
    def summed_gradients(model: Network, parts: list[Any]) -> dict[str, torch.Tensor]:
        sums: dict[str, torch.Tensor] = {}
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        for part in parts:
            loss = loss_of(model, part)
            gradients = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
            for (name, _), gradient in zip(named, gradients):
                if gradient is not None:
                    gradient = gradient.float()
                    sums[name] = sums[name] + gradient if name in sums else gradient
        return sums


if __name__ == "__main__":
    unittest.main()
