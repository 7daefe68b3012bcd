"""Optimizers of rules beside PyTorch's of the same names: weights and states are equal in every bit."""

from __future__ import annotations

import copy
import inspect
import io
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.optim.lr_scheduler import OneCycleLR

import lionstore
from cases import LionTest, command, deep, seeded, some
from reference import bits, differing

STEPS = 50
RULES = Path(__file__).resolve().parents[3] / "core/src/main/resources/dev/lionstore/rule"

TELLS_ADAM_FROM_ADAMW = "decoupled_weight_decay" in inspect.signature(torch.optim.Adam).parameters
"""Whether PyTorch's Adam says in its groups whether it decays as AdamW does; 2.6 does not."""

CASES: list[tuple[str, dict[str, Any]]] = [
    ("AdamW", {}),
    ("AdamW", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.3}),
    ("AdamW", {"betas": (0.3, 0.9), "maximize": True}),
    ("Adam", {}),
    ("Adam", {"weight_decay": 0.1, "lr": 0.02}),
    *([("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True})] if TELLS_ADAM_FROM_ADAMW else []),
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "weight_decay": 0.1, "eps": 1e-6}),
    ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"alpha": 0.4, "eps": 1e-3, "centered": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-8}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "eps": 1e-4}),
    ("Adamax", {}),
    ("Adamax", {"betas": (0.4, 0.9), "weight_decay": 0.1, "eps": 1e-6}),
    ("NAdam", {}),
    ("NAdam", {"weight_decay": 0.1, "momentum_decay": 0.01}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-4, 0.05)}),
]


KILLED = """
    import os
    import torch
    from torch.optim.lr_scheduler import CosineAnnealingLR
    import lionstore
    from cases import deep, seeded, some
    model = seeded(deep)
    optimizer = lionstore.AdamW(
        model.named_parameters(), 0.01, store=os.environ["STORE"], moments=torch.bfloat16, rounding="stochastic", seed=3
    )
    schedule = CosineAnnealingLR(optimizer, 600)
    first = optimizer.resume(schedule)
    print("at step", optimizer.steps, flush=True)
    for number in range(first.get("next", 0), 600):
        optimizer.zero_grad()
        model(some(number, 5, 6)).square().mean().backward()
        optimizer.extra["next"] = number + 1
        optimizer.step()
        schedule.step()
    print(optimizer.hash())
"""


def groups(model: nn.Module, is_named: bool) -> list[dict[str, Any]]:
    """Two, of which the second has another learning rate."""
    named = [*model.named_parameters()]
    both: list[Any] = [[each for each in named if (each[1].dim() > 1) is wide] for wide in (True, False)]
    if not is_named:
        both = [[p for _, p in each] for each in both]
    return [{"params": both[0]}, {"params": both[1], "lr": 0.003}]


class RuleCase(LionTest):
    """Trains an optimizer beside PyTorch's."""

    def setUp(self) -> None:
        super().setUp()
        # NAdam keeps mu_product in the default dtype; the models are float32 all the same.
        self.addCleanup(torch.set_default_dtype, torch.get_default_dtype())

    def made(self, name: str, params: Any, store: str = "store", **options: Any) -> Any:
        optimizer = getattr(lionstore, name)(params, store=f"{self.folder}/{store}", **options)
        self.addCleanup(optimizer.close)
        return optimizer

    def twins(self, name: str, options: dict[str, Any], store: str, **ours: Any) -> tuple[Any, Any, Any, Any]:
        """A model with ours, and its twin with PyTorch's."""
        models = [seeded(deep).float() for _ in range(2)]
        other = getattr(torch.optim, name)(groups(models[1], False), foreach=False, **options)
        return models[0], self.made(name, groups(models[0], True), store, **options, **ours), models[1], other

    def train(self, pairs: Any, count: int = STEPS, seed: int = 0) -> None:  # type: ignore[override]
        for number in range(count):
            batch = some(seed + number, 5, 6).float()
            # So that some gradients are 0 at first, and some always.
            batch[:, : 2 if number < 4 else 1] = 0
            scale = (1.0, 1e-6, 1e-20, 30.0)[number % 4]
            for model, optimizer in pairs:
                optimizer.zero_grad()
                (model(batch).square().mean() * scale).backward()
                optimizer.step()

    def require_equal(self, model: nn.Module, ours: Any, twin: nn.Module, other: Any) -> None:
        self.assertEqual(differing(model.parameters(), twin.parameters()), 0)
        for parameter, its in zip(model.parameters(), twin.parameters()):
            found, expected = ours.state[parameter], other.state[its]
            self.assertEqual([*found], [*expected])
            for name, value in expected.items():
                self.assertEqual(found[name].dtype, value.dtype)
                same = torch.equal(found[name].plain, value)
                self.assertTrue(same, f"{name}: {found[name]} {value}")

    def float64_for(self, name: str) -> None:
        torch.set_default_dtype(torch.float64 if name == "NAdam" else torch.float32)


