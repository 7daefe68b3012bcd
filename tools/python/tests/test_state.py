"""State dicts, and runs that go on."""

from __future__ import annotations

import copy
import io
import pickle
import random
import tempfile
import unittest
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

import lionstore
from lionstore import Lion
from cases import LionTest
from reference import batches, differing, loss_of, network


class StateTest(LionTest):
    def test_a_state_dict_carries_the_state_into_another_store_and_back(self) -> None:
        for dtype in [torch.float32, torch.bfloat16, torch.float16]:
            with self.subTest(dtype=dtype):
                model, other = network(dtype), network(dtype, seed=5)
                optimizer = self.lion(model, f"{dtype}")
                self.train(optimizer, model)
                file = io.BytesIO()
                torch.save([model.state_dict(), optimizer.state_dict()], file)
                expected = optimizer.hash()
                self.train(optimizer, model)
                later = optimizer.hash()
                for each, its in [(self.lion(other, f"other-{dtype}"), other), (optimizer, model)]:
                    file.seek(0)
                    weights, state = torch.load(file, weights_only=True)
                    its.load_state_dict(weights)
                    each.load_state_dict(state)
                    self.assertEqual((each.steps, each.hash()), (3, expected))
                    self.train(each, its)
                    self.assertEqual(each.hash(), later)

    def test_the_state_dict_of_a_large_store_refers_to_it(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model, full_state_dict=False)
        optimizer.param_groups[0]["lr"] = 0.25
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
        self.assertEqual(state["state"], {})
        optimizer.param_groups[0]["lr"] = 0.5
        optimizer.load_state_dict(state)
        self.assertEqual(optimizer.param_groups[0]["lr"], 0.25)
        self.train(optimizer, model, 1)
        with self.assertRaisesRegex(lionstore.MismatchError, "is of step 0 .*Lion.restore"):
            optimizer.load_state_dict(state)
        full = optimizer.state_dict(full=True)["state"][0]
        lazy = optimizer.state_dict()["state"][0]
        self.assertEqual(differing([full["exp_avg"]], [lazy["exp_avg"]]), 0)

    def test_weights_that_come_with_a_refused_state_dict_do_not_reach_the_store(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            with self.subTest(dtype=dtype):
                model = network(dtype)
                optimizer = self.lion(model, f"{dtype}", full_state_dict=False)
                self.train(optimizer, model, 1)
                checkpoint = copy.deepcopy(model.state_dict()), pickle.dumps(optimizer.state_dict())
                self.train(optimizer, model, 1)
                expected = [p.detach().clone() for p in model.parameters()]
                expected_hash = optimizer.hash()
                model.load_state_dict(checkpoint[0])
                self.assertNotEqual(differing(expected, model.parameters()), 0)
                # What a process that is killed now leaves behind.
                self.assertEqual(optimizer.store.hash(), expected_hash)
                with self.assertRaisesRegex(lionstore.MismatchError, "have not reached the store"):
                    optimizer.load_state_dict(pickle.loads(checkpoint[1]))
                self.assertEqual(differing(expected, model.parameters()), 0)
                self.assertEqual(optimizer.hash(), expected_hash)

    def test_weights_that_were_loaded_before_a_step_stay(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            with self.subTest(dtype=dtype):
                model, other = network(dtype), network(dtype, seed=9)
                optimizer = self.lion(model, f"{dtype}", lr=1e-9)
                model.load_state_dict(other.state_dict())
                self.train(optimizer, model, 1)
                # They are what was loaded, exactly, and not what was left of the masters before.
                plain = self.lion(other, f"plain-{dtype}", lr=1e-9)
                self.train(plain, other, 1)
                self.assertEqual(optimizer.hash(), plain.hash())
                expected = [p.detach().clone() for p in model.parameters()]
                optimizer.close()
                resumed = network(dtype, seed=5)
                self.lion(resumed, f"{dtype}")
                self.assertEqual(differing(expected, resumed.parameters()), 0)

    def test_lion_pytorchs_momentum_is_taken(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        trained = {i: p for i, p in enumerate(model.parameters()) if p.requires_grad}
        averages = {i: torch.randn(p.shape) for i, p in trained.items()}
        state = {
            "state": {i: {"exp_avg": average} for i, average in averages.items()},
            "param_groups": optimizer.state_dict()["param_groups"],
        }
        optimizer.load_state_dict(state)
        found = [optimizer.momentum(p) for p in trained.values()]
        self.assertEqual(differing(found, [a.bfloat16().float() for a in averages.values()]), 0)
        averages[0].view(-1)[0] = float("nan")
        with self.assertRaisesRegex(lionstore.ArgumentError, "scale: element 0 is NaN"):
            optimizer.load_state_dict(state)
        self.assertEqual(differing([optimizer.momentum(trained[1])], [found[1]]), 0)
        frozen = next(i for i in range(len(state["state"]) + 1) if i not in trained)
        state["state"] = {frozen: {"exp_avg": torch.ones(24)}}
        with self.assertRaisesRegex(lionstore.MismatchError, "frozen is frozen"):
            optimizer.load_state_dict(state)

    def test_another_optimizers_state_is_refused(self) -> None:
        model = network(torch.float32)
        adam = torch.optim.AdamW(model.parameters())
        loss_of(model, batches(1)[0]).backward()
        adam.step()
        with self.assertRaisesRegex(lionstore.MismatchError, "another optimizer: its groups have amsgrad, eps"):
            self.lion(model).load_state_dict(adam.state_dict())

    def saved_and_left_behind(self, dtype: torch.dtype) -> tuple[Any, Any, str, str]:
        """A model and an optimizer of step 3, its hash, and a store that is at step 6."""
        model, name = network(dtype), f"ahead-{dtype}"
        optimizer = self.lion(model, name)
        self.train(optimizer, model)
        saved = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
        expected = optimizer.hash()
        self.train(optimizer, model)
        optimizer.close()
        return *saved, expected, name

    def test_weights_that_the_store_replaced_come_back_with_their_state(self) -> None:
        for dtype in [torch.float32, torch.bfloat16, torch.float16]:
            with self.subTest(dtype=dtype):
                weights, state, expected, name = self.saved_and_left_behind(dtype)
                model = network(dtype, seed=5)
                model.load_state_dict(weights)
                optimizer = self.lion(model, name)
                self.assertEqual(optimizer.steps, 6)
                optimizer.load_state_dict(optimizer.state_dict())
                optimizer.load_state_dict(state)
                self.assertEqual((optimizer.steps, optimizer.hash()), (3, expected))
                self.assertEqual(differing(model.state_dict().values(), weights.values()), 0)

    def test_no_other_weights_come_back_with_a_state(self) -> None:
        for case in ["other weights before", "written since", "stepped since"]:
            with self.subTest(case=case):
                self.folder = self.enterContext(tempfile.TemporaryDirectory())
                weights, state, _, name = self.saved_and_left_behind(torch.bfloat16)
                model = network(torch.bfloat16, seed=5)
                if case != "other weights before":
                    model.load_state_dict(weights)
                optimizer = self.lion(model, name)
                if case == "written since":
                    with torch.no_grad():
                        for parameter in model.parameters():
                            parameter.add_(0.5)
                if case == "stepped since":
                    self.train(optimizer, model, 1)
                kept = copy.deepcopy(model.state_dict())
                optimizer.load_state_dict(state)
                self.assertEqual(optimizer.steps, 3)
                self.assertEqual(differing(model.state_dict().values(), kept.values()), 0)

    def test_a_state_dict_that_only_refers_to_the_store_leaves_it_alone(self) -> None:
        model = nn.Sequential(network(torch.bfloat16), nn.BatchNorm1d(3))
        optimizer = Lion(model, f"{self.folder}/store", full_state_dict=False)
        self.addCleanup(optimizer.close)
        self.train(optimizer, model[0])
        before, older = optimizer.hash(), optimizer.state_dict()
        self.train(optimizer, model[0], 1)
        after = optimizer.hash()
        with torch.no_grad():
            model[0].narrow.weight.zero_()
            model[1].running_mean.fill_(7)
        optimizer.state_dict()
        with self.assertRaisesRegex(lionstore.MismatchError, "have not reached the store"):
            optimizer.load_state_dict(older)
        self.assertNotEqual(before, after)
        self.assertEqual(optimizer.hash(), after)

    def test_a_model_stands_for_its_parameters_and_names(self) -> None:
        model = nn.Sequential(network(torch.float32), nn.BatchNorm1d(3))
        optimizer = Lion(model, f"{self.folder}/model")
        self.assertEqual(optimizer.param_groups[0]["param_names"], [n for n, _ in model.named_parameters()])
        model[1].running_mean.fill_(7)
        optimizer.close()
        again = nn.Sequential(network(torch.float32), nn.BatchNorm1d(3))
        Lion(again, f"{self.folder}/model").close()
        self.assertEqual(again[1].running_mean.tolist(), [7, 7, 7])

    def test_a_resumed_run_equals_one_that_was_not_interrupted(self) -> None:
        def run_to(last: int, name: str) -> str:
            model = nn.Sequential(network(torch.float32), nn.Dropout(0.2))
            optimizer = Lion(model.named_parameters(), store=f"{self.folder}/{name}", lr=1e-3)
            schedule = CosineAnnealingLR(optimizer, T_max=20)
            torch.manual_seed(3)
            random.seed(3)
            start = optimizer.resume(schedule).get("next", 0)
            for number in range(start, last):
                batch = batches(1, seed=random.randrange(1 << 30))[0]
                optimizer.zero_grad()
                loss_of(model, batch).backward()
                optimizer.extra["next"] = number + 1
                optimizer.step()
                schedule.step()
            result = optimizer.hash()
            optimizer.close()
            return result

        expected = run_to(12, "whole")
        for last in [1, 5, 6, 12]:
            found = run_to(last, "parts")
        self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
