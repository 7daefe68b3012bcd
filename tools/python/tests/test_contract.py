"""The optimizer's own contract: state, state dicts, DCP, hooks and closures."""

from __future__ import annotations

import collections
import copy
import io
import types
import unittest
from typing import Any, Callable

import numpy
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.optim.lr_scheduler import ExponentialLR

import lionstore
from lionstore import Lion
from cases import DTYPES, WAYS, LionTest, copies, deep, iterate, seeded, some, square
from reference import differing


class StateTest(LionTest):
    def test_zero_gradients_at_rate_zero_change_no_weight_and_there_is_a_state(self) -> None:
        # pytorch#164929
        for dtype in DTYPES:
            for way in WAYS:
                model = seeded(deep).to(dtype)
                optimizer = self.lion_of(model, gradients=way, lr=0.0, weight_decay=0.5)
                before = copies(model)
                for parameter in model.parameters():
                    self.assertIn("exp_avg", optimizer.state[parameter])
                    parameter.grad = torch.zeros_like(parameter)
                optimizer.step()
                self.assertEqual((differing(before, model.parameters()), optimizer.steps), (0, 1))

    def test_momenta_are_shown_and_printed_and_a_change_by_hand_is_refused(self) -> None:
        # relora#10, pytorch#37410
        def replace(optimizer: Any, parameter: Any) -> None:
            optimizer.state[parameter] = {"exp_avg": torch.zeros_like(parameter)}

        def delete(optimizer: Any, parameter: Any) -> None:
            del optimizer.state[parameter]

        ways: list[Callable[[Any, Any], Any]] = [
            replace,
            delete,
            lambda optimizer, parameter: optimizer.state[parameter]["exp_avg"].zero_(),
            lambda optimizer, parameter: optimizer.state[parameter]["exp_avg"].mul_(0.5),
            lambda optimizer, parameter: optimizer.state[parameter]["exp_avg"][0].zero_(),
            lambda optimizer, parameter: torch._foreach_mul_([optimizer.state[parameter]["exp_avg"]], 0.5),
            lambda optimizer, parameter: optimizer.state.clear(),
            lambda optimizer, parameter: optimizer.state.pop(parameter),
        ]
        for dtype in DTYPES:
            model = seeded(square).to(dtype)
            optimizer = self.lion_of(model)
            iterate(model, optimizer)
            for way in ways:
                with self.refuses("load_state_dict", by=lionstore.StateError):
                    way(optimizer, model.weight)
            for values in optimizer.state[model.weight].values():
                self.assertEqual(repr(values), repr(values.clone()))
                self.assertEqual(values.tolist(), values.clone().tolist())
                numpy.testing.assert_equal(numpy.asarray(values.float()), values.float().clone().numpy())
            self.assertIn("exp_avg", f"{optimizer.state[model.weight]}")

    def test_entries_that_are_changed_by_hand_are_refused(self) -> None:
        def set_value(entry: Any) -> None:
            entry["exp_avg"] = torch.zeros(4, 4)

        def delete(entry: Any) -> None:
            del entry["exp_avg"]

        changes: list[Callable[[Any], Any]] = [
            set_value,
            delete,
            lambda entry: entry.clear(),
            lambda entry: entry.pop("exp_avg"),
            lambda entry: entry.update(exp_avg=torch.zeros(4, 4)),
            lambda entry: entry.setdefault("mine", torch.zeros(4, 4)),
            lambda entry: entry.popitem(),
        ]
        model = seeded(square)
        optimizer = self.lion_of(model)
        iterate(model, optimizer)
        for change in changes:
            with self.refuses("load_state_dict", by=lionstore.StateError):
                change(optimizer.state[model.weight])
        with self.refuses("load_state_dict", by=lionstore.StateError):
            optimizer.state = collections.defaultdict(dict)  # type: ignore[assignment]
        state = optimizer.state_dict(full=False)
        state["state"][0]["exp_avg"] = torch.ones(4, 4)
        state["state"][1]["exp_avg"].fill_(2)
        optimizer.load_state_dict(state)
        self.assertEqual(optimizer.momentum(model.weight).tolist(), [[1.0] * 4] * 4)
        self.assertEqual(optimizer.momentum(model.bias).tolist(), [2.0] * 4)

    def test_masters_are_those_of_the_model_as_it_is(self) -> None:
        model = seeded(square).bfloat16()
        optimizer = self.lion_of(model, lr=3e-5)
        for _ in range(3):
            iterate(model, optimizer)
        masters = optimizer.state[model.weight]["master"].clone()
        model.weight.data[0] = 0
        masters[0] = 0
        self.assertTrue(torch.equal(optimizer.state[model.weight]["master"], masters))


