"""Groups with rules of their own, beside optimizers of these rules that have the group to themselves."""

from __future__ import annotations

import io
import tempfile
import unittest
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

import lionstore
from cases import LionTest, deep, run, seeded, some
from reference import bits, differing

OWN = """
    rule mine
    hyperparameters
      learning_rate lr = 0.1 >= 0
      weight_decay λ = 0 in {0}
      kept k = 0.5 in [0, 1)
    state
      velocity u f32 velocity
    step
      u' = fma(u, k, g)
      θ' = fma(-lr, u', θ)
"""
KILLED = """
    import os, signal
    import torch
    import lionstore
    from cases import deep, seeded, some
    from test_group_rules import halves
    model = seeded(deep)
    matrices, biases = halves(model)
    groups = [{"params": matrices}, {"params": biases, "rule": lionstore.AdamW, "lr": 0.01}]
    optimizer = lionstore.Lion(groups, os.environ["STORE"], 1e-3, rounding="stochastic")
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    for number in range(optimizer.resume(schedule).get("next", 0), 40):
        optimizer.zero_grad()
        model(some(number, 5, 6)).square().mean().backward()
        optimizer.extra["next"] = number + 1
        optimizer.step()
        if str(number) == os.environ.get("KILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        schedule.step()
    print(optimizer.hash())
"""


def halves(model: nn.Module) -> tuple[list[Any], list[Any]]:
    """The matrices by name, and the rest."""
    named = [*model.named_parameters()]
    return [each for each in named if each[1].dim() > 1], [each for each in named if each[1].dim() < 2]


def train(model: nn.Module, optimizers: list[Any], count: int = 5, seed: int = 0) -> None:
    dtype = next(model.parameters()).dtype
    for number in range(count):
        for optimizer in optimizers:
            optimizer.zero_grad()
        model(some(seed + number, 5, 6).to(dtype)).float().square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()


class GroupCase(LionTest):
    """Makes optimizers, and closes them."""

    def made(self, cls: Any, params: Any, store: str = "store", **options: Any) -> Any:
        optimizer = cls(params, store=f"{self.folder}/{store}", **options)
        self.addCleanup(optimizer.close)
        return optimizer

    def grouped(self, model: nn.Module, store: str = "store", rule: Any = "adamw", **values: Any) -> Any:
        """Matrices by Lion, the rest by another rule."""
        matrices, biases = halves(model)
        groups = [{"params": matrices}, {"params": biases, "rule": rule, **values}]
        return self.made(lionstore.Lion, groups, store, lr=1e-3)

    def mine(self) -> str:
        path = Path(self.folder, "mine.rule")
        path.write_text(OWN, encoding="utf-8")
        return str(path)

    def require_equal(self, model: nn.Module, optimizer: Any, twin: nn.Module, others: list[Any]) -> None:
        self.assertEqual(differing(model.parameters(), twin.parameters()), 0)
        for parameter, its in zip(model.parameters(), twin.parameters()):
            other = next(each for each in others if its in each.state)
            found, expected = optimizer.state[parameter], other.state[its]
            self.assertEqual([*found], [*expected])
            for name, value in expected.items():
                self.assertEqual(found[name].dtype, value.dtype)
                self.assertTrue(torch.equal(bits(found[name].plain), bits(value)), name)


