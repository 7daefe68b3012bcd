"""Buffers belong to what is published with each step and to snapshots."""

from __future__ import annotations

import shutil
import unittest
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import AveragedModel, update_bn

import lionstore
from lionstore import Lion
from cases import LionTest, WAYS, iterate, seeded, some

try:
    from safetensors.torch import load_file
except ImportError as missing:
    raise ImportError("snapshots are read with safetensors: install it") from missing


def bits_of(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().view(-1).view(torch.uint8).numpy()) if tensor.numel() else b""


def normalized() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))


class Router(nn.Module):
    """Whose bias is moved after each step by what it counted, and whose table is computed."""

    bias: torch.Tensor
    tokens: torch.Tensor
    table: torch.Tensor

    def __init__(self, entries: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)
        self.register_buffer("bias", torch.zeros(4))
        self.register_buffer("tokens", torch.zeros(4), persistent=False)
        self.register_buffer("table", torch.full((entries,), 2.0), persistent=False)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layer(batch) + self.bias
        self.tokens += torch.bincount(output.argmax(1), minlength=4).float()
        return output

    def move(self) -> None:
        self.bias.add_(0.01 * (self.tokens.mean() - self.tokens).sign())
        self.tokens.zero_()


class Everything(nn.Module):
    """Buffers of every kind."""

    count: torch.Tensor
    exact: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4).bfloat16()
        kinds = {
            "exact": torch.full((3,), 1 / 3),
            "wide": torch.tensor([1 / 3], dtype=torch.float64),
            "short": torch.tensor([[1.5, -0.0], [float("nan"), float("inf")]]).half(),
            "count": torch.tensor(2**40 + 1),
            "small": torch.arange(5, dtype=torch.uint8),
            "mask": torch.tensor([True, False]),
            "empty": torch.zeros(0, 3),
            "strided": torch.arange(6.0).view(2, 3).t(),
            "none": None,
        }
        for name, kind in kinds.items():
            self.register_buffer(name, kind)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layer(batch)
        return output


