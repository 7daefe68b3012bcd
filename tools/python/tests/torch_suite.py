"""Lion for PyTorch's machinery for tests of optimizers, and what those tests optimize.

Importing that machinery freezes the flags of torch.backends: its tests need a process of their own.
"""

from __future__ import annotations

import copy
import tempfile
from contextlib import ExitStack
from typing import Any, Callable

import torch
from torch import nn
from torch.optim import lr_scheduler

from lionstore import ArgumentError, Lion
from cases import LionTest, WAYS
from reference import Reference, differing

try:
    from torch.testing._internal.common_optimizers import (
        ErrorOptimizerInput,
        OptimizerErrorEnum,
        OptimizerInfo,
        OptimizerInput,
        _get_optim_inputs_including_global_cliquey_kwargs as inputs_with_flags,
        get_error_inputs_for_all_optims,
    )
except ImportError as missing:
    raise ImportError(
        f"PyTorch's machinery for tests needs a package that is not here ({missing}): install"
        " python3-expecttest and python3-setuptools on Debian, expecttest and setuptools elsewhere"
    ) from missing

Check = Callable[[Any, str, dict[str, Any]], None]
Group = dict[str, Any]

NAMES = ["weight", "bias", "idle"]


def inputs(device: Any, dtype: Any = None) -> list[Any]:
    """What Lion is made with, in PyTorch's terms; of parameters each test has its own."""
    parameters: Any = None
    given: dict[str, Group] = {
        "defaults": {},
        "lr": {"lr": 0.01},
        "lr in a tensor": {"lr": torch.tensor(0.001)},
        "weight decay": {"lr": 0.001, "weight_decay": 0.1},
        "betas": {"lr": 0.001, "betas": (0.95, 0.98)},
        "maximize": {"lr": 0.001, "weight_decay": 0.1, "maximize": True},
        "stochastic rounding": {"lr": 0.001, "rounding": "stochastic", "seed": 7},
        "clipping": {"lr": 0.001, "clip_norm": 1.0},
    }
    return [OptimizerInput(parameters, kwargs, name) for name, kwargs in given.items()]


def error_inputs(device: Any, dtype: Any) -> list[Any]:
    """PyTorch's of all optimizers, and Lion's own; each message names what is wrong."""
    refused: list[tuple[str, str, list[Any]]] = [
        ("lr", "lr|learning rate", [-1.0, float("nan"), float("inf"), torch.tensor(-1.0)]),
        ("betas", "beta", [(1.0, 0.0), (0.9, 1.5), (-0.1, 0.9), (0.9,)]),
        ("weight_decay", "weight_decay", [-1, float("inf")]),
        ("clip_norm", "clip", [-1.0, float("nan")]),
        ("rounding", "rounding", ["up"]),
        ("gradients", "gradients", ["somewhere"]),
        ("capturable", "capturable", [True]),
        ("differentiable", "differentiable", [True]),
    ]
    ours = [(name, word, value) for name, word, values in refused for value in values]
    kinds: list[Group] = [{"dtype": torch.complex64}, {"dtype": torch.float64}, {"device": "meta"}]
    sparse = torch.ones(5, 1, requires_grad=True)
    sparse.grad = torch.eye(5)[:, :1].to_sparse()
    at_step = OptimizerErrorEnum.STEP_ERROR
    return [
        *get_error_inputs_for_all_optims(device, dtype),
        *(error(ArgumentError, word, None, **{name: value}) for name, word, value in ours),
        *(error(ArgumentError, str([*kind.values()][0]), [leaf(**kind)]) for kind in kinds),
        error(ArgumentError, "lr|learning rate", [{"params": leaf(), "lr": -1.0}]),
        error(ArgumentError, "sparse|dense", [sparse], at_step),
        error(ValueError, "empty parameter list", []),
        error(ValueError, "non-leaf", [leaf() * 2]),
        error(TypeError, "optimize", [("weight", 1.0)]),
        error(TypeError, "order", [{"params": {("weight", leaf())}}]),
    ]


def leaf(**kind: Any) -> torch.Tensor:
    return torch.ones(2, 3, requires_grad=True, **kind)


def error(
    kind: type[Exception],
    word: str,
    params: Any,
    on: Any = OptimizerErrorEnum.CONSTRUCTION_ERROR,
    **kwargs: Any,
) -> Any:
    given = OptimizerInput(params, kwargs, f"{word} {kwargs}")
    return ErrorOptimizerInput(given, error_on=on, error_type=kind, error_regex=word)


IN_OUR_WORDS = {
    "a param group cannot have duplicate parameters": "duplicate|twice|more than once",
    "duplicate parameters should not occur across param groups either": "more than one|twice",
    "Tensor lr must be 1-element": "lr",
    "all optimizer params should be with/without names": "name",
    "all optimizer param groups should be with/without names.": "name",
}
"""Where we need not say it in PyTorch's words, by PyTorch's name of the input."""

_CLASS: Any = Lion  # PyTorch's hints say an optimizer where its class is meant

LION = OptimizerInfo(
    _CLASS,
    optim_inputs_func=inputs,
    optim_error_inputs_func=error_inputs,
    scheduler_inputs=(
        [lambda o: lr_scheduler.StepLR(o, gamma=0.9, step_size=10)],
        [
            lambda o: lr_scheduler.ExponentialLR(o, gamma=0.99),
            lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=1e9),
        ],
        [lambda o: lr_scheduler.LinearLR(o, start_factor=0.4, total_iters=4)],
        # It changes betas, too.
        [lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.003, total_steps=40)],
    ),
    supported_impls=("foreach", "fused"),
    supports_fused_on=("cpu",),
    supports_complex=False,
)


