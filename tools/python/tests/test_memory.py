"""No address crosses into Java that is not, now, the memory of that tensor."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import unittest
import unittest.mock
from pathlib import Path
from typing import Any, Callable

import torch
from torch import nn

import lionstore
from cases import DTYPES, WAYS, LionTest, backward, copies, iterate, seeded, square

class UnusableTest(LionTest):
    """Each kind of tensor that has no memory of its own, in a process that would be killed by reading it."""

    told: dict[str, list[str]]

    def setUp(self) -> None:
        super().setUp()
        if not hasattr(UnusableTest, "told"):
            script = Path(__file__).with_name("unusable_tensors.py")
            done = subprocess.run(
                [sys.executable, script, self.folder], capture_output=True, text=True, timeout=120
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            UnusableTest.told = json.loads(done.stdout.splitlines()[-1])

    def require_refused(self, what: str, kinds: dict[str, str], by: str = "ArgumentError") -> None:
        for kind, said in kinds.items():
            for way in WAYS:
                with self.subTest(kind=kind, gradients=way):
                    error, message = self.told[f"{what} {kind} {way}"]
                    self.assertIn(error, by, message)
                    if error != "PyTorch":
                        self.assertRegex(message, f"weight.*{said}")

    def test_parameters_are_refused_by_name_and_type_and_leave_no_store(self) -> None:
        # pytorch#85327, pytorch#44538, pytorch#172127, ao#37, prime-rl#2800
        kinds = {"DTensor": "DTensor", "TwoTensor": "TwoTensor", "meta": "meta", "freed": "freed"}
        others = {"sparse": "sparse", "float64": "float64", "complex64": "complex64", "lazy": "no shape"}
        self.require_refused("parameter", {**kinds, **others})

    def test_gradients_are_refused_by_name_and_type_and_change_nothing(self) -> None:
        # ao#150, bitsandbytes#1633
        kinds = {"freed": "freed", "sparse": "sparse", "float64": "float64", "TwoTensor": "TwoTensor"}
        self.require_refused("gradient", kinds)
        others = {"DTensor": "DTensor", "meta": "meta", "complex64": "complex64"}
        self.require_refused("gradient", others, by="ArgumentError or PyTorch")


class FreedTest(LionTest):
    def test_weights_that_were_freed_are_refused_and_come_back(self) -> None:
        # pytorch#172127, FSDP's resize_
        for dtype in DTYPES:
            for way in WAYS:
                with self.subTest(dtype=dtype, gradients=way):
                    self.require_refused_until_it_is_back(dtype, way)

    def require_refused_until_it_is_back(self, dtype: torch.dtype, way: str) -> None:
        model = seeded(square).to(dtype)
        optimizer = self.lion_of(model, gradients=way)
        iterate(model, optimizer)
        optimizer.zero_grad()
        model.weight.data = model.weight.data.clone()  # memory that may be freed
        memory, before = model.weight.untyped_storage(), model.weight.detach().clone()
        size, expected = memory.nbytes(), optimizer.hash()
        model.weight.grad = torch.ones_like(model.weight)
        memory.resize_(0)
        acts: list[Callable[[], Any]] = [
            optimizer.step,
            optimizer.hash,
            optimizer.state_dict,
            lambda: optimizer.snapshot(f"{self.folder}/never"),
        ]
        for act in acts:
            with self.refuses("parameter weight", "freed", by=lionstore.ArgumentError):
                act()
        memory.resize_(size)
        model.weight.data.copy_(before)
        self.assertEqual((optimizer.steps, optimizer.hash()), (1, expected))
        optimizer.step()
        self.assertEqual(optimizer.steps, 2)


class SharedTest(LionTest):
    def test_two_threads_are_never_in_one_optimizer(self) -> None:
        # pytorch#8149
        for way in WAYS:
            model = square()
            optimizer = self.lion_of(model, gradients=way)
            backward(model, torch.ones(2, 4))
            is_in, may_go_on = threading.Event(), threading.Event()
            request = optimizer.progress.published

            def held() -> None:
                is_in.set()
                self.assertTrue(may_go_on.wait(60))
                request()

            with unittest.mock.patch.object(optimizer.progress, "published", held):
                thread = threading.Thread(target=optimizer.step)
                thread.start()
                self.assertTrue(is_in.wait(60))
                for act in (optimizer.step, optimizer.hash, optimizer.state_dict, optimizer.update_layout):
                    with self.refuses("another thread is using", by=lionstore.StateError):
                        act()
                may_go_on.set()
                thread.join()
            self.assertEqual(optimizer.steps, 1)

    def test_steps_of_threads_are_whole_or_typed_errors(self) -> None:
        model = nn.Linear(300, 300).bfloat16()
        optimizer = self.lion_of(model, lr=0.5)
        model.weight.data.zero_()
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        taken: list[int] = []
        failures: list[Exception] = []

        def steps() -> None:
            for _ in range(8):
                try:
                    optimizer.step()
                    taken.append(1)
                except lionstore.StateError:
                    pass
                except Exception as failure:
                    failures.append(failure)

        threads = [threading.Thread(target=steps) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((failures, optimizer.steps), ([], len(taken)))
        self.assertEqual(model.weight.unique().tolist(), [-0.5 * len(taken)])

    def test_views_of_a_flat_buffer_are_views_still(self) -> None:
        # Megatron-LM#7013
        def write_the_buffer(model: Any, optimizer: Any) -> None:
            flat = torch.full((20,), 0.5, dtype=model.weight.dtype)
            model.weight.data, model.bias.data = flat[:16].view(4, 4), flat[16:]
            for _ in range(3):
                iterate(model, optimizer)
                flat.mul_(0.5)
            self.assertTrue(torch.equal(flat[:16].view(4, 4), model.weight))

        self.assert_as_plain(write_the_buffer, dtypes=DTYPES, lr=0.05)

    def test_so_are_those_that_the_optimizer_was_made_with(self) -> None:
        for dtype in DTYPES:
            flat = torch.full((20,), 0.5, dtype=dtype)
            model = square().to(dtype)
            model.weight.data, model.bias.data = flat[:16].view(4, 4), flat[16:]
            optimizer = self.lion_of(model, lr=0.25)
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            for _ in range(2):
                optimizer.step()
                flat.mul_(2)
            self.assertEqual(flat.tolist(), [0.5] * 20)
            self.assertTrue(torch.equal(flat[:16].view(4, 4), model.weight))

    def test_memory_is_shared_and_unshared(self) -> None:
        # pytorch#84051, Lightning#18238
        def share(model: Any, optimizer: Any) -> None:
            for number in range(6):
                iterate(model, optimizer)
                if number == 1:
                    model.share_memory()
                if number == 3:
                    for parameter in model.parameters():
                        parameter.data = parameter.data.clone()

        self.assert_as_plain(share, dtypes=DTYPES, lr=0.05)

    def test_what_a_forked_child_writes_is_its_own_unless_memory_is_shared(self) -> None:
        # pytorch#2052
        for dtype in DTYPES:
            for is_shared in (False, True):
                with self.subTest(dtype=dtype, shared=is_shared):
                    model = seeded(square).to(dtype)
                    optimizer = self.lion_of(model)
                    iterate(model, optimizer)
                    before, expected = model.weight.detach().clone(), optimizer.hash()
                    if is_shared:
                        model.share_memory()
                    child = os.fork()
                    if child == 0:
                        model.weight.data[0] = 0
                        os._exit(0)
                    os.waitpid(child, 0)
                    if is_shared:
                        before[0] = 0
                    self.assertTrue(torch.equal(model.weight, before))
                    self.assertEqual(optimizer.hash() == expected, not is_shared)
                    iterate(model, optimizer)
                    self.assertEqual(optimizer.steps, 2)

    def test_parameters_of_one_memory_are_refused_by_both_names(self) -> None:
        # build-nanogpt#89
        for dtype in DTYPES:
            model: Any = nn.Sequential(square(), square()).to(dtype)
            model[1].weight.data = model[0].weight.data
            with self.refuses("0.weight", "1.weight", by=lionstore.ArgumentError):
                self.lion(model)
            self.assertFalse(os.path.exists(f"{self.folder}/store"))

    def test_each_parameter_is_saved_by_itself(self) -> None:
        # LlamaFactory#8859
        model: Any = nn.Sequential(nn.Linear(256, 256), nn.Linear(256, 4)).bfloat16()
        self.lion_of(model)
        for what, most in ((model[1].bias, 4_000), (model.state_dict(), 160_000)):
            file = io.BytesIO()
            torch.save(what, file)
            self.assertLess(len(file.getvalue()), most)
        starts = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        self.assertEqual(len(starts), 4)

    def test_a_converted_model_goes_on_or_is_refused_by_name(self) -> None:
        # pytorch#7844, apex#32
        for before, after in zip(DTYPES, DTYPES[1:] + DTYPES[:1]):
            with self.subTest(before=before, after=after):
                model = seeded(square).to(before)
                optimizer = self.lion_of(model, gradient_dtype=torch.float32)
                iterate(model, optimizer)
                optimizer.zero_grad()
                iterate(model.to(after), optimizer)
                self.assertEqual(optimizer.steps, 2)
        for way in WAYS:
            model = seeded(square)
            optimizer = self.lion_of(model, gradients=way)
            iterate(model, optimizer)
            optimizer.zero_grad()
            model.double()
            kept = copies(model)
            with self.refuses("weight|bias", "float64"):
                backward(model, torch.ones(2, 4))
                optimizer.step()
            self.assertEqual([torch.equal(a, b) for a, b in zip(kept, model.parameters())], [True, True])
            optimizer.zero_grad()
            model.float()


if __name__ == "__main__":
    unittest.main()
