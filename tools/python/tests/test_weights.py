"""A parameter and the store's tensor have the same weights."""

from __future__ import annotations

import copy
import gc
import itertools
import unittest

import torch
from torch import nn

import lionstore
from lionstore import Lion
from cases import LionTest, WAYS
from reference import bits, differing, network


class WeightsTest(LionTest):
    def test_bfloat16_parameters_are_the_stores_memory(self) -> None:
        model = network(torch.bfloat16)
        before = model.wide.weight.detach().clone()
        optimizer = self.lion(model)
        self.assertEqual(differing([before], [model.wide.weight]), 0)
        self.train(optimizer, model)
        self.assertNotEqual(differing([before], [model.wide.weight]), 0)
        with open(f"{self.folder}/store/weights.plane", "rb") as file:
            self.assertIn(bytes(bits(model.wide.weight).numpy()), file.read())

    def test_weights_outlive_their_optimizer_and_are_the_models_alone_then(self) -> None:
        model = network(torch.bfloat16)
        optimizer = Lion(model.named_parameters(), store=f"{self.folder}/store")
        self.train(optimizer, model)
        expected = [p.detach().clone() for p in model.parameters()]
        del optimizer
        gc.collect()
        other = network(torch.bfloat16)
        self.train(self.lion(other), other)
        self.assertNotEqual(differing(expected, other.parameters()), 0)
        self.assertEqual(differing(expected, model.parameters()), 0)

    def test_a_closed_optimizer_leaves_the_model_its_weights(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            model = network(dtype)
            optimizer = self.lion(model, str(dtype))
            self.train(optimizer, model)
            expected = [p.detach().clone() for p in model.parameters()]
            optimizer.close()
            self.assertEqual(differing(expected, model.parameters()), 0)

    def test_a_store_goes_on_and_the_model_gets_its_weights(self) -> None:
        for dtype, way in itertools.product([torch.float32, torch.bfloat16], WAYS):
            with self.subTest(dtype=dtype, gradients=way):
                name = f"{dtype}-{way}"
                model = network(dtype)
                optimizer = self.lion(model, name, gradients=way)
                self.train(optimizer, model)
                expected, expected_hash = [*model.parameters()], optimizer.hash()
                optimizer.close()
                other = network(dtype, seed=5)
                resumed = self.lion(other, name, gradients=way)
                self.assertEqual(resumed.steps, 3)
                self.assertEqual(resumed.hash(), expected_hash)
                self.assertEqual(differing(expected, other.parameters()), 0)

    def test_weights_loaded_later_are_taken_over(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            model, fresh = network(dtype), network(dtype, seed=9)
            optimizer = self.lion(model, f"{dtype}", lr=1e-9)
            self.train(optimizer, model, 1)
            model.load_state_dict(fresh.state_dict())
            self.train(optimizer, model, 1)
            # With a learning rate this small, a step from there ends there.
            torch.testing.assert_close([*model.parameters()], [*fresh.parameters()])

    def test_other_layouts_and_dtypes_are_written_after_a_step(self) -> None:
        for dtype in [torch.float16, torch.float32, torch.bfloat16]:
            weight = torch.arange(12.0).reshape(3, 4).to(dtype)
            parameter = nn.Parameter(weight.clone().t())
            optimizer = Lion([("one", parameter)], store=f"{self.folder}/{dtype}", lr=0.5)
            self.addCleanup(optimizer.close)
            parameter.sum().backward()
            optimizer.step()
            self.assertTrue(torch.equal(parameter, weight.t() - 0.5))

    def test_large_tensors_are_copied_whole(self) -> None:
        before = torch.linspace(1, 2, 600_001)
        parameter = nn.Parameter(before.clone())
        optimizer = Lion([("one", parameter)], store=f"{self.folder}/store", lr=0.5)
        self.addCleanup(optimizer.close)
        parameter.sum().backward()
        optimizer.step()
        self.assertEqual(differing([before - 0.5], [parameter]), 0)

    def test_parameters_of_no_elements_are_left_alone(self) -> None:
        empty, one = nn.Parameter(torch.empty(0, 3)), nn.Parameter(torch.ones(1))
        for way in WAYS:
            optimizer = Lion([("empty", empty), ("one", one)], store=f"{self.folder}/{way}", gradients=way)
            (empty.sum() + one.sum()).backward()
            optimizer.step()
            self.assertEqual(optimizer.steps, 1)
            optimizer.close()

    def test_a_model_may_change_its_dtype_and_keeps_its_masters(self) -> None:
        model, same = network(torch.bfloat16), network(torch.bfloat16)
        optimizer = self.lion(model, lr=1e-9, gradient_dtype=torch.float32)
        expected = self.lion(same, "same", lr=1e-9, gradient_dtype=torch.float32)
        for each, its in [(optimizer, model), (expected, same)]:
            each.param_groups[0]["lr"] = 1e-3
            self.train(each, its)
        model.float()
        self.assertEqual(optimizer.hash(), expected.hash())
        self.train(optimizer, model, 1)
        self.assertIs(model.wide.weight.dtype, torch.float32)
        self.assertNotEqual(float((model.wide.weight - model.wide.weight.bfloat16().float()).abs().max()), 0)

    def test_memory_that_replaces_the_stores_is_stepped_where_it_is(self) -> None:
        models = [network(torch.bfloat16), network(torch.bfloat16)]
        optimizers = [self.lion(model, str(i)) for i, model in enumerate(models)]
        models[0].wide.weight.data = models[0].wide.weight.data.clone()
        mine = models[0].wide.weight.data
        for optimizer, model in zip(optimizers, models):
            self.train(optimizer, model)
        self.assertEqual(mine.data_ptr(), models[0].wide.weight.data_ptr())
        self.assertEqual(optimizers[0].hash(), optimizers[1].hash())
        self.assertEqual(differing(models[0].parameters(), models[1].parameters()), 0)


if __name__ == "__main__":
    unittest.main()