class StateDictTest(LionTest):
    def test_checkpoints_of_torch_neither_step_nor_lose_anything(self) -> None:
        for way in WAYS:
            for options in ({}, {"full_state_dict": True}, {"flatten_optimizer_state_dict": True}):
                with self.subTest(gradients=way, options=options):
                    self.require_kept_by_dcp(way, StateDictOptions(**options))

    def require_kept_by_dcp(self, way: str, options: StateDictOptions) -> None:
        model = seeded(deep)
        model[0].bias.requires_grad_(False)
        optimizer = self.lion_of(model, gradients=way, weight_decay=0.5)
        fresh = optimizer.hash()
        get_optimizer_state_dict(model, optimizer, options=options)
        self.assertEqual((optimizer.steps, optimizer.hash()), (0, fresh))
        for number in range(2):
            iterate(model, optimizer, some(number, 3, 6))
        optimizer.zero_grad()
        expected = optimizer.hash()
        state = copy.deepcopy(get_optimizer_state_dict(model, optimizer, options=options))
        self.assertEqual((optimizer.steps, optimizer.hash()), (2, expected))
        set_optimizer_state_dict(model, optimizer, state, options=options)
        self.assertEqual((optimizer.steps, optimizer.hash()), (2, expected))
        iterate(model, optimizer, some(2, 3, 6))
        other = seeded(deep, 5)
        other[0].bias.requires_grad_(False)
        second = self.lion_of(other, gradients=way, lr=0.25)
        other.load_state_dict(model.state_dict())
        set_optimizer_state_dict(other, second, state, options=options)
        self.assertEqual(second.param_groups[0]["lr"], 1e-3)
        for name in ("0.weight", "2.bias"):
            pair = [m.get_parameter(name) for m in (model, other)]
            found = second.momentum(pair[1])
            self.assertTrue(torch.equal(found, self.momentum_in(state, name).float()), name)

    def momentum_in(self, state: Any, name: str) -> Any:
        if f"state.{name}.exp_avg" in state:
            return state[f"state.{name}.exp_avg"]
        return state["state"][name]["exp_avg"]

    def test_hooks_see_and_change_whole_dicts(self) -> None:
        # pytorch#105953
        model = seeded(deep)
        optimizer = self.lion_of(model)
        iterate(model, optimizer, some(1, 3, 6))
        seen: dict[str, Any] = {}

        def before(_: Any, state: Any) -> Any:
            seen.update(keys=[*state], states=len(state["state"]))
            return {**state, "param_groups": [{**g, "lr": 0.125} for g in state["param_groups"]]}

        optimizer.register_state_dict_post_hook(lambda _, state: {**state, "mine": 7})
        optimizer.register_load_state_dict_pre_hook(before)
        optimizer.register_load_state_dict_post_hook(lambda o: seen.update(lr=o.param_groups[0]["lr"]))
        state, expected = optimizer.state_dict(), optimizer.hash()
        self.assertEqual(state["param_groups"][0]["param_names"], ["0.weight", "0.bias", "2.weight", "2.bias"])
        optimizer.load_state_dict(state)
        self.assertIn("mine", seen["keys"])
        self.assertEqual((seen["states"], seen["lr"]), (4, 0.125))
        self.assertEqual((optimizer.hash(), optimizer.param_groups[0]["lr"]), (expected, 0.125))

    def test_exact_masters_go_through_a_file_into_another_store(self) -> None:
        # fairscale#50, pytorch#43706
        for dtype in DTYPES:
            model, other = seeded(deep).to(dtype), seeded(deep, 5).to(dtype)
            optimizer, second = self.lion_of(model, lr=3e-5), self.lion_of(other)
            for _ in range(5):
                iterate(model, optimizer, some(0, 3, 6))
            file = io.BytesIO(self.saved([model.state_dict(), optimizer.state_dict(full=True)]))
            weights, state = torch.load(file, weights_only=True)
            other.load_state_dict(weights)
            second.load_state_dict(state)
            self.assertEqual(optimizer.hash(), second.hash())
            for each, its in ((model, optimizer), (other, second)):
                iterate(each, its, some(1, 3, 6))
            self.assertEqual(optimizer.hash(), second.hash())

    def saved(self, what: Any) -> bytes:
        file = io.BytesIO()
        torch.save(what, file)
        return file.getvalue()

    def test_a_state_of_other_groups_or_shapes_is_refused_before_anything_changes(self) -> None:
        # sd-scripts#378, ray#28323
        others: list[nn.Module] = [
            nn.Linear(6, 4),
            nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)),
            nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4), nn.Linear(4, 4)),
        ]
        model = seeded(deep)
        optimizer = self.lion_of(model)
        iterate(model, optimizer, some(0, 3, 6))
        expected = optimizer.hash()
        for other in others:
            foreign = self.lion_of(other, lr=0.5)
            iterate(other, foreign, some(0, 3, 6))
            with self.assertRaises(ValueError):
                optimizer.load_state_dict(foreign.state_dict())
            self.assertEqual((optimizer.hash(), optimizer.param_groups[0]["lr"]), (expected, 1e-3))


