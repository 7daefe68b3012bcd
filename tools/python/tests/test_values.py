"""A step starts from the values that the model has, whoever has changed them, and by whatever way."""

from __future__ import annotations

import copy
import os
import unittest
from pathlib import Path
from typing import Any, Callable

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from lionstore import Lion
from cases import DTYPES, TINY, LionTest, backward, copies, deep, iterate, put_back, some, square
from reference import differing

try:
    from safetensors.torch import load_file
except ImportError as missing:
    raise ImportError("snapshots are read with safetensors: install it") from missing

NOT_A_STEP: dict[str, Callable[[Lion, str], Any]] = {
    "hash": lambda optimizer, folder: optimizer.hash(),
    "state_dict": lambda optimizer, folder: optimizer.state_dict(),
    "snapshot": lambda optimizer, folder: optimizer.snapshot(folder),
    "close": lambda optimizer, folder: optimizer.close(),
}


class ChangedWeightsTest(LionTest):
    def test_what_a_mask_has_zeroed_through_data_is_zero(self) -> None:
        def prune(model: Any, optimizer: Any) -> None:
            for _ in range(5):
                iterate(model, optimizer)
                model.weight.data[0].zero_()
            iterate(model, optimizer)
            self.assertLess(float(model.weight.detach()[0].abs().max()), 0.0501)

        self.assert_as_plain(prune, dtypes=DTYPES, lr=0.05)

    def test_what_was_not_written_keeps_its_exact_master(self) -> None:
        # DeepSpeed#3830
        def write_a_row(model: Any, optimizer: Any) -> None:
            for number in range(20):
                iterate(model, optimizer)
                if number % 5 == 0:
                    model.weight.data[0] = 0.125

        self.assert_as_plain(write_a_row, dtypes=DTYPES[1:], lr=TINY)

    def test_weights_are_clamped_after_each_step(self) -> None:
        # martinarjovsky/WassersteinGAN#50
        def clamp(model: Any, optimizer: Any) -> None:
            for _ in range(6):
                iterate(model, optimizer)
                for parameter in model.parameters():
                    parameter.data.clamp_(-0.11, 0.11)
            self.assertLess(max(float(p.detach().abs().max()) for p in model.parameters()), 0.1104)

        self.assert_as_plain(clamp, dtypes=DTYPES, lr=0.05)

    def test_a_mask_makes_new_memory_in_each_forward_pass(self) -> None:
        # Dynamic_Model_Pruning_with_Feedback#1
        def assign(model: Any, optimizer: Any) -> None:
            mask = torch.arange(16).view(4, 4) % 3 > 0
            for _ in range(5):
                model.weight.data = model.weight.data * mask.to(model.weight.dtype)
                iterate(model, optimizer)

        self.assert_as_plain(assign, dtypes=DTYPES, lr=0.05)

    def test_an_average_that_is_swapped_in_and_out_leaves_no_trace(self) -> None:
        # schnetpack#785, diffusers#7549
        def validate(model: Any, optimizer: Any) -> None:
            for number in range(16):
                iterate(model, optimizer)
                if number % 4 == 3:
                    raw = copies(model)
                    put_back(model, [value / 2 for value in raw])
                    put_back(model, raw)

        self.assert_as_plain(validate, dtypes=DTYPES, lr=TINY)

    def test_nor_does_one_that_is_looked_at_meanwhile(self) -> None:
        looks = {name: look for name, look in NOT_A_STEP.items() if name != "close"}
        for name, look in looks.items():
            def validate(model: Any, optimizer: Any) -> None:
                for number in range(12):
                    iterate(model, optimizer)
                    if number % 6 == 3:
                        raw = copies(model)
                        put_back(model, [value / 2 for value in raw])
                        if isinstance(optimizer, Lion):
                            look(optimizer, f"{self.folder}/{name}-{model.weight.dtype}")
                        put_back(model, raw)

            with self.subTest(look=name):
                self.assert_as_plain(validate, ways=["step"], dtypes=DTYPES, lr=TINY)

    def test_a_snapshot_of_an_average_has_the_average(self) -> None:
        for dtype in DTYPES:
            model = square().to(dtype)
            optimizer = self.lion_of(model)
            iterate(model, optimizer)
            put_back(model, [value / 2 for value in copies(model)])
            path = optimizer.snapshot(f"{self.folder}/{dtype}")
            self.assert_holds(str(path), model)

    def assert_holds(self, snapshot: str, model: nn.Module) -> None:
        file = load_file(Path(snapshot, "model.safetensors"))
        for name, parameter in model.named_parameters():
            self.assertTrue(torch.equal(file[name], parameter.bfloat16()), name)

    def test_weights_are_climbed_from_and_put_back_between_two_gradients(self) -> None:
        # davda54/sam#7
        def climb(model: Any, optimizer: Any) -> None:
            for number in range(4):
                batch = some(number, 3, 6)
                optimizer.zero_grad()
                backward(model, batch)
                old = {parameter: parameter.data for parameter in model.parameters()}
                for parameter in old:
                    step = parameter.grad * (0.05 / float(parameter.grad.float().norm()))
                    parameter.data = parameter.data + step
                optimizer.zero_grad()
                backward(model, batch)
                for parameter in old:
                    parameter.data = old[parameter]
                optimizer.step()

        refused = {"stream": 'choose gradients="plane"'}
        self.assert_as_plain(climb, deep, dtypes=DTYPES, refused=refused, lr=0.01)

    def test_an_embedding_is_perturbed_for_a_second_gradient(self) -> None:
        # deepspeed#5667
        def perturb(model: Any, optimizer: Any) -> None:
            tokens, weight = torch.tensor([[0, 1, 2], [3, 4, 1]]), model[0].weight
            for _ in range(4):
                optimizer.zero_grad()
                backward(model, tokens)
                before = weight.data.clone()
                weight.data.add_(weight.grad, alpha=0.125)
                backward(model, tokens)
                weight.data = before
                optimizer.step()

        def make() -> nn.Module:
            return nn.Sequential(nn.Embedding(7, 6), nn.Flatten(), nn.Linear(18, 3))

        refused = {"stream": 'choose gradients="plane"'}
        self.assert_as_plain(perturb, make, dtypes=DTYPES[:2], refused=refused, lr=0.01)

    def test_tensors_are_swapped_set_and_filled_from_a_vector(self) -> None:
        # pytorch#117913
        def load_swapped(model: Any) -> None:
            torch.__future__.set_swap_module_params_on_conversion(True)
            try:
                model.load_state_dict({k: torch.full_like(v, 0.25) for k, v in model.state_dict().items()})
            finally:
                torch.__future__.set_swap_module_params_on_conversion(False)

        def fill(model: Any) -> None:
            vector = parameters_to_vector(model.parameters()).detach()
            vector_to_parameters(vector * 0.5, model.parameters())

        def set_memory(model: Any) -> None:
            with torch.no_grad():
                model.bias.set_(torch.full_like(model.bias, 0.75))

        for change in (load_swapped, fill, set_memory):
            def loop(model: Any, optimizer: Any) -> None:
                for _ in range(2):
                    iterate(model, optimizer)
                    optimizer.zero_grad()
                    change(model)
                iterate(model, optimizer)

            with self.subTest(change=change.__name__):
                self.assert_as_plain(loop, dtypes=DTYPES, lr=0.05)

    def test_memory_may_be_exchanged_or_turned(self) -> None:
        def exchange(model: Any) -> None:
            first, last = model[0].weight, model[1].weight
            first.data, last.data = last.data, first.data

        def turn(model: Any) -> None:
            model[0].weight.data = model[0].weight.data.t()

        for change in (exchange, turn):
            def loop(model: Any, optimizer: Any) -> None:
                for _ in range(2):
                    iterate(model, optimizer)
                    change(model)
                    expected = copies(model)
                    if isinstance(optimizer, Lion):
                        optimizer.hash()
                    self.assertEqual(differing(expected, model.parameters()), 0)
                iterate(model, optimizer)

            with self.subTest(change=change.__name__):
                self.assert_as_plain(loop, lambda: nn.Sequential(square(), square()), dtypes=DTYPES, lr=0.05)

    def test_adapters_are_merged_and_drawn_anew(self) -> None:
        # relora#10
        class Adapted(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.whole = nn.Parameter(some(1, 4, 4))
                self.first, self.last = nn.Parameter(some(2, 2, 4)), nn.Parameter(torch.zeros(4, 2))

            def forward(self, batch: torch.Tensor) -> torch.Tensor:
                return batch @ (self.whole + self.last @ self.first).T

        def merge(model: Any, optimizer: Any) -> None:
            for number in range(6):
                iterate(model, optimizer, some(number, 3, 4))
                if number % 3 == 2:
                    with torch.no_grad():
                        model.whole += model.last @ model.first
                        model.first.copy_(some(number, 2, 4))
                        nn.init.zeros_(model.last)

        self.assert_as_plain(merge, Adapted, dtypes=DTYPES, lr=0.01)

    def test_the_best_weights_that_are_loaded_are_what_is_saved_and_found_again(self) -> None:
        for dtype in DTYPES:
            with self.subTest(dtype=dtype):
                model = square().to(dtype)
                optimizer = self.lion(model, f"{dtype}", lr=0.01, model=model)
                iterate(model, optimizer)
                best = copy.deepcopy(model.state_dict())
                iterate(model, optimizer)
                model.load_state_dict(best)
                self.assert_holds(str(optimizer.snapshot(f"{self.folder}/s-{dtype}")), model)
                optimizer.close()
                other = square().to(dtype)
                self.lion(other, f"{dtype}")
                self.assertEqual(differing(best.values(), other.parameters()), 0)


class NotFiniteTest(LionTest):
    # pocket-tts#262: checkpoints full of NaN, which are loaded again

    VALUES = [float("nan"), float("-inf"), 3.4e38]

    def test_a_store_is_not_made_of_what_is_not_finite(self) -> None:
        for value in self.VALUES:
            model = square()
            model.weight.data[1, 2] = value
            with self.refuses("weight", "element 6|1, 2"):
                self.lion(model)
            self.assertFalse(os.path.exists(f"{self.folder}/store"))

    def test_weights_that_are_not_finite_reach_no_store(self) -> None:
        step: dict[str, Any] = {"step": lambda optimizer, folder: optimizer.step()}
        for name, act in {**step, **NOT_A_STEP}.items():
            for dtype, value in zip(DTYPES, [self.VALUES[2], self.VALUES[0], self.VALUES[1]]):
                with self.subTest(at=name, dtype=dtype):
                    model = square().to(dtype)
                    optimizer = self.lion_of(model)
                    iterate(model, optimizer)
                    expected = optimizer.hash()
                    good, steps = model.weight.detach()[1, 2].clone(), optimizer.steps
                    model.weight.data[1, 2] = value
                    with self.refuses("weight", "element 6|1, 2"):
                        act(optimizer, f"{self.folder}/never")
                    if name != "close":
                        model.weight.data[1, 2] = good
                        self.assertEqual((optimizer.steps, optimizer.hash()), (steps, expected))

    def test_a_state_that_is_not_finite_is_not_loaded(self) -> None:
        model = square().bfloat16()
        optimizer = self.lion_of(model)
        iterate(model, optimizer)
        expected = optimizer.hash()
        for part in ("exp_avg", "master"):
            state = optimizer.state_dict(full=True)
            entry = state["state"][0]
            entry[part] = entry[part].clone()
            entry[part][1, 2] = float("nan")
            if part == "exp_avg":
                with self.refuses("weight", "element 6|1, 2"):
                    optimizer.load_state_dict(state)
            else:
                optimizer.load_state_dict(state)  # such a master is not that of the model's weight
            self.assertEqual(optimizer.hash(), expected)
        iterate(model, optimizer)
        self.assertEqual(optimizer.steps, 2)


if __name__ == "__main__":
    unittest.main()