class GroupRulesTest(GroupCase):
    def test_each_group_takes_the_steps_of_its_rule_in_every_bit(self) -> None:
        cases: list[tuple[Any, Any, dict[str, Any]]] = [
            ("adamw", lionstore.AdamW, {}),
            ("adamw", lionstore.AdamW, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.2}),
            (lionstore.AdamW, lionstore.AdamW, {"lr": 0.02}),
            (lionstore.SGD, lionstore.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
            (lionstore.SGD, lionstore.SGD, {}),
            ("adamax", lionstore.Adamax, {"eps": 1e-6}),
            ("nadam", lionstore.NAdam, {"momentum_decay": 0.01}),
            ("rprop", lionstore.Rprop, {"etas": (0.3, 1.5)}),
            ("signum", lionstore.Signum, {"momentum": 0.5}),
            ("lion", lionstore.Lion, {"betas": (0.5, 0.6)}),
        ]
        ways = ["step", "plane", "stream"]
        for number, (rule, alone, values) in enumerate(cases):
            for dtype in (torch.float32, torch.bfloat16):
                way = ways[number % 3]
                with self.subTest(rule=rule, values=values, dtype=dtype, gradients=way):
                    models = [seeded(deep).to(dtype) for _ in range(2)]
                    matrices, biases = halves(models[0])
                    groups = [{"params": matrices}, {"params": biases, "rule": rule, **values}]
                    store = f"{number}-{dtype}"
                    ours = self.made(lionstore.Lion, groups, store, gradients=way, weight_decay=0.1)
                    matrices, biases = halves(models[1])
                    others = [
                        self.made(lionstore.Lion, matrices, f"{store}-lion", weight_decay=0.1),
                        self.made(alone, biases, f"{store}-other", **values),
                    ]
                    train(models[0], [ours])
                    train(models[1], others)
                    self.require_equal(models[0], ours, models[1], others)
                    for each in (ours, *others):
                        each.close()

    def test_names_choose_variants_and_types(self) -> None:
        for rule, alone, values in (
            ("sgd-momentum", lionstore.SGD, {"momentum": 0.9}),
            ("rmsprop-momentum", lionstore.RMSprop, {"momentum": 0.9}),
            ("rmsprop-centered", lionstore.RMSprop, {"centered": True}),
            ("adamw-bf16", lionstore.AdamW, {"moments": torch.bfloat16}),
            ("lion-f32", lionstore.Lion, {"moments": torch.float32}),
        ):
            with self.subTest(rule=rule):
                models = [seeded(deep) for _ in range(2)]
                ours = self.grouped(models[0], f"{rule}", rule)
                matrices, biases = halves(models[1])
                others = [
                    self.made(lionstore.Lion, matrices, f"{rule}-lion", lr=1e-3),
                    self.made(alone, biases, f"{rule}-other", **values),
                ]
                train(models[0], [ours])
                train(models[1], others)
                self.assertEqual(ours.param_groups[1]["rule"], rule)
                self.require_equal(models[0], ours, models[1], others)

    def test_a_group_may_have_a_rule_from_a_file(self) -> None:
        for rule in (self.mine(), Path(self.mine())):
            with self.subTest(rule=rule):
                models = [seeded(deep) for _ in range(2)]
                ours = self.grouped(models[0], f"own{type(rule)}", rule, kept=0.7)
                matrices, biases = halves(models[1])
                others = [
                    self.made(lionstore.Lion, matrices, f"lion{type(rule)}", lr=1e-3),
                    self.made(lionstore.Rule, biases, f"alone{type(rule)}", rule=rule, kept=0.7),
                ]
                train(models[0], [ours])
                train(models[1], others)
                self.require_equal(models[0], ours, models[1], others)
                self.assertEqual(ours.param_groups[1]["rule"], "mine")
                self.assertEqual([*ours.state[models[0][0].bias]], ["velocity"])

    def test_what_a_group_does_not_say_is_its_rules_default_and_not_the_constructors(self) -> None:
        model = seeded(deep)
        matrices, biases = halves(model)
        groups = [{"params": matrices}, {"params": biases, "rule": "adamw", "eps": 1e-5, "note": "kept"}]
        optimizer = self.made(lionstore.Lion, groups, lr=3e-4, betas=(0.5, 0.6), weight_decay=3.0, maximize=True)
        first, second = optimizer.param_groups
        self.assertEqual((first["lr"], first["betas"], first["weight_decay"]), (3e-4, (0.5, 0.6), 3.0))
        self.assertNotIn("rule", first)
        self.assertNotIn("eps", first)
        self.assertEqual((second["lr"], second["betas"], second["weight_decay"]), (1e-3, (0.9, 0.999), 0.01))
        self.assertEqual((second["rule"], second["eps"], second["note"]), ("adamw", 1e-5, "kept"))
        self.assertTrue(second["maximize"], "what is maximized is the loss")
        other = self.made(
            lionstore.AdamW, [{"params": halves(deep())[0], "rule": lionstore.Lion}], "other", eps=1e-3
        )
        self.assertNotIn("eps", other.param_groups[0])
        self.assertNotIn("decoupled_weight_decay", other.param_groups[0])

    def test_the_first_group_may_have_a_rule_of_its_own_and_all_may(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        matrices, biases = halves(models[0])
        groups = [
            {"params": matrices, "rule": lionstore.SGD, "momentum": 0.9, "lr": 0.1},
            {"params": biases[:1], "rule": "adamw"},
            {"params": biases[1:], "rule": lionstore.SGD, "lr": 0.2},
        ]
        ours = self.made(lionstore.Lion, groups)
        matrices, biases = halves(models[1])
        others = [
            self.made(lionstore.SGD, matrices, "a", momentum=0.9, lr=0.1),
            self.made(lionstore.AdamW, biases[:1], "b"),
            self.made(lionstore.SGD, biases[1:], "c", lr=0.2),
        ]
        train(models[0], [ours])
        train(models[1], others)
        self.require_equal(models[0], ours, models[1], others)

    def test_a_class_with_two_rules_has_one_for_groups_that_name_it(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        matrices, biases = halves(models[0])
        groups = [{"params": matrices, "rule": lionstore.SGD, "momentum": 0.9}, {"params": biases}]
        ours = self.made(lionstore.SGD, groups, lr=0.1)
        matrices, biases = halves(models[1])
        others = [
            self.made(lionstore.SGD, matrices, "with", momentum=0.9),
            self.made(lionstore.SGD, biases, "without", lr=0.1),
        ]
        train(models[0], [ours])
        train(models[1], others)
        self.require_equal(models[0], ours, models[1], others)

    def test_clipping_is_to_the_norm_of_all_groups(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        ours = self.grouped(models[0], rule=lionstore.SGD)
        ours.clip_norm = 0.01
        train(models[0], [ours], 1)
        models[1](some(0, 5, 6)).square().mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(models[1].parameters(), 0.01)
        self.assertAlmostEqual(ours.gradient_norm, float(norm), places=5)
        self.assertLess(ours.clip_coefficient, 0.1)

    def test_schedulers_move_the_rate_of_each_group(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        ours = self.grouped(models[0], lr=0.02)
        matrices, biases = halves(models[1])
        others = [
            self.made(lionstore.Lion, matrices, "lion", lr=1e-3),
            torch.optim.AdamW([p for _, p in biases], 0.02, foreach=False),
        ]
        schedules = [LambdaLR(each, lambda step: 1 / (1 + step)) for each in (ours, *others)]
        for number in range(4):
            train(models[0], [ours], 1, number)
            train(models[1], others, 1, number)
            for schedule in schedules:
                schedule.step()
        self.assertEqual(ours.param_groups[1]["lr"], 0.02 / 5)
        self.assertEqual(differing(models[0].parameters(), models[1].parameters()), 0)
        cycle = OneCycleLR(ours, max_lr=[0.1, 0.2], total_steps=9)
        train(models[0], [ours], 1)
        cycle.step()
        self.assertLess(ours.param_groups[1]["betas"][0], 0.95)


    def test_momentum_is_that_of_the_groups_rule(self) -> None:
        model = seeded(deep)
        ours = self.grouped(model)
        train(model, [ours], 1)
        bias = model[0].bias
        self.assertTrue(torch.equal(ours.momentum(bias), ours.state[bias]["exp_avg"].plain))
        other = seeded(deep)
        of_sgd = self.grouped(other, "sgd", lionstore.SGD)
        with self.refuses("0.bias has no momentum exp_avg: its group's rule is sgd"):
            of_sgd.momentum(other[0].bias)

    def test_distributed_checkpoints_carry_the_rules(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        both = [self.grouped(model, f"dcp{number}") for number, model in enumerate(models)]
        train(models[0], both[:1])
        saved = get_optimizer_state_dict(models[0], both[0])
        models[1].load_state_dict(models[0].state_dict())
        set_optimizer_state_dict(models[1], both[1], saved)
        self.assertEqual(both[1].param_groups[1]["rule"], "adamw")
        for left, right in zip(models[0].parameters(), models[1].parameters()):
            for name, value in both[0].state[left].items():
                self.assertTrue(torch.equal(value.plain, both[1].state[right][name].plain), name)


class GoingOnTest(GroupCase):
    def test_closed_runs_go_on_and_other_rules_are_refused(self) -> None:
        whole, model = (seeded(deep) for _ in range(2))
        train(whole, [self.grouped(whole, "whole")], 6)
        first = self.grouped(model)
        train(model, [first], 3)
        first.close()
        again = self.grouped(model, rule=lionstore.AdamW)
        again.resume()
        self.assertEqual(again.param_groups[1]["rule"], "adamw")
        train(model, [again], 3, 3)
        self.assertEqual(differing(model.parameters(), whole.parameters()), 0)
        before = again.hash()
        again.close()
        for rule in ("adam", "adamw-bf16", "lion"):
            with self.refuses(
                f"0.bias is stepped by rule adamw in the store and {rule} in the optimizer",
                "A group keeps the rule that its store was made with",
                by=lionstore.MismatchError,
            ):
                self.grouped(model, rule=rule)
        with self.refuses("is stepped by rule adamw in the store and lion", by=lionstore.MismatchError):
            matrices, biases = halves(model)
            self.made(lionstore.Lion, [{"params": matrices}, {"params": biases}])
        self.assertEqual(self.grouped(model).hash(), before)

    def test_a_killed_run_goes_on_in_the_same_bits(self) -> None:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            whole = run(KILLED, STORE=f"{folder}/whole")
            for step in ("7", "8", "23"):
                with self.assertRaisesRegex(AssertionError, "exit -9"):
                    run(KILLED, STORE=f"{folder}/killed", KILL=step)
            self.assertEqual(run(KILLED, STORE=f"{folder}/killed"), whole)

    def test_a_restored_snapshot_goes_on_as_the_store_that_never_stopped(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        ours = self.grouped(models[0], rule=self.mine())
        train(models[0], [ours], 3)
        snapshot = ours.snapshot(f"{self.folder}/snapshots")
        lionstore.Lion.restore(snapshot, f"{self.folder}/restored")
        again = self.grouped(models[1], "restored", rule=self.mine())
        self.assertEqual(again.hash(), ours.hash())
        train(models[0], [ours], 2, 3)
        train(models[1], [again], 2, 3)
        self.assertEqual(again.hash(), ours.hash())

    def test_a_state_dict_takes_another_store_there(self) -> None:
        for rule in ("adamw", "signum", lionstore.SGD, self.mine()):
            with self.subTest(rule=rule):
                models = [seeded(deep), seeded(deep, 1)]
                ours = self.grouped(models[0], f"from-{len(str(rule))}", rule, lr=0.05)
                train(models[0], [ours], 3)
                file = io.BytesIO()
                torch.save({"model": models[0].state_dict(), "optimizer": ours.state_dict()}, file)
                file.seek(0)
                saved = torch.load(file, weights_only=True)
                other = self.grouped(models[1], f"to-{len(str(rule))}", rule)
                models[1].load_state_dict(saved["model"])
                other.load_state_dict(saved["optimizer"])
                self.assertEqual(other.param_groups[1]["lr"], 0.05)
                self.assertEqual(other.hash(), ours.hash())
                train(models[0], [ours], 2, 3)
                train(models[1], [other], 2, 3)
                self.assertEqual(other.hash(), ours.hash())

    def test_a_state_dict_of_other_rules_is_refused(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        ours = self.grouped(models[0])
        train(models[0], [ours], 1)
        other = self.grouped(models[1], "other", "adam")
        before = other.hash()
        with self.refuses("a group's rule is adamw, expected adam", by=lionstore.MismatchError):
            other.load_state_dict(ours.state_dict())
        saved = ours.state_dict()
        del saved["param_groups"][1]["rule"]
        with self.refuses("a group's rule is its own, expected adamw", by=lionstore.MismatchError):
            ours.load_state_dict(saved)
        self.assertEqual(other.hash(), before)

    def test_a_group_is_added_during_training_with_its_rule(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        matrices, biases = halves(models[0])
        ours = self.made(lionstore.Lion, [{"params": matrices}], lr=1e-3)
        train(models[0], [ours], 2)
        count = len(ours.param_groups)
        with self.refuses("nothing is no hyperparameter|expected one of lion, adamw"):
            ours.add_param_group({"params": biases, "rule": "nothing"})
        with self.refuses("beta1 is 2"):
            ours.add_param_group({"params": biases, "rule": "adamw", "betas": (2, 0.9)})
        with self.assertRaisesRegex(ValueError, "more than one parameter group"):
            ours.add_param_group({"params": matrices, "rule": lionstore.SGD})
        self.assertEqual(len(ours.param_groups), count)
        ours.add_param_group({"params": biases, "rule": "adamw", "name": "biases"})
        twins, others = halves(models[1])
        lion = self.made(lionstore.Lion, twins, "lion", lr=1e-3)
        train(models[1], [lion], 2)
        adamw = torch.optim.AdamW([p for _, p in others], foreach=False)
        train(models[0], [ours], 3, 2)
        for parameter in models[1].parameters():
            parameter.grad = None
        train(models[1], [lion, adamw], 3, 2)
        self.assertEqual(differing(models[0].parameters(), models[1].parameters()), 0)
        ours.close()
        groups = [{"params": matrices}, {"params": biases, "rule": "adamw", "name": "biases"}]
        self.assertEqual(self.made(lionstore.Lion, groups).steps, 5)

    def test_groups_without_names_find_those_that_an_import_calls_by_their_rules(self) -> None:
        model = seeded(deep)
        matrices, biases = halves(model)
        named = [{"params": matrices, "name": "default"}, {"params": biases, "rule": "adamw", "name": "adamw"}]
        self.made(lionstore.Lion, named).close()
        ours = self.grouped(model)
        train(model, [ours], 1)
        self.assertEqual(ours.steps, 1)

    def test_a_store_without_groups_takes_rules_before_its_first_step_alone(self) -> None:
        model = seeded(deep)
        plain = [{"params": [*model.named_parameters()], "name": "default"}]
        self.made(lionstore.Lion, plain).close()
        self.grouped(model).close()
        self.made(lionstore.Lion, plain, "stepped").close()
        stepped = self.made(lionstore.Lion, plain, "stepped")
        train(model, [stepped], 1)
        stepped.close()
        with self.refuses("0.bias is stepped by rule lion in the store and adamw", by=lionstore.MismatchError):
            self.grouped(model, "stepped")


class RefusedTest(GroupCase):
    def test_what_is_wrong_in_a_group_is_refused_and_makes_no_store(self) -> None:
        for said, values in (
            ("the group's rule is 'adamv', expected one of lion, adamw, .*./NAME.rule", {"rule": "adamv"}),
            ("the group's rule is 'lion-bf16', expected", {"rule": "lion-bf16"}),
            ("the group's rule is adamw-f32, and its values ask for adamw", {"rule": "adamw-f32"}),
            ("expected one of lion", {"rule": torch.optim.AdamW}),
            ("expected one of lion", {"rule": lionstore.Rule}),
            ("expected one of lion", {"rule": None}),
            ("eps is no hyperparameter of the group's rule lion, which has betas, .*lr", {"rule": "lion", "eps": 1}),
            ("momentum is no hyperparameter .* which has .*lr", {"rule": lionstore.AdamW, "momentum": 0.9}),
            ("moments is in a group.*-bf16", {"rule": "adamw", "moments": torch.bfloat16}),
            ("clip_norm is in a group", {"rule": "adamw", "clip_norm": 1.0}),
            ("amsgrad=True is not supported", {"rule": "adamw", "amsgrad": True}),
            ("learning rate is -1", {"rule": "adamw", "lr": -1}),
            ("lr is '1e-3', expected a number", {"rule": "adamw", "lr": "1e-3"}),
            ("the group's rule is sgd-momentum, and its values ask for sgd", {"rule": "sgd-momentum", "momentum": 0}),
            ("no such file", {"rule": "./none.rule"}),
        ):
            with self.subTest(**values), self.refuses(said):
                self.grouped(deep(), **values)
        self.assertFalse(Path(self.folder, "store").exists())

    def test_a_rule_that_is_changed_during_training_is_refused(self) -> None:
        model = seeded(deep)
        ours = self.grouped(model)
        train(model, [ours], 1)
        before = ours.hash()
        for index, rule in ((1, "lion"), (0, "adamw")):
            with self.subTest(index=index):
                old = ours.param_groups[index].get("rule")
                ours.param_groups[index]["rule"] = rule
                with self.refuses(f"group {index} has rule {rule} now, its store has"):
                    train(model, [ours], 1)
                if old is None:
                    del ours.param_groups[index]["rule"]
                else:
                    ours.param_groups[index]["rule"] = old
        self.assertEqual(ours.hash(), before)
        train(model, [ours], 1)

    def test_the_error_for_two_rules_of_one_class_says_what_to_do(self) -> None:
        matrices, biases = halves(deep())
        with self.refuses('give the group "rule": lionstore.SGD'):
            self.made(lionstore.SGD, [{"params": matrices, "momentum": 0.9}, {"params": biases, "momentum": 0}])


if __name__ == "__main__":
    unittest.main()
