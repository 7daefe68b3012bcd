"""State dicts, and runs that go on."""

from __future__ import annotations

import copy
import random
import unittest

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

import lionstore
from lionstore import Lion
from cases import LionTest
from reference import batches, differing, loss_of, network


class StateTest(LionTest):
    def test_a_state_dict_refers_to_the_store(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        optimizer.param_groups[0]["lr"] = 0.25
        state = optimizer.state_dict()
        self.assertEqual(state["state"], {})
        optimizer.param_groups[0]["lr"] = 0.5
        optimizer.load_state_dict(state)
        self.assertEqual(optimizer.param_groups[0]["lr"], 0.25)
        self.train(optimizer, model, 1)
        with self.assertRaisesRegex(lionstore.MismatchError, "is of step 0"):
            optimizer.load_state_dict(state)

    def test_weights_that_come_with_a_refused_state_dict_do_not_reach_the_store(self) -> None:
        for dtype in [torch.float32, torch.bfloat16]:
            with self.subTest(dtype=dtype):
                model = network(dtype)
                optimizer = Lion(
                    model.parameters(), f"{self.folder}/{dtype}", lr=1e-3, model=model
                )
                self.addCleanup(optimizer.close)
                self.train(optimizer, model, 1)
                checkpoint = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
                self.train(optimizer, model, 1)
                expected = [p.detach().clone() for p in model.parameters()]
                expected_hash = optimizer.hash()
                model.load_state_dict(checkpoint[0])
                self.assertNotEqual(differing(expected, model.parameters()), 0)
                # What a process that is killed now leaves behind.
                self.assertEqual(optimizer.hash(), expected_hash)
                with self.assertRaisesRegex(lionstore.MismatchError, "have not reached the store"):
                    optimizer.load_state_dict(checkpoint[1])
                self.assertEqual(differing(expected, model.parameters()), 0)
                optimizer.take_over_changes()
                self.assertEqual(optimizer.hash(), expected_hash)

    def test_weights_that_were_loaded_before_a_step_stay(self) -> None:
        model = network(torch.bfloat16)
        optimizer = Lion(model.parameters(), f"{self.folder}/store", lr=1e-9, model=model)
        self.addCleanup(optimizer.close)
        state = optimizer.state_dict()
        model.load_state_dict(network(torch.bfloat16, seed=9).state_dict())
        self.train(optimizer, model, 1)
        expected = [p.detach().clone() for p in model.parameters()]
        # With a learning rate this small, a step from there ends there.
        fresh = network(torch.bfloat16, seed=9)
        torch.testing.assert_close(expected, [*fresh.parameters()])
        with self.assertRaises(lionstore.MismatchError):
            optimizer.load_state_dict(state)
        self.assertEqual(differing(expected, model.parameters()), 0)
        # They are what was loaded, exactly, and not what was left of the masters before.
        other = network(torch.bfloat16, seed=9)
        plain = self.lion(other, "plain", lr=1e-9)
        self.train(plain, other, 1)
        self.assertEqual(optimizer.hash(), plain.hash())
        optimizer.close()
        resumed = network(torch.bfloat16, seed=5)
        self.lion(resumed)
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
        frozen = next(i for i in range(len(state["state"]) + 1) if i not in trained)
        state["state"] = {frozen: {"exp_avg": torch.ones(24)}}
        with self.assertRaisesRegex(lionstore.MismatchError, "frozen is frozen"):
            optimizer.load_state_dict(state)

    def test_another_optimizers_state_is_refused(self) -> None:
        model = network(torch.float32)
        adam = torch.optim.AdamW(model.parameters())
        loss_of(model, batches(1)[0]).backward()
        adam.step()
        with self.assertRaisesRegex(lionstore.MismatchError, "exp_avg_sq"):
            self.lion(model).load_state_dict(adam.state_dict())

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
