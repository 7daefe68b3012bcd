"""What PyTorch's generic tests of optimizers show of state dicts; see test_torch_suite."""

from __future__ import annotations

import copy
import io
import unittest
from typing import Any, Callable

import torch

import lionstore
from torch_suite import LION, NAMES, Group, Mixed, SuiteTest, on_each, twins


class StateDictTest(SuiteTest):
    @on_each(flags=True)
    def test_another_optimizer_goes_on_from_a_state_dict(self, way: str, kwargs: Group) -> None:
        model, optimizer = self.problem(way, kwargs)
        self.steps(model, optimizer)
        other, second = self.problem(way, kwargs)
        other.load_state_dict(model.state_dict())
        given = optimizer.state_dict()
        kept = copy.deepcopy(given)
        second.load_state_dict(given)
        self.require_same(given, kept)
        for _ in range(3):
            self.steps(model, optimizer, 1)
            self.steps(other, second, 1)
            if "rounding" not in kwargs:
                self.require_equal(model, other)
        if "rounding" not in kwargs:
            for part in ["state", "param_groups"]:
                self.require_same(optimizer.state_dict()[part], second.state_dict()[part])

    @on_each()
    def test_it_is_loaded_with_weights_only(self, way: str, kwargs: Group) -> None:
        model, optimizer = self.problem(way, kwargs)
        self.steps(model, optimizer)
        state, file = optimizer.state_dict(), io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=True)
        self.require_same(loaded, state)
        self.assertEqual([*state["state"]], [0, 1, 2])
        for number, parameter in enumerate(model.parameters()):
            self.assertEqual(state["state"][number]["exp_avg"].shape, parameter.shape)
        optimizer.load_state_dict(loaded)
        self.steps(model, optimizer, 1)

    @on_each()
    def test_what_older_state_dicts_lack_is_filled_in(self, way: str, kwargs: Group) -> None:
        model, optimizer = self.problem(way, kwargs)
        self.steps(model, optimizer)
        before, old = optimizer.hash(), copy.deepcopy(optimizer.state_dict())
        for group in old["param_groups"]:
            for name in [*LION.not_og_supported_flags, "fused", "param_names"]:
                group.pop(name, None)
        optimizer.load_state_dict(old)
        self.assertEqual(optimizer.hash(), before)
        group = optimizer.param_groups[0]
        self.assertEqual(group["param_names"], NAMES)
        # PyTorch's own minimize then, whatever they were made with.
        self.assertIn(group["maximize"], (False, kwargs.get("maximize")))
        del group["maximize"], group["weight_decay"]
        optimizer.__setstate__({"state": optimizer.state, "param_groups": optimizer.param_groups})
        self.assertIn(group["maximize"], (False, kwargs.get("maximize")))
        self.assertEqual(group["weight_decay"], kwargs.get("weight_decay", 0))
        self.steps(model, optimizer, 1)
        self.assertEqual(optimizer.steps, 4)

    @on_each()
    def test_a_state_dict_leaves_the_model_its_weights(self, way: str, kwargs: Group) -> None:
        model, optimizer = self.problem(way, kwargs)
        self.steps(model, optimizer)
        fresh, second = self.problem(way, kwargs)
        before = copy.deepcopy(fresh)
        second.load_state_dict(optimizer.state_dict())
        self.require_equal(fresh, before)
        for one, other in zip(model.parameters(), fresh.parameters()):
            self.require_same(optimizer.state[one]["exp_avg"], second.state[other]["exp_avg"])

    @on_each()
    def test_a_state_dict_that_does_not_fit_changes_nothing(self, way: str, kwargs: Group) -> None:
        model, optimizer = self.problem(way, kwargs)
        self.steps(model, optimizer)
        before = optimizer.hash()
        changes: list[Callable[[Any], Any]] = [
            lambda d: d["param_groups"].append(d["param_groups"][0]),
            lambda d: d["param_groups"][0]["params"].pop(),
            lambda d: d["state"][0].update(exp_avg=torch.ones(3)),
            lambda d: d["state"][1].update(exp_avg=torch.full((10,), torch.nan)),
            lambda d: d["state"][0].update(exp_avg_sq=torch.ones(10, 5)),
        ]
        for change in changes:
            state = copy.deepcopy(optimizer.state_dict())
            change(state)
            with self.assertRaises(ValueError):
                optimizer.load_state_dict(state)
            self.assertEqual(optimizer.hash(), before)

    @on_each(flags=True)
    def test_hooks_of_state_dicts_see_all_of_it(self, way: str, kwargs: Group) -> None:
        model, optimizer = self.problem(way, kwargs)
        optimizer.register_state_dict_pre_hook(lambda o: o.param_groups[0].update(note="before"))
        optimizer.register_state_dict_post_hook(lambda o, d: {**d, "after": [*d["state"]]})
        state = optimizer.state_dict()
        self.assertEqual((state["param_groups"][0]["note"], state["after"]), ("before", [0, 1, 2]))
        seen = list[Any]()

        def replacing(_: Any, given: Group) -> Group:
            seen.append([*given["state"]])
            return {**given, "param_groups": [{**given["param_groups"][0], "lr": 0.003}]}

        optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
        optimizer.register_load_state_dict_pre_hook(replacing)
        optimizer.load_state_dict(state)
        self.assertEqual(seen, [[0, 1, 2], 0.003])
        first = optimizer.register_load_state_dict_pre_hook(lambda o, d: seen.clear(), prepend=True)
        optimizer.load_state_dict(state)
        first.remove()
        self.assertEqual(seen, [[0, 1, 2], 0.003])

    @on_each()
    def test_what_hooks_add_to_the_state_is_kept_or_refused(self, way: str, kwargs: Group) -> None:
        optimizer = self.problem(way, kwargs)[1]
        try:
            optimizer.state["note"] = 1  # type: ignore[index]
        except (TypeError, lionstore.LionstoreError):
            return
        self.assertEqual(optimizer.state_dict()["state"]["note"], 1)

    @on_each()
    def test_the_state_is_never_empty_and_a_copy(self, way: str, kwargs: Group) -> None:
        model = twins(Mixed)[0]
        frozen = torch.ones(2)
        params = [*model.named_parameters(), ("frozen", frozen)]
        optimizer = self.made(params, way, **kwargs)
        for _ in range(2):
            self.assertEqual(len(optimizer.state), 4)
            self.assertEqual(len(optimizer.state[frozen]), 0)
            for parameter in model.parameters():
                state = optimizer.state[parameter]
                is_exact = parameter.dtype is torch.float32
                self.assertEqual([*state], ["exp_avg"] if is_exact else ["exp_avg", "master"])
                kept = state["exp_avg"].clone()
                changes: list[Callable[[torch.Tensor], Any]] = [
                    lambda momentum: momentum.fill_(7),
                    lambda momentum: momentum.view(-1)[:1].zero_(),
                    lambda momentum: momentum.data.mul_(2),
                ]
                for change in changes:
                    with self.assertRaisesRegex(lionstore.StateError, "load_state_dict replaces it"):
                        change(state["exp_avg"])
                self.require_same(optimizer.state[parameter]["exp_avg"].clone(), kept)
            self.steps(model, optimizer)


if __name__ == "__main__":
    unittest.main()
