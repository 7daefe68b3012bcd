"""What PyTorch's generic tests of optimizers (its test/test_optim.py) show is true of Lion.

PyTorch's own machinery drives it. test_torch_state_dicts has those of state dicts; a table in our
README says what does not apply, and why.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import unittest
import warnings
from contextlib import ExitStack
from typing import Any, Callable

import numpy
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.testing._internal.common_optimizers import OptimizerErrorEnum
from torch.utils._python_dispatch import TorchDispatchMode

import lionstore
from lionstore import Lion
from cases import WAYS
from reference import Reference, differing
from torch_suite import (
    IN_OUR_WORDS,
    LION,
    NAMES,
    Group,
    Mixed,
    Problem,
    SuiteTest,
    Valley,
    closure_of,
    is_exact,
    named,
    on_each,
    step_reference,
    twins,
)

OF_GROUPS = ["lr", "betas", "weight_decay", "maximize"]


class Allocated(TorchDispatchMode):
    """Counts the bytes of tensors that PyTorch makes meanwhile."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        known = {t.untyped_storage().data_ptr() for t in args if isinstance(t, torch.Tensor)}
        for made in [result] if isinstance(result, torch.Tensor) else []:
            if made.untyped_storage().data_ptr() not in known:
                self.count += made.untyped_storage().nbytes()
        return result


class ConstructionTest(SuiteTest):
    def test_what_pytorch_refuses_is_refused_before_there_is_a_store(self) -> None:
        for way in WAYS:
            for refused in LION.optim_error_inputs_func(device="cpu", dtype=torch.float32):
                name = refused.optimizer_error_input.desc
                with self.subTest(gradients=way, input=name), ExitStack() as self.opened:
                    self.require_refused(refused, way)

    def require_refused(self, refused: Any, way: str) -> None:
        given = refused.optimizer_error_input
        said = IN_OUR_WORDS.get(given.desc, refused.error_regex)
        params = named(given.params)
        if refused.error_on is OptimizerErrorEnum.STEP_ERROR:
            optimizer, before = self.made(params, way), params[0][1].detach().clone()
            with self.assertRaisesRegex(refused.error_type, said):
                optimizer.step()
            self.assertEqual((differing([before], [params[0][1]]), optimizer.steps), (0, 0))
        elif issubclass(refused.error_type, Warning):
            self.require_warned_or_refused(params, way, said)
        else:
            with self.assertRaisesRegex(refused.error_type, said):
                self.made(params, way, **given.kwargs)
            self.assertFalse(os.path.exists(self.store))

    def require_warned_or_refused(self, params: Any, way: str, said: str) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            refusal: Exception | None = None
            try:
                self.made(params, way)
            except lionstore.ArgumentError as error:
                refusal = error
        self.assertRegex(f"{[str(warning.message) for warning in caught]} {refusal}", said)

    @on_each()
    def test_every_form_of_parameters_is_one_optimizer(self, way: str, kwargs: Group) -> None:
        forms: list[Callable[[nn.Module], Any]] = [
            lambda m: m.named_parameters(),
            lambda m: [*m.named_parameters()],
            lambda m: dict(m.named_parameters()).items(),
            lambda m: [{"params": m.named_parameters()}],
            lambda m: [{"params": tuple(m.named_parameters())}],
            lambda m: [{"params": tuple(m.parameters())}],
            lambda m: iter([{"params": [*m.named_parameters()]}]),
            lambda m: m.parameters(),
        ]
        found = []
        for form in forms:
            model = twins(Problem)[0]
            optimizer = self.made(form(model), way, model=model, **copy.deepcopy(kwargs))
            self.steps(model, optimizer)
            self.assertEqual(optimizer.param_groups[0]["param_names"], NAMES)
            found.append(optimizer.hash())
        self.assertEqual(len({*found}), 1)

    def test_parameters_that_nobody_names_are_refused(self) -> None:
        with ExitStack() as self.opened:
            with self.assertRaisesRegex(lionstore.ArgumentError, "named_parameters"):
                self.made(Problem().parameters(), "step")

    @on_each(flags=True)
    def test_it_is_printed(self, way: str, kwargs: Group) -> None:
        printed = repr(self.problem(way, kwargs)[1])
        self.assertRegex(printed, r"(?s)^Lion \(\nParameter Group 0\n.*weight_decay: ")

    @on_each()
    def test_pytorchs_implementations_may_be_asked_for(self, way: str, kwargs: Group) -> None:
        found = []
        for flags in [{}, {"foreach": True}, {"fused": True}, {"foreach": False, "fused": False}]:
            model, optimizer = self.problem(way, {**kwargs, **flags})
            self.steps(model, optimizer)
            found.append(optimizer.hash())
        self.assertEqual(len({*found}), 1)

    @on_each()
    def test_a_group_is_added_while_training(self, way: str, kwargs: Group) -> None:
        model = Problem()
        optimizer = self.made([("weight", model.weight)], way, **kwargs)
        self.steps(model, optimizer)
        optimizer.add_param_group({"params": [("bias", model.bias)], "lr": 0.5})
        first, second = ({**group, "params": None} for group in optimizer.param_groups)
        self.assertEqual(second, {**first, "lr": 0.5, "param_names": ["bias"]})
        before = model.bias.detach().clone()
        self.steps(model, optimizer, 1)
        self.assertTrue(bool((model.bias != before).any()))
        with self.assertRaisesRegex(TypeError, "must be a dict"):
            optimizer.add_param_group([("idle", model.idle)])  # type: ignore[arg-type]
        with self.assertRaises(ValueError):
            optimizer.add_param_group({"params": [("bias", model.bias)]})
        # What was refused has left nothing behind.
        optimizer.add_param_group({"params": [("idle", model.idle)]})
        self.steps(model, optimizer, 1)
        self.assertEqual((len(optimizer.param_groups), optimizer.steps), (3, 5))

    @on_each()
    def test_copies_and_second_optimizers_are_typed_errors(self, way: str, kwargs: Group) -> None:
        model, optimizer = self.problem(way, kwargs)
        attempts: list[Callable[[], Any]] = [
            lambda: copy.deepcopy(optimizer),
            lambda: pickle.dumps(optimizer),
            lambda: torch.save(optimizer, io.BytesIO()),
            lambda: self.made(model.named_parameters(), way, **kwargs),
        ]
        for attempt in attempts:
            with self.assertRaises(lionstore.LionstoreError):
                attempt()
        self.steps(model, optimizer)
        self.assertEqual(optimizer.steps, 3)