class BuffersTest(LionTest):
    def opened(self, model: nn.Module, name: str = "store", **options: Any) -> Lion:
        return self.lion(model, name, model=model, **options)

    def killed(self, optimizer: Lion) -> str:
        """The name of a store with what one has that is killed now."""
        shutil.copytree(optimizer._path, f"{self.folder}/killed", dirs_exist_ok=True)
        return "killed"

    def snapshot_of(self, optimizer: Lion) -> dict[str, torch.Tensor]:
        path = optimizer.snapshot(f"{self.folder}/snapshots-{next(self._names)}")
        return dict(load_file(Path(str(path), "model.safetensors")))

    def assert_equal(self, found: Any, expected: nn.Module, *but: str) -> None:
        for name, buffer in expected.named_buffers():
            if name not in but:
                self.assertIs(found[name].dtype, buffer.dtype, name)
                self.assertTrue(bits_of(found[name]) == bits_of(buffer), name)

    def test_batch_statistics_are_published_with_each_step(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way):
                model = seeded(normalized)
                optimizer = self.opened(model, way, gradients=way)
                for number in range(3):
                    iterate(model, optimizer, some(number, 5, 6) + 3)
                self.assert_equal(self.snapshot_of(optimizer), model)
                other = seeded(normalized, 5)
                self.opened(other, self.killed(optimizer), gradients=way).close()
                shutil.rmtree(f"{self.folder}/killed")
                self.assert_equal(dict(other.named_buffers()), model)

    def test_a_bias_that_is_moved_after_the_step_is_saved_as_it_is(self) -> None:
        # torchtitan#1222
        model = seeded(Router)
        optimizer = self.opened(model)
        for number in range(3):
            iterate(model, optimizer, some(number, 5, 6))
            published = model.bias.clone()
            model.move()
        other = seeded(Router, 5)
        self.opened(other, self.killed(optimizer)).close()
        self.assertTrue(torch.equal(other.bias, published), "a killed run has it as the step had")
        self.assertNotEqual(bits_of(published), bits_of(model.bias))
        self.assert_equal(self.snapshot_of(optimizer), model, "tokens", "table")
        optimizer.close()
        other = seeded(Router, 5)
        self.opened(other)
        self.assertTrue(torch.equal(other.bias, model.bias), "a closed run as it was left")

    def test_what_is_not_persistent_stays_out_and_may_change(self) -> None:
        # SpecForge#703, gpt-neox#1168
        model = seeded(Router)
        optimizer = self.opened(model)
        iterate(model, optimizer, some(1, 5, 6))
        self.assertEqual({*self.snapshot_of(optimizer)}, {"layer.weight", "layer.bias", "bias"})
        optimizer.close()
        other = Router(entries=7)
        self.opened(other)
        self.assertEqual(other.table.tolist(), [2.0] * 7)
        self.assertEqual(other.tokens.tolist(), [0.0] * 4)

    def test_every_dtype_is_kept_bit_for_bit(self) -> None:
        # torchtitan#3861, torchrec#3534
        model = Everything()
        optimizer = self.opened(model)
        iterate(model, optimizer)
        model.count += 1
        model.exact *= 2
        self.assert_equal(self.snapshot_of(optimizer), model, "empty")
        optimizer.close()
        other = Everything()
        for buffer in other.buffers():
            buffer.zero_()
        self.opened(other)
        self.assert_equal(dict(other.named_buffers()), model)

    def test_buffers_may_be_assigned_anew(self) -> None:
        # encodec#33
        class Quantizer(nn.Module):
            codes: torch.Tensor

            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(6, 4)
                self.register_buffer("codes", torch.zeros(4))

            def forward(self, batch: torch.Tensor) -> torch.Tensor:
                output: torch.Tensor = self.layer(batch)
                self.codes = self.codes * 0.9 + output.detach().mean(0) * 0.1
                return output - self.codes

        model = seeded(Quantizer)
        optimizer = self.opened(model)
        for number in range(3):
            iterate(model, optimizer, some(number, 5, 6))
        other = seeded(Quantizer, 5)
        self.opened(other, self.killed(optimizer)).close()
        self.assert_equal(dict(other.named_buffers()), model)

    def test_vectors_of_a_spectral_norm_are_published(self) -> None:
        # pytorch#13350
        def make() -> nn.Module:
            return nn.Sequential(spectral_norm(nn.Linear(6, 8)), nn.Linear(8, 4))

        model = seeded(make)
        optimizer = self.opened(model)
        iterate(model, optimizer, some(1, 5, 6))
        other = seeded(make, 5)
        self.opened(other, self.killed(optimizer)).close()
        self.assert_equal(dict(other.named_buffers()), model)

    def test_statistics_that_are_computed_anew_for_averaged_weights_are_saved(self) -> None:
        # pytorch#30559
        model = seeded(normalized)
        optimizer = self.opened(model)
        averaged = AveragedModel(model)
        for number in range(3):
            iterate(model, optimizer, some(number, 5, 6))
            averaged.update_parameters(model)
        update_bn([some(number, 5, 6) for number in range(3)], averaged)
        model.load_state_dict(averaged.module.state_dict())
        file = self.snapshot_of(optimizer)
        self.assert_equal(file, model)
        for name, parameter in model.named_parameters():
            self.assertTrue(torch.equal(file[name], parameter.bfloat16()), name)

    def test_a_buffer_of_another_shape_is_refused_by_name(self) -> None:
        model = seeded(normalized)
        optimizer = self.opened(model)
        iterate(model, optimizer, some(1, 5, 6))
        optimizer.close()
        other = seeded(normalized)
        other[1].running_mean = torch.zeros(9)
        with self.refuses("1.running_mean", r"\[8\]", r"\[9\]", by=lionstore.MismatchError):
            self.opened(other)
        self.opened(seeded(normalized))

    def test_a_buffer_that_cannot_be_published_is_refused_by_name(self) -> None:
        for buffer in (torch.eye(3).to_sparse(), torch.ones(3, device="meta")):
            model = seeded(normalized)
            model.register_buffer("late", buffer)
            with self.refuses("buffer late", "persistent=False", by=lionstore.ArgumentError):
                self.opened(model)
            self.assertFalse(Path(self.folder, "store").exists())

    def test_a_buffer_that_is_registered_or_grows_later_is_published(self) -> None:
        model = seeded(normalized)
        optimizer = self.opened(model)
        iterate(model, optimizer, some(1, 5, 6))
        model.register_buffer("late", torch.arange(100_000.0))
        iterate(model, optimizer, some(2, 5, 6))
        self.assertEqual(optimizer.steps, 2)
        self.assert_equal(self.snapshot_of(optimizer), model)


if __name__ == "__main__":
    unittest.main()
