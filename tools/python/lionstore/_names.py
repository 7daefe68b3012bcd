"""The model's parameters as tensors of a store: their names, and what can be stored."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

import torch

from . import errors
from ._memory import require_plain
from ._store import InFiles, Layout, Tensor

if TYPE_CHECKING:
    from ._adapters import Adapter


_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""What torch.compile, FSDP and activation checkpointing put into names."""
_DISTRIBUTED = "module"
"""What DataParallel, DistributedDataParallel and AveragedModel put before all of a model's names."""

_DISTRIBUTED_WRAPPERS = (
    torch.nn.DataParallel,
    torch.nn.parallel.DistributedDataParallel,
    torch.optim.swa_utils.AveragedModel,
)


class Names:
    """The names of parameters: the model's own, without what wrappers of the model add.

    A compiled, a distributed and a plain model so have one store.
    """

    def __init__(self, model: torch.nn.Module | None, adapter: Adapter | None = None) -> None:
        self._model = None if model is None else weakref.ref(model)
        self._adapter = adapter
        self._left_out: dict[str, weakref.ref[torch.Tensor]] = {}
        self._given: dict[int, str] = {}
        self._own: dict[int, str] = {}
        self._by_model: set[int] = set()
        """Whose names are the model's word, so that nothing is left to be taken off."""
        self._newest: set[int] = set()

    @property
    def model(self) -> torch.nn.Module | None:
        """The model, if it was handed over and is still there."""
        return None if self._model is None else self._model()

    @property
    def of_model(self) -> dict[int, str]:
        """The names of the model's parameters as it has them now, by identity."""
        names = self._in_model
        return names if self._adapter is None else {each: self._adapter.stored(n) for each, n in names.items()}

    @property
    def of_snapshot(self) -> set[str]:
        """The names of the parameters that a snapshot of the model needs."""
        adapter = self._adapter
        if adapter is None:
            return {*self.of_model.values()}
        return {adapter.stored(name) for name in self._in_model.values() if name in adapter.saved}

    @property
    def _in_model(self) -> dict[int, str]:
        model = self.model
        if model is None:
            return {}
        wrapped = _wrapped_by_all(model)
        names: dict[int, str] = {}
        saved = self._adapter.saved if self._adapter is not None else {}
        for name, parameter in model.named_parameters(remove_duplicate=False):
            inner = inner_name(name, wrapped)
            if names.setdefault(id(parameter), inner) not in saved and inner in saved:
                names[id(parameter)] = inner
        return names

    def are_in_model(self, parameters: Iterable[torch.Tensor]) -> bool:
        """Whether all of them are parameters of the model, if one is known."""
        model = self.model
        return model is None or {id(p) for p in parameters} <= {id(p) for p in model.parameters()}

    def taken_from(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """A group without the names in its parameters, which are remembered.

        :raises ArgumentError: if a parameter has no name, or that of another one
        :raises TypeError: if the group is none
        """
        self._newest = set()
        if not isinstance(group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(group)}")
        members = group["params"]
        if isinstance(members, set):
            raise TypeError("a set of parameters has no order that stays: hand over a list")
        members = [members] if isinstance(members, torch.Tensor) or _is_named(members) else list(members)
        given = [member if _is_named(member) else (None, member) for member in members]
        if self._adapter is not None:
            given = self._kept(given, self._adapter)
        before = set(self._given)
        try:
            self._name([parameter for _, parameter in given], [name for name, _ in given])
            self._settle()
        finally:
            self._newest = set(self._given) - before
        parameters = [parameter for _, parameter in given]
        return {**group, "params": parameters, "param_names": [self.of(p) for p in parameters]}

    def _kept(self, given: list[tuple[str | None, Any]], adapter: Adapter) -> list[tuple[str | None, Any]]:
        """Without the frozen base, and without other adapters that are frozen."""
        in_model = self._in_model
        kept = []
        for name, parameter in given:
            inner = in_model.get(id(parameter))
            if inner is None or adapter.keeps(inner, parameter):
                kept.append((name, parameter))
            else:
                self._left_out[inner] = weakref.ref(parameter)
        return kept

    def require_nothing_left_out(self) -> None:
        """Checks that what was left out because it was frozen still is.

        :raises StateError: if it is not
        """
        for name, reference in self._left_out.items():
            parameter = reference()
            if parameter is not None and parameter.requires_grad and id(parameter) not in self._own:
                raise errors.StateError(
                    f"{name} is trained now, and was left out of the store because it was frozen: add it with"
                    " add_param_group; another adapter needs an optimizer with a store of its own"
                )

    def _name(self, parameters: list[Any], given: list[str | None]) -> None:
        of_model = self.of_model
        for parameter, name in zip(parameters, given):
            if not isinstance(parameter, torch.Tensor):
                raise TypeError(
                    f"Lionstore optimizes Tensors, but one of the params is {torch.typename(parameter)}"
                )
            found = of_model.get(id(parameter)) or name
            if id(parameter) in of_model:
                self._by_model.add(id(parameter))
            if found is None:
                raise errors.ArgumentError(
                    f"a parameter of shape {[*parameter.shape]} has no name, and its state outlives"
                    " the process: hand over model.named_parameters() instead of model.parameters(),"
                    " or add model=model"
                )
            self._given[id(parameter)] = found

    def _settle(self) -> None:
        """Takes off what wrappers put before names, once all of the names of a group are known."""
        new = {identity: name for identity, name in self._given.items() if identity not in self._own}
        plain = dict(zip(new, without_wrappers([*new.values(), *self._given_before()])))
        plain.update({each: name for each, name in new.items() if each in self._by_model})
        taken = {name: identity for identity, name in self._own.items()}
        for identity, name in plain.items():
            if taken.setdefault(name, identity) != identity:
                raise errors.ArgumentError(f"two parameters are called {name}: names tell them apart")
            self._own[identity] = name

    def _given_before(self) -> list[str]:
        return [self._given[identity] for identity in self._own]

    def forget_newest(self) -> None:
        """Forgets the parameters of the last group: it could not be added."""
        for identity in self._newest:
            self._given.pop(identity, None)
            self._own.pop(identity, None)
            self._by_model.discard(identity)
        self._newest = set()

    def of(self, parameter: torch.Tensor) -> str:
        return self._own[id(parameter)]

    def renewed(self, parameters: Sequence[torch.Tensor]) -> Names | None:
        """The names of parameters that stand for those named here, if all of them are the model's."""
        of_model = self.of_model
        renewed = Names(None, self._adapter)
        renewed._left_out = self._left_out
        renewed._model = self._model
        for parameter in parameters:
            name = of_model.get(id(parameter)) or self._own.get(id(parameter))
            if name is None:
                return None
            renewed._given[id(parameter)] = renewed._own[id(parameter)] = name
        return renewed if sorted(renewed._own.values()) == sorted(self._own.values()) else None


def names_in(model: torch.nn.Module, names: Iterable[str]) -> list[str]:
    """Names of a model's parts without what wrappers of it have added."""
    wrapped = _wrapped_by_all(model)
    return [inner_name(name, wrapped) for name in names]


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """A model without the wrappers around all of it."""
    return _unwrapped(model)[0]


def _wrapped_by_all(model: torch.nn.Module) -> int:
    """How many wrappers around the whole model call it ``module``; not if that is its own name for a part."""
    return _unwrapped(model)[1]


def _unwrapped(model: torch.nn.Module) -> tuple[torch.nn.Module, int]:
    count = 0
    while True:
        compiled: Any = getattr(model, "_orig_mod", None)
        if isinstance(model, _DISTRIBUTED_WRAPPERS):
            count, model = count + 1, model.module
        elif isinstance(compiled, torch.nn.Module):
            model = compiled
        else:
            return model, count


def inner_name(name: str, wrapped: int = 0) -> str:
    """A name without what wrappers add: those within the model, and so many around all of it."""
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    return ".".join(parts[wrapped:])


def without_wrappers(names: Iterable[str]) -> list[str]:
    """Names without the parts that wrappers of a model have added, in their order."""
    split = [name.split(".") for name in names]
    inner = [[part for part in parts if part not in _WRAPPERS] for parts in split]
    while inner and all(parts[0] == _DISTRIBUTED and len(parts) > 1 for parts in inner):
        inner = [parts[1:] for parts in inner]
    plain = [".".join(parts) for parts in inner]
    return plain if len(set(plain)) == len(set(map(tuple, split))) else [".".join(p) for p in split]


def _is_named(member: Any) -> bool:
    return isinstance(member, tuple) and len(member) == 2 and isinstance(member[0], str)


def default_plane(parameters: Iterable[torch.Tensor]) -> torch.dtype:
    """What a store keeps gradients in unless it is told."""
    trained = {p.dtype for p in parameters if p.requires_grad}
    return torch.bfloat16 if trained == {torch.bfloat16} else torch.float32


def layout_groups(
    groups: Sequence[Mapping[str, Any]],
    names: Names,
    in_files: Mapping[str, tuple[InFiles, ...]],
    stored: Sequence[str] = (),
) -> list[tuple[str, list[Tensor]]]:
    """The groups of an optimizer, as a store has them.

    :param in_files: what the model's files have of parameters that are not in them as in memory
    :param stored: the names of the store's groups, if there is one: a group without a name has that of its rule,
        as an import gives it, and where one is left, and one group without a name, that is its name
    :raises ArgumentError: if a parameter cannot be stored
    """
    memory: dict[int, str] = {}
    made = []
    called = {index: f"group{index}" for index in range(len(groups))}
    unnamed = [index for index, group in enumerate(groups) if group["params"] and "name" not in group]
    left = [name for name in stored if name not in {group.get("name") for group in groups}]
    for index in [*unnamed]:
        rule = groups[index].get("rule")
        if rule in left:
            called[index] = rule
            left.remove(rule)
            unnamed.remove(index)
    if len(unnamed) == len(left) == 1:
        called[unnamed[0]] = left[0]
    for index, group in enumerate(groups):
        tensors = []
        for parameter in group["params"]:
            name = names.of(parameter)
            _require_storable(name, parameter, memory)
            shape, is_trained = tuple(parameter.shape), parameter.requires_grad
            tensors.append(Tensor(name, shape, is_trained, in_files.get(name, ())))
        made.append((str(group.get("name", called[index])), tensors))
    return made


def require_plane_fits(layout: Layout, parameters: Iterable[torch.Tensor]) -> None:
    if layout.gradient_plane is torch.bfloat16:
        for parameter in parameters:
            if parameter.requires_grad and parameter.dtype is not torch.bfloat16:
                raise errors.ArgumentError(
                    f"a store that keeps bfloat16 gradients cannot train {parameter.dtype}"
                    " parameters: make it with gradient_dtype=torch.float32"
                )


def _require_storable(name: str, parameter: torch.Tensor, memory: dict[int, str]) -> None:
    require_plain(parameter, f"parameter {name}")
    if parameter.numel() > 0:
        owner = memory.setdefault(parameter.data_ptr(), name)
        if owner != name:
            raise errors.ArgumentError(
                f"{name} and {owner} share memory without being one parameter: tie them by"
                " assigning the parameter itself"
            )