class StepTest(SuiteTest):
    def descend(self, model: Any, reference: Reference, optimizer: Lion, *makers: Any) -> None:
        """Steps both, on gradients whose signs change; schedulers act between the steps."""
        schedulers = [make(optimizer) for make in makers]
        generator = torch.Generator().manual_seed(3)
        for _ in range(20):
            model.given = reference.model.given = torch.randn(5, generator=generator)
            closure_of(reference.model, reference.model)()
            step_reference(reference, optimizer)
            loss = optimizer.step(closure_of(model, optimizer))
            for scheduler in schedulers:
                is_plateau = isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
                scheduler.step(*([loss] if is_plateau else []))

    def require_descends(self, way: str, kwargs: Group, *makers: Any, **options: Any) -> None:
        model, reference = twins(Problem, **options)
        optimizer = self.made(model.named_parameters(), way, **copy.deepcopy(kwargs))
        given, first = model.given, model().item()
        self.descend(model, reference, optimizer, *makers)
        model.given = given
        change = model().item() - first
        self.assertGreater(change if kwargs.get("maximize") else -change, 0)
        if is_exact(kwargs):
            self.require_equal(model, reference.model)

    @on_each()
    def test_the_loss_falls_as_the_references_does(self, way: str, kwargs: Group) -> None:
        for is_contiguous in [True, False]:
            self.require_descends(way, kwargs, is_contiguous=is_contiguous)

    @on_each()
    def test_schedulers_act_as_on_the_reference(self, way: str, kwargs: Group) -> None:
        for makers in LION.scheduler_inputs:
            self.require_descends(way, kwargs, *makers)

    @on_each()
    def test_groups_have_values_of_their_own(self, way: str, kwargs: Group) -> None:
        group = {"lr": 1e-3, **{name: kwargs[name] for name in OF_GROUPS if name in kwargs}}
        whole = {name: value for name, value in kwargs.items() if name not in OF_GROUPS}
        model, reference = twins(Problem)
        groups = [
            {"params": [("weight", model.weight)], **group},
            {"params": [("bias", model.bias)], **group, "weight_decay": 0.0},
            {"params": [("idle", model.idle)]},
        ]
        optimizer = self.made(groups, way, **whole, lr=1e-28)
        self.descend(model, reference, optimizer, *LION.scheduler_inputs[0])
        self.assertEqual(model.idle.tolist(), [1.0, 1.0])
        if is_exact(kwargs):
            self.require_equal(model, reference.model)

    def test_a_learning_rate_is_any_scalar_and_changes_with_the_betas(self) -> None:
        number = float(torch.tensor(0.003))
        kinds = [number, torch.tensor(number), torch.tensor([number]), numpy.float32(number)]
        for way in WAYS:
            found = []
            for lr in kinds:
                with self.subTest(gradients=way, lr=lr), ExitStack() as self.opened:
                    model, optimizer = self.problem(way, {"lr": lr})
                    self.steps(model, optimizer)
                    optimizer.param_groups[0]["lr"] *= 0.5
                    optimizer.param_groups[0]["betas"] = (0.5, 0.75)
                    self.steps(model, optimizer)
                    found.append(optimizer.hash())
            self.assertEqual(len({*found}), 1)

    @on_each(flags=True)
    def test_a_step_without_gradients_changes_nothing(self, way: str, kwargs: Group) -> None:
        frozen = [("one", torch.randn(2, 3)), ("two", torch.randn(3))]
        trained: list[tuple[str, torch.Tensor]] = [*Problem().named_parameters()]
        for params in [frozen, trained]:
            before = [p.detach().clone() for _, p in params]
            optimizer = self.made(params, way, **copy.deepcopy(kwargs))
            self.assertEqual(optimizer.step(lambda: torch.tensor([1])).tolist(), [1])
            self.assertIsNone(optimizer.step())
            self.assertEqual(differing(before, [p for _, p in params]), 0)

    @on_each(flags=True)
    def test_a_step_on_zeros_decays_alone(self, way: str, kwargs: Group) -> None:
        parameter = torch.randn(5, 1, requires_grad=True)
        optimizer = self.made([("weight", parameter)], way, **kwargs)
        group = optimizer.param_groups[0]
        left = 1 - float(group["lr"]) * group["weight_decay"]
        expected = parameter.detach() * left
        (parameter * 0).sum().backward()
        optimizer.step()
        self.assertEqual(differing([parameter], [expected]), 0)

    @on_each()
    def test_to_maximize_is_to_minimize_the_negative(self, way: str, kwargs: Group) -> None:
        found = []
        for is_maximized in [True, False]:
            model, optimizer = self.problem(way, {**kwargs, "maximize": is_maximized})
            for _ in range(5):
                optimizer.step(closure_of(model, optimizer, 1 if is_maximized else -1))
            momenta = (optimizer.state[p]["exp_avg"] for p in model.parameters())
            found.append([*model.parameters(), *momenta])
        self.assertEqual(differing(*found), 0)

    @on_each()
    def test_a_closure_may_be_called_before_the_step(self, way: str, kwargs: Group) -> None:
        (model, one), (other, two) = (self.problem(way, kwargs) for _ in range(2))
        for _ in range(3):
            expected = closure_of(other, two)()
            two.step()
            self.assertEqual(one.step(closure_of(model, one)).item(), expected.item())
        self.assertEqual(one.hash(), two.hash())

    @on_each()
    def test_gradients_are_assigned_and_stay_or_the_way_for_it_is_named(
        self, way: str, kwargs: Group
    ) -> None:
        model, reference = twins(Problem)
        optimizer = self.made(model.named_parameters(), way, **kwargs)
        for parameter, other in zip(model.parameters(), reference.model.parameters()):
            parameter.grad = torch.randn(parameter.shape)
            other.grad = parameter.grad.clone()
        try:
            for _ in range(3):
                optimizer.step()
                step_reference(reference, optimizer)
        except lionstore.LionstoreError as refusal:
            self.assertNotEqual(way, "step")
            self.assertIn('"step"', str(refusal))
        else:
            if is_exact(kwargs):
                self.require_equal(model, reference.model)

    def test_dtypes_may_be_mixed_and_layers_frozen_meanwhile(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way), ExitStack() as self.opened:
                model, reference = twins(Mixed)
                optimizer = self.made(model.named_parameters(), way, lr=0.01, weight_decay=0.1)
                both: list[tuple[Any, Any]] = [(model, optimizer), (reference.model,) * 2]
                for number in range(7):
                    for each, owner in both:
                        each.narrow.requires_grad_(number not in (3, 4))
                        owner.zero_grad()
                        if number != 2:
                            each().backward()
                    optimizer.step()
                    step_reference(reference, optimizer)
                    self.require_equal(model, reference.model)
                    for name, parameter in model.named_parameters():
                        momentum = optimizer.state[parameter]["exp_avg"].bfloat16()
                        self.assertEqual(differing([momentum], [reference.momenta[name]]), 0)

    def test_the_default_dtype_is_none_of_its_business(self) -> None:
        self.addCleanup(torch.set_default_dtype, torch.get_default_dtype())
        for way in WAYS:
            found = []
            for dtype in [torch.float32, torch.float64, torch.float16]:
                with self.subTest(gradients=way, dtype=dtype), ExitStack() as self.opened:
                    torch.set_default_dtype(torch.float32)
                    model = twins(Mixed)[0]
                    torch.set_default_dtype(dtype)
                    optimizer = self.made(model.named_parameters(), way, lr=0.01)
                    self.steps(model, optimizer)
                    found.append(optimizer.hash())
            self.assertEqual(len({*found}), 1)

    @on_each()
    def test_a_step_makes_no_copies_of_the_model(self, way: str, kwargs: Group) -> None:
        params = [(f"weight{i}", torch.randn(128, 64, requires_grad=True)) for i in range(10)]
        optimizer = self.made(params, way, **kwargs)
        for _ in range(2):
            optimizer.zero_grad()
            torch.stack([p.pow(2).sum() for _, p in params]).sum().backward()
            with Allocated() as allocated:
                optimizer.step()
        # PyTorch's budget for its own is one intermediate result of each parameter at a time.
        self.assertLess(allocated.count, 2 * 10 * 128 * 64 * 4)

    def test_a_curved_valley_is_followed(self) -> None:
        for way in WAYS:
            with self.subTest(gradients=way), ExitStack() as self.opened:
                model, reference = twins(Valley)
                optimizer = self.made(model.named_parameters(), way, lr=0.01)
                before = model.place.dist(torch.ones(2)).item()
                for _ in range(20):
                    self.descend(model, reference, optimizer)
                self.require_equal(model, reference.model)
                self.assertLess(model.place.dist(torch.ones(2)).item(), before)

    @on_each(flags=True)
    def test_hooks_of_steps_run_in_pytorchs_order(self, way: str, kwargs: Group) -> None:
        optimizer, seen = self.problem(way, kwargs)[1], list[int]()
        handles = [
            register_optimizer_step_pre_hook(lambda *_: seen.append(0)),
            register_optimizer_step_post_hook(lambda *_: seen.append(3)),
            optimizer.register_step_pre_hook(lambda *_: seen.append(1)),
            optimizer.register_step_post_hook(lambda *_: seen.append(2)),
        ]
        optimizer.step()
        for handle in handles:
            handle.remove()
        optimizer.step()
        self.assertEqual(seen, [0, 1, 2, 3])

    @on_each()
    def test_a_profiler_sees_each_step_once(self, way: str, kwargs: Group) -> None:
        model, optimizer = self.problem(way, kwargs)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            self.steps(model, optimizer)
        counts = {event.key: event.count for event in profile.key_averages()}
        self.assertEqual(counts["Optimizer.step#Lion.step"], 3)
        self.assertEqual(counts["Optimizer.zero_grad#Lion.zero_grad"], 3)


if __name__ == "__main__":
    unittest.main()