class CalledTest(LionTest):
    def test_closures_are_called_once_with_gradients_on(self) -> None:
        # SOAP#7, Lightning#2785
        def close_over(model: Any, optimizer: Any) -> None:
            for number in range(4):
                calls = []

                def closure() -> torch.Tensor:
                    calls.append(torch.is_grad_enabled())
                    optimizer.zero_grad()
                    loss: torch.Tensor = model(some(number, 3, 6)).sum()
                    loss.backward()
                    return loss

                with torch.set_grad_enabled(number % 2 == 0):
                    self.assertTrue(optimizer.step(closure=closure).requires_grad)
                self.assertEqual(calls, [True])

        self.assert_as_plain(close_over, deep, lr=0.01)

    def test_hooks_of_steps_change_gradients_and_see_new_weights(self) -> None:
        # torchtitan#851
        def hook(model: Any, optimizer: Any) -> None:
            seen: list[torch.Tensor] = []

            def negate(*_: Any) -> None:
                for parameter in model.parameters():
                    parameter.grad.neg_()

            hooks = [
                optimizer.register_step_pre_hook(negate),
                optimizer.register_step_post_hook(lambda *_: seen.extend(copies(model))),
            ]
            iterate(model, optimizer, some(1, 3, 6))
            self.assertEqual(differing(seen, model.parameters()), 0)
            for each in hooks:
                each.remove()

        self.assert_as_plain(hook, deep, refused={"stream": 'gradients="plane"'}, lr=0.01)

    def test_step_may_be_replaced(self) -> None:
        # pytorch#89176
        def patch(model: Any, optimizer: Any) -> None:
            real, calls = optimizer.step, []

            def step(_: Any, *arguments: Any) -> Any:
                calls.append(1)
                return real(*arguments)

            optimizer.step = types.MethodType(step, optimizer)
            scheduler = ExponentialLR(optimizer, 0.5)
            for number in range(3):
                iterate(model, optimizer, some(number, 3, 6))
                scheduler.step()
            self.assertEqual(len(calls), 3)
            optimizer.step = real

        self.assert_as_plain(patch, deep, lr=0.01)

    def test_a_group_may_be_empty(self) -> None:
        # OpenRLHF#1253
        model: Any = seeded(deep)
        first, *rest = model.named_parameters()
        groups = [{"params": [first], "weight_decay": 0.1}, {"params": []}, {"params": rest, "lr": 0.1}]
        optimizer = Lion(groups, f"{self.folder}/store", model=model)
        self.addCleanup(optimizer.close)
        iterate(model, optimizer, some(1, 3, 6))
        self.assertEqual((optimizer.steps, len(optimizer.state)), (1, 4))


if __name__ == "__main__":
    unittest.main()