def named(params: Any) -> Any:
    """The parameters of an input with names, which a store needs, unless it is about names."""
    if params is None:
        return [("weight", leaf())]
    if not isinstance(params, list):
        return params
    groups = params if params and isinstance(params[0], dict) else [{"params": params}]
    members = [group["params"] for group in groups]
    members = [[m] if isinstance(m, torch.Tensor) else m for m in members]
    if any(not isinstance(m, torch.Tensor) for each in members for m in each):
        return params
    lists = [[(f"parameter{id(p)}", p) for p in each] for each in members]
    if groups is not params:
        return lists[0]
    return [{**group, "params": each} for group, each in zip(groups, lists)]


def on_each(flags: bool = False) -> Callable[[Check], Callable[[Any], None]]:
    """A test on each input and way of taking gradients; ``flags``: with and without ``fused``."""

    def of(check: Check) -> Callable[[Any], None]:
        def test(self: Any) -> None:
            for way in WAYS:
                made = inputs_with_flags("cpu", torch.float32, LION) if flags else inputs("cpu")
                for given in made:
                    # The norm is of all gradients, and "stream" keeps none.
                    if way == "stream" and "clip_norm" in given.kwargs:
                        continue
                    with self.subTest(gradients=way, input=given.desc), ExitStack() as self.opened:
                        torch.manual_seed(1)
                        check(self, way, given.kwargs)

        return test

    return of


class Problem(nn.Module):
    """What those tests optimize: a matrix times a given vector, plus another one, is to be 0."""

    def __init__(self, *, is_contiguous: bool = True) -> None:
        super().__init__()
        weight, bias = torch.randn(10, 5, 2)[..., 0], torch.randn(10, 2)[..., 0]
        self.weight = nn.Parameter(weight.contiguous() if is_contiguous else weight)
        self.bias = nn.Parameter(bias.contiguous() if is_contiguous else bias)
        self.idle = nn.Parameter(torch.ones(2))
        self.given = torch.randn(5)

    def forward(self) -> torch.Tensor:
        return (self.weight.mv(self.given) + self.bias).pow(2).sum() + self.idle.sum()


class Valley(nn.Module):
    """Rosenbrock's: its floor is curved, and lowest at (1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor([1.5, 1.5]))

    def forward(self) -> torch.Tensor:
        x, y = self.place.unbind()
        return torch.square(1 - x) + 100 * torch.square(y - x.square())


class Mixed(nn.Module):
    """Every dtype that Lion trains, in one optimizer, and a scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Parameter(torch.randn(2, 3))
        self.narrow = nn.Parameter(torch.randn(2, 3).half())
        self.brain = nn.Parameter(torch.randn(2, 3).bfloat16())
        self.scalar = nn.Parameter(torch.tensor(0.5))

    def forward(self) -> torch.Tensor:
        return torch.stack([(p.float() - 0.25).pow(3).sum() for p in self.parameters()]).sum()


def twins(kind: Callable[..., nn.Module], **options: Any) -> tuple[Any, Reference]:
    """A model, and the reference of another one that is equal."""
    models = []
    for _ in range(2):
        torch.manual_seed(2)
        models.append(kind(**options))
    return models[0], Reference(models[1])


def closure_of(model: nn.Module, owner: Any, sign: int = 1) -> Callable[[], torch.Tensor]:
    """``owner`` forgets the gradients: an optimizer or a model."""

    def closure() -> torch.Tensor:
        owner.zero_grad()
        loss: torch.Tensor = sign * model()
        loss.backward()
        return loss

    return closure


def step_reference(reference: Reference, optimizer: Lion) -> None:
    """Steps it on the gradients that it has, with what the optimizer's groups say now."""
    groups = {name: group for group in optimizer.param_groups for name in group["param_names"]}
    reference.step(lambda name: {**groups[name], "lr": float(groups[name]["lr"])})


def is_exact(kwargs: Group) -> bool:
    """Whether the reference computes it."""
    return not kwargs.keys() & {"clip_norm", "rounding"}


class SuiteTest(LionTest):
    """Has each optimizer's store in memory, and closes what ``opened`` has after each input."""

    opened: ExitStack
    stores = 0

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.enterContext(tempfile.TemporaryDirectory(dir="/dev/shm"))

    def made(self, params: Any, way: str, **kwargs: Any) -> Lion:
        """An optimizer with a store of its own."""
        SuiteTest.stores += 1
        self.store = f"{self.folder}/{SuiteTest.stores}"
        optimizer = Lion(params, store=self.store, **{"gradients": way, **kwargs})
        self.opened.callback(optimizer.close)
        return optimizer

    def problem(self, way: str, kwargs: Group) -> tuple[Problem, Lion]:
        """The same model each time."""
        model = twins(Problem)[0]
        return model, self.made(model.named_parameters(), way, **copy.deepcopy(kwargs))

    def steps(self, model: nn.Module, optimizer: Lion, count: int = 3) -> None:
        for _ in range(count):
            optimizer.step(closure_of(model, optimizer))

    def require_same(self, left: Any, right: Any) -> None:
        """Checks that what is nested is equal, of the same types, tensors in every bit."""
        self.assertIs(type(left), type(right))
        if isinstance(left, torch.Tensor):
            self.assertEqual((left.dtype, left.shape), (right.dtype, right.shape))
            self.assertTrue(torch.equal(left, right))
        elif isinstance(left, dict):
            self.assertEqual([*left], [*right])
            self.require_same([*left.values()], [*right.values()])
        elif isinstance(left, (list, tuple)):
            self.assertEqual(len(left), len(right))
            for one, other in zip(left, right):
                self.require_same(one, other)
        else:
            self.assertEqual(left, right)

    def require_equal(self, one: nn.Module, other: nn.Module) -> None:
        self.assertEqual(differing(one.parameters(), other.parameters()), 0)
