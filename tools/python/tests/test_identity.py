"""Names are the model's own; parameters that are replaced, copied or shared are found again or refused."""

from __future__ import annotations

import copy
import io
import os
import pickle
import unittest
from pathlib import Path
from typing import Any, Callable

import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.lr_scheduler import ConstantLR
from torch.optim.swa_utils import AveragedModel

import lionstore
from lionstore import Lion
from cases import WAYS, LionTest, copies, deep, iterate, seeded, some, square
from reference import PlainLion, differing

try:
    from safetensors.torch import load_file
except ImportError as missing:
    raise ImportError("snapshots are read with safetensors: install it") from missing

NAMES = ["0.weight", "0.bias", "2.weight", "2.bias"]


def compiled(model: nn.Module) -> nn.Module:
    wrapped = torch.compile(model, backend="eager")
    assert isinstance(wrapped, nn.Module)
    return wrapped


def checkpointed(model: Any) -> nn.Module:
    model[0] = checkpoint_wrapper(model[0])
    return model  # type: ignore[no-any-return]


class OwnModule(nn.Module):
    """Has a part that is called module."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(4, 4)
        self.weight, self.bias = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.module(batch) * self.weight + self.bias  # type: ignore[no-any-return]


class NamesTest(LionTest):
    def test_wrapped_models_open_the_store_of_the_plain_one(self) -> None:
        # torchtitan#3861, torchtune#596, apex#647
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{self.folder}/rendezvous", rank=0, world_size=1
        )
        self.addCleanup(torch.distributed.destroy_process_group)
        distributed = nn.parallel.DistributedDataParallel
        wrappers: dict[str, Callable[[nn.Module], nn.Module]] = {
            "compile": compiled,
            "checkpoint": checkpointed,
            "DDP": distributed,
            "DDP(compile)": lambda model: distributed(compiled(model)),
            "compile(DDP)": lambda model: compiled(distributed(model)),
            "DDP(checkpoint)": lambda model: distributed(checkpointed(model)),
            "DataParallel": nn.DataParallel,
            "AveragedModel": AveragedModel,
        }
        plain = seeded(deep)
        optimizer = self.lion(plain)
        iterate(plain, optimizer, some(1, 2, 6))
        expected = optimizer.hash()
        optimizer.close()
        for name, wrap in wrappers.items():
            for is_given in (True, False):
                with self.subTest(wrapper=name, model=is_given):
                    model = wrap(seeded(deep, 5))
                    optimizer = self.lion(model, model=model if is_given else None)
                    self.assertEqual((optimizer.steps, optimizer.hash()), (1, expected))
                    self.assertEqual(optimizer.param_groups[0]["param_names"], NAMES)
                    optimizer.close()

    def test_a_part_may_be_called_module(self) -> None:
        # pytorch#9176
        expected = ["weight", "bias", "module.weight", "module.bias"]
        for model in (OwnModule(), nn.DataParallel(OwnModule())):
            for given in (model, None):
                optimizer = self.lion(model, next(self._names), model=given)
                self.assertEqual(optimizer.param_groups[0]["param_names"], expected)
                optimizer.close()

    def test_nothing_but_a_part_called_module_keeps_its_name_where_the_model_is_given(self) -> None:
        model = nn.Module()
        model.module = nn.BatchNorm1d(4)
        optimizer = self.lion_of(model)
        self.assertEqual(optimizer.param_groups[0]["param_names"], ["module.weight", "module.bias"])
        snapshot = str(optimizer.snapshot(f"{self.folder}/snapshots"))
        file = load_file(Path(snapshot, "model.safetensors"))
        self.assertEqual({*file}, {*model.state_dict()})

    def test_parameters_without_a_name_are_refused_before_there_is_a_store(self) -> None:
        # transformers#34358
        model: Any = deep()
        forms: list[Any] = [
            model.parameters(),
            [*model.parameters()],
            [{"params": [model[0].weight]}, {"params": [model[0].bias, model[2].weight], "lr": 0.1}],
            [{"params": model[0].weight}],
        ]
        for form in forms:
            with self.refuses("named_parameters", "model=model", by=lionstore.ArgumentError):
                Lion(form, f"{self.folder}/store")
        stranger = nn.Parameter(torch.ones(3))
        with self.refuses(r"shape \[3\]", "name"):
            Lion([*model.parameters(), stranger], f"{self.folder}/store", model=model)
        self.assertFalse(os.path.exists(f"{self.folder}/store"))

    def test_state_follows_names_and_not_their_order(self) -> None:
        # pytorch#1489
        model = seeded(deep)
        optimizer = self.lion(model)
        iterate(model, optimizer, some(1, 2, 6))
        momenta = {name: optimizer.momentum(p) for name, p in model.named_parameters()}
        optimizer.close()
        other = seeded(deep, 5)
        turned = [*other.named_parameters()][::-1]
        optimizer = Lion(turned, f"{self.folder}/store")
        self.addCleanup(optimizer.close)
        self.assertEqual(differing(model.parameters(), other.parameters()), 0)
        for name, parameter in turned:
            self.assertTrue(torch.equal(optimizer.momentum(parameter), momenta[name]), name)


class ReplacedTest(LionTest):
    def replace(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """As Accelerate does it: other parameters of the same values."""
        for name, parameter in [*model.named_parameters()]:
            setattr(model, name, nn.Parameter(parameter.detach().clone()))
        optimizer.param_groups[0]["params"] = [*model.parameters()]

    def test_replaced_parameters_are_found_by_their_names(self) -> None:
        def replace(model: Any, optimizer: Any) -> None:
            iterate(model, optimizer)
            state = [optimizer.state[p] for p in model.parameters()]
            self.replace(model, optimizer)
            if isinstance(optimizer, PlainLion):
                optimizer.state.update(zip(model.parameters(), state))
            for _ in range(2):
                iterate(model, optimizer)

        self.assert_as_plain(replace, dtypes=[torch.float32, torch.bfloat16], lr=0.1)

    def test_without_the_model_they_are_refused_before_anything_changes(self) -> None:
        for way in WAYS:
            model = square()
            optimizer = self.lion(model, way, gradients=way)
            iterate(model, optimizer)
            expected = optimizer.hash()
            self.replace(model, optimizer)
            before = copies(model)
            with self.refuses("other parameters", "model=model", by=lionstore.StateError):
                iterate(model, optimizer)
            self.assertEqual(differing(before, model.parameters()), 0)
            self.assertEqual((optimizer.steps, optimizer.hash()), (1, expected))

    def test_a_model_that_has_other_parameters_than_its_optimizer_is_not_saved(self) -> None:
        # transformers#3532, tutorials#2522
        def resize(model: Any) -> None:
            model[0] = nn.Linear(6, 8)

        def assign(model: Any) -> None:
            model.load_state_dict({k: v + 1 for k, v in model.state_dict().items()}, assign=True)

        for change in (resize, assign):
            model = seeded(deep)
            optimizer = self.lion_of(model)
            iterate(model, optimizer, some(1, 2, 6))
            change(model)
            with self.refuses("0.weight is another parameter in the model now", "param_groups"):
                optimizer.snapshot(f"{self.folder}/never")
            optimizer.param_groups[0]["params"] = [*model.parameters()]
            iterate(model, optimizer, some(2, 2, 6))
            self.assertEqual(optimizer.steps, 2)
            self.assertIsNotNone(optimizer.snapshot(f"{self.folder}/{change.__name__}"))

    def test_points_that_become_more_are_refused_and_nothing_is_lost(self) -> None:
        # fvdb-reality-capture#84, MonoGS#69
        model = nn.ParameterDict({"points": nn.Parameter(some(1, 5, 3))})
        optimizer = self.lion_of(model)
        model["points"].sum().backward()
        optimizer.step()
        old, expected = model["points"], optimizer.hash()
        with self.refuses("load_state_dict", by=lionstore.StateError):
            del optimizer.state[old]
        grown = nn.Parameter(torch.cat([old.detach(), torch.zeros(2, 3)]))
        with self.refuses("load_state_dict", by=lionstore.StateError):
            optimizer.state[grown] = {}
        model["points"] = optimizer.param_groups[0]["params"][0] = grown
        grown.sum().backward()
        with self.refuses("points", r"\[7, 3\]", r"\[5, 3\]", by=lionstore.MismatchError):
            optimizer.step()
        model["points"] = optimizer.param_groups[0]["params"][0] = old
        self.assertEqual((optimizer.steps, optimizer.hash()), (1, expected))


class SecondTest(LionTest):
    def test_a_cell_that_runs_again_is_refused_until_the_first_is_closed(self) -> None:
        # pytorch#22684
        for way in WAYS:
            for second in (way, f"{way}-other"):
                with self.subTest(gradients=way, store=second):
                    model, other = seeded(deep), seeded(deep)
                    plain = PlainLion(other.parameters(), lr=0.01)
                    optimizer = self.lion(model, way, lr=0.01, gradients=way)
                    iterate(model, optimizer, some(0, 2, 6))
                    with self.refuses("close"):
                        self.lion(model, second, lr=0.01, gradients=way)
                    self.assertFalse(os.path.exists(f"{self.folder}/{way}-other"))
                    iterate(model, optimizer, some(1, 2, 6))
                    optimizer.close()
                    optimizer = self.lion(model, way, lr=0.01, gradients=way)
                    iterate(model, optimizer, some(2, 2, 6))
                    for number in range(3):
                        iterate(other, plain, some(number, 2, 6))
                    self.assertEqual(optimizer.steps, 3)
                    self.assertEqual(differing(model.parameters(), other.parameters()), 0)
                    optimizer.close()
                    os.rename(f"{self.folder}/{way}", f"{self.folder}/{next(self._names)}")

    def test_one_of_the_parameters_is_enough(self) -> None:
        model: Any = deep()
        self.lion(model)
        with self.refuses("2.weight", "close", by=lionstore.StateError):
            Lion([("head", model[2].weight)], f"{self.folder}/head")

    def test_the_store_is_busy_for_another_model(self) -> None:
        self.lion(deep())
        with self.assertRaises(lionstore.BusyError):
            self.lion(deep())

    def test_copies_are_refused_and_the_original_goes_on(self) -> None:
        # metatensor#1229, kohya#1250
        model = square()
        optimizer = self.lion_of(model)
        iterate(model, optimizer)
        scheduler = ConstantLR(optimizer, 1.0)
        attempts: list[Callable[[], Any]] = [
            lambda: copy.copy(optimizer),
            lambda: copy.deepcopy(optimizer),
            lambda: copy.deepcopy(scheduler),
            lambda: copy.deepcopy({"model": model, "optimizers": [optimizer]}),
            lambda: pickle.dumps(optimizer),
            lambda: pickle.dumps([optimizer]),
            lambda: torch.save({"optimizer": optimizer}, io.BytesIO()),
        ]
        for attempt in attempts:
            with self.refuses("cannot be copied or pickled", "state_dict", by=lionstore.StateError):
                attempt()
        iterate(model, optimizer)
        self.assertEqual(optimizer.steps, 2)


if __name__ == "__main__":
    unittest.main()