class RulesTest(RuleCase):
    def test_weights_and_states_are_pytorchs_in_every_bit(self) -> None:
        for number, (name, options) in enumerate(CASES):
            with self.subTest(name=name, **options):
                self.float64_for(name)
                model, ours, twin, other = self.twins(name, options, f"{number}")
                self.train([(model, ours), (twin, other)])
                self.require_equal(model, ours, twin, other)
                ours.close()

    def test_every_way_of_taking_gradients_gives_the_same_bits(self) -> None:
        for name in ("AdamW", "Adagrad", "Rprop"):
            for way in ("plane", "stream"):
                with self.subTest(name=name, gradients=way):
                    model, ours, twin, other = self.twins(name, {}, f"{name}-{way}", gradients=way)
                    self.train([(model, ours), (twin, other)], 8)
                    self.require_equal(model, ours, twin, other)
                    ours.close()

    def test_a_million_values_are_pytorchs_in_every_bit(self) -> None:
        cases: list[tuple[str, dict[str, Any]]] = [
            ("AdamW", {}),
            ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
            ("RMSprop", {"momentum": 0.9}),
            ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1}),
        ]
        for name, options in cases:
            with self.subTest(name=name):
                values = some(3, 1_000_003)
                mine, its = (nn.Parameter(values.clone()) for _ in range(2))
                ours = self.made(name, [("values", mine)], name, **options)
                other = getattr(torch.optim, name)([its], foreach=False, **options)
                for number in range(6):
                    gradient = some(number, values.numel()) * 10.0 ** -(4 * number)
                    for parameter, optimizer in ((mine, ours), (its, other)):
                        parameter.grad = gradient.clone()
                        optimizer.step()
                self.assertEqual(differing([mine], [its]), 0)
                for key, value in other.state[its].items():
                    self.assertTrue(torch.equal(ours.state[mine][key].plain, value), key)
                ours.close()

    def test_nadam_differs_from_pytorchs_with_a_float32_product_in_last_bits_alone(self) -> None:
        model, ours, twin, other = self.twins("NAdam", {}, "store")
        self.train([(model, ours), (twin, other)], 1)
        for mine, its in zip(model.parameters(), twin.parameters()):
            self.assertLessEqual(int((bits(mine) - bits(its)).abs().max()), 1)
            self.assertTrue(torch.equal(ours.state[mine]["mu_product"].plain, other.state[its]["mu_product"]))

    def test_it_goes_on_from_pytorchs_state(self) -> None:
        for number, (name, options) in enumerate(CASES):
            with self.subTest(name=name, **options):
                self.float64_for(name)
                model, ours, twin, other = self.twins(name, options, f"{number}")
                self.train([(twin, other)], 7)
                file = io.BytesIO()
                torch.save([twin.state_dict(), other.state_dict()], file)
                file.seek(0)
                weights, state = torch.load(file, weights_only=True)
                model.load_state_dict(weights)
                ours.load_state_dict(state)
                self.require_equal(model, ours, twin, other)
                if "step" in other.state[next(twin.parameters())]:
                    self.assertEqual(ours.steps, 7)
                self.train([(model, ours), (twin, other)], 9, seed=100)
                self.require_equal(model, ours, twin, other)
                ours.close()

    def test_pytorchs_goes_on_from_ours(self) -> None:
        for number, (name, options) in enumerate(CASES):
            with self.subTest(name=name, **options):
                self.float64_for(name)
                model, ours, twin, other = self.twins(name, options, f"{number}")
                self.train([(model, ours)], 7)
                twin.load_state_dict(model.state_dict())
                other.load_state_dict(copy.deepcopy(ours.state_dict()))
                self.train([(model, ours), (twin, other)], 9, seed=100)
                self.assertEqual(differing(model.parameters(), twin.parameters()), 0)
                ours.close()

    def test_a_state_dict_takes_a_store_back(self) -> None:
        ours_alone: list[tuple[str, dict[str, Any]]] = [
            ("SignSGD", {}), ("Signum", {}), ("Tiger", {}), ("LionK", {}), ("AdEMAMix", {}), ("Lion", {}),
        ]  # fmt: skip
        for number, (name, options) in enumerate([*CASES, *ours_alone]):
            with self.subTest(name=name, **options):
                model = seeded(deep)
                optimizer = self.made(name, groups(model, True), f"{number}", **options)
                for _ in range(2):
                    self.train([(model, optimizer)], 3)
                    before = optimizer.hash()
                    file = io.BytesIO()
                    torch.save([model.state_dict(), optimizer.state_dict()], file)
                    self.train([(model, optimizer)], 3)
                    self.assertNotEqual(optimizer.hash(), before)
                    file.seek(0)
                    weights, state = torch.load(file, weights_only=True)
                    model.load_state_dict(weights)
                    optimizer.load_state_dict(state)
                    self.assertEqual(optimizer.hash(), before)
                optimizer.close()

    def test_tensors_count_their_own_steps(self) -> None:
        model, ours, twin, other = self.twins("AdamW", {}, "store")
        for number in range(6):
            for each, optimizer in ((model, ours), (twin, other)):
                optimizer.zero_grad()
                each(some(number, 5, 6)).square().mean().backward()
                if number % 2:
                    each[0].weight.grad = None
                optimizer.step()
        self.require_equal(model, ours, twin, other)
        self.assertEqual(float(ours.state[model[0].weight]["step"]), 3)
        added = [nn.Parameter(torch.ones(3)) for _ in range(2)]
        ours.add_param_group({"params": [("added", added[0])]})
        other.add_param_group({"params": [added[1]]})
        self.assertEqual(float(ours.state[added[0]]["step"]), 0)
        for parameter in added:
            parameter.grad = torch.tensor([1.0, -2.0, 0.5])
        for optimizer in (ours, other):
            optimizer.step()
        self.assertEqual(differing([added[0]], [added[1]]), 0)
        self.assertEqual(float(ours.state[added[0]]["step"]), 1)

    def test_a_tensor_without_a_step_begins_anew_in_a_state_dict(self) -> None:
        cases: list[tuple[str, dict[str, Any]]] = [
            ("AdamW", {}),
            ("SGD", {"momentum": 0.9, "dampening": 0.3}),
            ("Adagrad", {}),
            ("Adamax", {}),
        ]
        for name, options in cases:
            with self.subTest(name=name):
                model, ours, twin, other = self.twins(name, options, f"{name}-ours")
                fresh, again, theirs, its = self.twins(name, options, f"{name}-again")
                for number in range(3):
                    for each, optimizer in ((model, ours), (twin, other)):
                        optimizer.zero_grad()
                        each(some(number, 5, 6)).square().mean().backward()
                        each[0].weight.grad = None
                        optimizer.step()
                for each, loader, of in ((fresh, again, other), (theirs, its, ours)):
                    each.load_state_dict(twin.state_dict())
                    loader.load_state_dict(copy.deepcopy(of.state_dict()))
                everyone = [(model, ours), (twin, other), (fresh, again), (theirs, its)]
                self.train(everyone, 3, seed=100)
                for each, _ in everyone[1:]:
                    self.assertEqual(differing(model.parameters(), each.parameters()), 0)
                ours.close()
                again.close()

    def test_schedules_move_rates_betas_and_momenta(self) -> None:
        for name, options in (("AdamW", {}), ("SGD", {"momentum": 0.9}), ("Adam", {})):
            with self.subTest(name=name):
                model, ours, twin, other = self.twins(name, options, name)
                schedules = [OneCycleLR(o, max_lr=0.1, total_steps=40) for o in (ours, other)]
                for number in range(20):
                    self.train([(model, ours), (twin, other)], 1, seed=number)
                    for schedule in schedules:
                        schedule.step()
                self.require_equal(model, ours, twin, other)
                ours.close()

    def test_moments_may_be_bfloat16_and_are_rounded_as_asked(self) -> None:
        hashes = set()
        for rounding in ("nearest", "stochastic"):
            for backend in ("scalar", "vector"):
                model = seeded(deep)
                options = {"moments": torch.bfloat16, "rounding": rounding, "backend": backend}
                optimizer = self.made("AdamW", model.named_parameters(), f"{rounding}-{backend}", **options)
                self.train([(model, optimizer)], 5)
                moments = optimizer.state[model[0].weight]["exp_avg_sq"]
                self.assertTrue(torch.equal(moments.plain, moments.plain.bfloat16().float()))
                hashes.add(optimizer.hash())
                optimizer.close()
        self.assertEqual(len(hashes), 2)
        with self.refuses("rule is adamw-bf16, the optimizer's adamw"):
            self.made("AdamW", seeded(deep).named_parameters(), "nearest-vector")
        model = seeded(deep)
        exact = lionstore.Lion(model.named_parameters(), f"{self.folder}/lion", moments=torch.float32)
        self.train([(model, exact)], 3)
        momentum = exact.momentum(model[0].weight)
        self.assertFalse(torch.equal(momentum, momentum.bfloat16().float()))
        exact.close()

    def test_moments_of_8_bits_are_equal_on_both_backends_and_survive_their_state_dict(self) -> None:
        for name in ("Lion", "AdamW"):
            for rounding in ("nearest", "stochastic"):
                hashes = set()
                for backend in ("scalar", "vector"):
                    model = seeded(deep)
                    options = {"moments": "8bit", "rounding": rounding, "backend": backend}
                    folder = f"{name}-{rounding}-{backend}"
                    optimizer = self.made(name, model.named_parameters(), folder, **options)
                    self.train([(model, optimizer)], 4)
                    saved, weights = optimizer.state_dict(), copy.deepcopy(model.state_dict())
                    twin = seeded(deep)
                    twin.load_state_dict(weights)
                    other = self.made(name, twin.named_parameters(), f"{folder}-twin", **options)
                    other.load_state_dict(saved)
                    self.train([(model, optimizer), (twin, other)], 4, seed=4)
                    self.require_equal(model, optimizer, twin, other)
                    hashes.add(optimizer.hash())
                    optimizer.close()
                    other.close()
                self.assertEqual(len(hashes), 1)

    def test_a_parameter_without_gradient_stays_where_it_is_with_moments_of_8_bits(self) -> None:
        model = torch.nn.Linear(100, 2, bias=False)
        optimizer = self.made("AdamW", model.named_parameters(), "zeros", lr=0.1, weight_decay=0, moments="8bit")
        before = model.weight.detach().clone()
        for number in range(50):
            optimizer.zero_grad()
            some_zero = some(number, 8, 100)
            some_zero[:, 37:] = 0
            model(some_zero).square().mean().backward()
            optimizer.step()
        self.assertTrue(torch.equal(model.weight[:, 37:], before[:, 37:]))
        self.assertLess((model.weight[:, :37] - before[:, :37]).abs().max().item(), 10)
        optimizer.close()

    def test_bfloat16_models_train(self) -> None:
        for name in ("AdamW", "SGD", "AdEMAMix"):
            model = seeded(deep).bfloat16()
            optimizer = self.made(name, model.named_parameters(), name)
            for number in range(3):
                optimizer.zero_grad()
                model(some(number, 5, 6).bfloat16()).float().square().mean().backward()
                optimizer.step()
            state = optimizer.state[model[0].weight]
            self.assertEqual(state["master"].dtype, torch.float32)
            self.assertEqual({v.dtype for k, v in state.items()}, {torch.float32})
            optimizer.close()

    def test_the_others_equal_their_formulas(self) -> None:
        def signsgd(p: torch.Tensor, g: torch.Tensor, m: torch.Tensor) -> None:
            p.mul_(1 - 0.01 * 0.1).add_(g.sign(), alpha=-0.01)

        def signum(p: torch.Tensor, g: torch.Tensor, m: torch.Tensor) -> None:
            m.mul_(0.9).add_(g, alpha=1 - 0.9)
            p.mul_(1 - 0.01 * 0.1).add_(m.sign(), alpha=-0.01)

        def tiger(p: torch.Tensor, g: torch.Tensor, m: torch.Tensor) -> None:
            m.copy_(m * 0.965 + g * (1 - 0.965))
            p.sub_((m.sign() + 0.1 * p) * 1e-3)

        def huber(p: torch.Tensor, g: torch.Tensor, m: torch.Tensor) -> None:
            update = m.mul(0.9).add(g, alpha=1 - 0.9).clamp(-1e-3, 1e-3).div(1e-3)
            p.mul_(1 - 1e-4 * 0.1).add_(update, alpha=-1e-4)
            m.mul_(0.99).add_(g, alpha=1 - 0.99)

        formulas = {"SignSGD": signsgd, "Signum": signum, "Tiger": tiger, "LionK": huber}
        for name, formula in formulas.items():
            with self.subTest(name=name):
                mine = nn.Parameter(some(1, 77))
                its, momentum = mine.detach().clone(), torch.zeros(77)
                options = {"weight_decay": 0.1, "moments": torch.float32}
                optimizer = self.made(name, [("values", mine)], name, **options)
                for number in range(9):
                    mine.grad = some(number, 77) * (1e-6 if number % 3 else 1)
                    formula(its, mine.grad, momentum)
                    optimizer.step()
                self.assertEqual(differing([mine], [its]), 0)
                optimizer.close()

    def test_what_is_not_supported_is_refused_by_name(self) -> None:
        refused: list[tuple[str, dict[str, Any], str]] = [
            ("AdamW", {"amsgrad": True}, "amsgrad=True is not supported.*amsgrad=False"),
            ("Adam", {"capturable": True}, "capturable=True is not supported"),
            ("Adam", {"differentiable": True}, "differentiable=True is not supported"),
            ("Adam", {"eps": 0}, "eps is 0.0"),
            ("AdamW", {"lr": -1}, "learning rate is -1"),
            ("AdamW", {"lr": "1"}, "lr is '1', expected a number"),
            ("AdamW", {"betas": (0.9, 1.0)}, "beta2 is 1"),
            ("AdamW", {"betas": (0.9,)}, "betas is .*expected 2 numbers"),
            ("AdamW", {"betas": 0.9}, "betas is .*expected 2 numbers"),
            ("AdamW", {"foreach": "x"}, "foreach is 'x'"),
            ("AdamW", {"maximize": 2}, "maximize is 2"),
            ("AdamW", {"moments": torch.float16}, "moments is torch.float16"),
            ("SGD", {"fused": True}, "fused=True is not supported"),
            ("SGD", {"nesterov": True}, "nesterov=True requires a momentum and zero dampening"),
            ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov=True requires"),
            ("SGD", {"momentum": -1.0}, "momentum is -1"),
            ("RMSprop", {"momentum": 0.9, "centered": True}, "momentum and centered together are not supported"),
            ("Adagrad", {"initial_accumulator_value": 0.1}, "initial_accumulator_value=0.1 is not supported"),
            ("NAdam", {"foreach": True}, "foreach=True is not supported"),
            ("Rprop", {"etas": (1.5, 0.5)}, "etaminus is 1.5"),
            ("Rprop", {"step_sizes": (1, 0.5)}, "step_size_min"),
            ("LionK", {"potential": "cubic"}, "potential is 'cubic'"),
        ]
        for name, options, said in refused:
            with self.subTest(name=name, **options):
                for params in (deep().named_parameters(), [{"params": [*deep().named_parameters()], **options}]):
                    is_group = isinstance(params, list)
                    if "moments" in options and is_group:
                        continue
                    with self.assertRaisesRegex(lionstore.ArgumentError, f"(?s){said}"):
                        self.made(name, params, **({} if is_group else options))
        with self.refuses("store is missing", by=lionstore.ArgumentError):
            lionstore.AdamW(deep().named_parameters())  # type: ignore[call-arg]
        self.assertFalse(Path(self.folder, "store").exists())

    def test_groups_of_another_rule_are_refused(self) -> None:
        first, *rest = deep().named_parameters()
        with self.refuses("ask for the rule sgd-momentum, the optimizer's is sgd"):
            self.made("SGD", [{"params": [first]}, {"params": rest, "momentum": 0.9}])
        model = seeded(deep)
        optimizer = self.made("SGD", model.named_parameters(), momentum=0.9)
        self.train([(model, optimizer)], 1)
        before = optimizer.hash()
        optimizer.param_groups[0]["momentum"] = 0.0
        with self.refuses("ask for the rule sgd, the optimizer's is sgd-momentum"):
            self.train([(model, optimizer)], 1)
        optimizer.param_groups[0]["momentum"] = 0.9
        self.assertEqual(optimizer.hash(), before)
        optimizer.close()
        with self.refuses("its rule is sgd-momentum, the optimizer's adamw", by=lionstore.MismatchError):
            self.made("AdamW", model.named_parameters())

    def test_states_of_others_are_refused_and_change_nothing(self) -> None:
        model, ours, twin, other = self.twins("AdamW", {}, "store")
        self.train([(model, ours), (twin, other)], 2)
        before = ours.hash()
        others: list[tuple[str, dict[str, Any]]] = [("SGD", {"momentum": 0.9})]
        others += [(name, {}) for name in ("Adagrad", "NAdam", "Adamax", *(["Adam"] if TELLS_ADAM_FROM_ADAMW else []))]
        for name, options in others:
            with self.subTest(name=name):
                its = getattr(torch.optim, name)(groups(twin, False), **options)
                self.train([(twin, its)], 1)
                with self.assertRaises(lionstore.MismatchError):
                    ours.load_state_dict(its.state_dict())
                self.assertEqual(ours.hash(), before)
        strict = torch.optim.AdamW(groups(twin, False), amsgrad=True)
        self.train([(twin, strict)], 1)
        with self.refuses("amsgrad=True is not supported"):
            ours.load_state_dict(strict.state_dict())
        given = other.state_dict()
        for change in ({"step": torch.tensor(-1.0)}, {"step": torch.tensor(1.5)}, {"exp_avg": torch.ones(2)}):
            with self.assertRaises(lionstore.MismatchError):
                ours.load_state_dict({**given, "state": {**given["state"], 0: {**given["state"][0], **change}}})
        self.assertEqual(ours.hash(), before)

    def test_a_killed_run_goes_on_in_the_same_bits(self) -> None:
        seed = random.randrange(1 << 30)
        dice = random.Random(seed)
        print(f"killed with seed {seed}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            whole, seconds, _ = self.killed_after(None, f"{folder}/whole")
            begun = []
            for _ in range(4):
                _, _, step = self.killed_after(dice.uniform(0.05, 0.35) * seconds, f"{folder}/killed")
                begun.append(step)
            output, _, step = self.killed_after(None, f"{folder}/killed")
            self.assertEqual(output, whole)
            print(f"killed runs began at {begun} and {step}", file=sys.stderr)
            self.assertGreater(step, 0)

    def killed_after(self, seconds: float | None, store: str) -> tuple[str, float, int]:
        """Gives what a run printed, how long its steps took, and where it began; None: it ends by itself."""
        environment = {**os.environ, "STORE": store}
        with subprocess.Popen(command(KILLED), stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            step = int(process.stdout.readline().split()[-1])
            begun = time.monotonic()
            if seconds is not None:
                time.sleep(seconds)
                process.kill()
            output, _ = process.communicate(timeout=300)
            return output, time.monotonic() - begun, step

    def test_what_tripped_other_replacements_of_pytorchs_optimizers(self) -> None:
        with self.subTest("DeepSpeed#3906, #5214: params is params, and the defaults are PyTorch's"):
            model = seeded(deep)
            optimizer = self.made("AdamW", store="keyword", params=model.named_parameters())
            expected = torch.optim.AdamW(params=seeded(deep).parameters())
            self.assertEqual({name: optimizer.defaults[name] for name in expected.defaults}, expected.defaults)
            optimizer.close()
        with self.subTest("pytorch#84485, optimi#14, DeepSpeed#8495: a cycle moves the first beta alone"):
            model = seeded(deep)
            optimizer = self.made("AdEMAMix", model.named_parameters(), "cycle")
            schedule = OneCycleLR(optimizer, max_lr=0.1, total_steps=9)
            self.train([(model, optimizer)], 2)
            schedule.step()
            self.assertLess(optimizer.param_groups[0]["betas"][0], 0.95)
            self.assertEqual(optimizer.param_groups[0]["betas"][1:], (0.999, 0.9999))
            optimizer.close()
        with self.subTest("pytorch#2647: a state dict of before the first step"):
            model, ours, twin, other = self.twins("Adam", {}, "empty")
            ours.load_state_dict(other.state_dict())
            self.train([(model, ours), (twin, other)], 3)
            self.require_equal(model, ours, twin, other)
            ours.close()
        with self.subTest("UniRL#499, Automodel#2779: some parameters have no state yet"):
            models = [seeded(deep) for _ in range(2)]
            both = [self.made("AdamW", m.named_parameters(), f"partial{n}") for n, m in enumerate(models)]
            models[0](some(1, 5, 6)).square().mean().backward()
            models[0][0].weight.grad = None
            both[0].step()
            saved = get_optimizer_state_dict(models[0], both[0])
            models[1].load_state_dict(models[0].state_dict())
            set_optimizer_state_dict(models[1], both[1], saved)
            self.assertEqual(both[0].hash(), both[1].hash())
        with self.subTest("torchtitan#848: a state without step"):
            state = copy.deepcopy(both[0].state_dict())
            del state["state"][0]["step"], state["lionstore"]
            before = both[0].hash()
            with self.assertRaises(lionstore.MismatchError):
                both[0].load_state_dict(state)
            self.assertEqual(both[0].hash(), before)

    def test_trainers_and_wrappers_find_a_module_and_resume(self) -> None:
        model = seeded(deep)
        optimizer = self.made("AdamW", model)
        self.train([(model, optimizer)], 3)
        folder = optimizer.snapshot(f"{self.folder}/snapshots")
        expected = optimizer.hash()
        optimizer.close()
        lionstore.AdamW.restore(folder, f"{self.folder}/restored")
        again = self.made("AdamW", seeded(deep, 9), "restored")
        self.assertEqual((again.hash(), again.steps), (expected, 3))
        again.close()


class OwnRuleTest(RuleCase):
    def rule(self, change: tuple[str, str] = ("", "")) -> str:
        """A file with a rule's text."""
        path = Path(self.folder, "my.rule")
        path.write_text((RULES / "adamw.rule").read_text(encoding="utf-8").replace(*change), encoding="utf-8")
        return str(path)

    def test_a_file_is_an_optimizer(self) -> None:
        models = [seeded(deep) for _ in range(2)]
        file = self.rule()
        mine = lionstore.Rule(
            models[0].named_parameters(), file, store=f"{self.folder}/own", lr=0.01, beta1=0.8, weight_decay=0.1
        )
        other = torch.optim.AdamW(models[1].parameters(), 0.01, (0.8, 0.999), weight_decay=0.1, foreach=False)
        self.train([(models[0], mine), (models[1], other)], 9)
        self.require_equal(models[0], mine, models[1], other)
        self.assertEqual(mine.param_groups[0]["beta1"], 0.8)
        mine.close()

    def test_a_formula_of_ones_own_is_kept_by_its_store(self) -> None:
        text = """
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
        file = Path(self.folder, "mine.rule")
        file.write_text(text, encoding="utf-8")
        models = [seeded(deep) for _ in range(2)]
        other = torch.optim.SGD(models[1].parameters(), 0.05, momentum=0.5, foreach=False)

        def opened() -> Any:
            parameters = models[0].named_parameters()
            return lionstore.Rule(parameters, str(file), store=f"{self.folder}/mine", lr=0.05)

        for steps in (5, 4):  # the second time the store is opened again
            mine = opened()
            self.train([(models[0], mine), (models[1], other)], steps)
            mine.close()
        for left, right in zip(models[0].parameters(), models[1].parameters(), strict=True):
            self.assertTrue(torch.equal(left, right))
        file.write_text(text.replace("fma(u, k, g)", "fma(u, k, -g)"), encoding="utf-8")
        with self.refuses("mine", by=lionstore.MismatchError):
            opened()

    def test_what_is_not_the_rules_is_refused_by_name(self) -> None:
        def own(file: str, **options: Any) -> Any:
            return lionstore.Rule(deep().named_parameters(), file, store=f"{self.folder}/own", **options)

        with self.refuses("momentum is no hyperparameter of rule adamw, which has lr, beta1, beta2, eps, weight_decay"):
            own(self.rule(), momentum=0.9)
        with self.refuses("beta1 is 2"):
            own(self.rule(), beta1=2)
        with self.refuses(r"my\.rule:\d+:\d+: "):
            own(self.rule(("fma(o2", "fmb(o2")))
        with self.refuses("no such file", by=lionstore.MissingError):
            own(f"{self.folder}/none.rule")
        self.assertFalse(Path(self.folder, "own").exists())


if __name__ == "__main__":
    unittest.main()
