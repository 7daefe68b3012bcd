"""What ``optimizer.state`` and ``state_dict`` show of a store: tensors that are made when somebody looks."""

from __future__ import annotations

import copy
import functools
from collections import OrderedDict
from typing import Any, Callable, Iterator, Mapping, NoReturn, Sequence

import torch
from torch.utils._pytree import tree_leaves, tree_map

from . import errors

MASTER, STEP = "master", "step"


class StateTensor(torch.Tensor):
    """A copy of a part of the state, which refuses to be changed: the change would reach nothing."""

    plain: torch.Tensor

    @staticmethod
    def of(values: torch.Tensor) -> StateTensor:
        made: StateTensor = torch.Tensor._make_subclass(StateTensor, values)
        made.plain = values
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        function: Any,
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        schema = function._schema
        for argument, value in zip(schema.arguments, arguments):
            is_written = argument.alias_info is not None and argument.alias_info.is_write
            if is_written and any(isinstance(each, StateTensor) for each in tree_leaves(value)):
                refuse()
        result = function(*tree_map(_plain, arguments), **tree_map(_plain, keywords or {}))
        is_view = any(returned.alias_info is not None for returned in schema.returns)
        return tree_map(_guarded, result) if is_view else result

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        return self.plain.clone()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.plain.__reduce_ex__(protocol)

    # What PyTorch refuses to do with subclasses, or does not ask the dispatcher for.

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return repr(self.plain)

    def tolist(self) -> Any:
        return self.plain.tolist()

    def numpy(self, **keywords: Any) -> Any:
        return self.plain.clone().numpy(**keywords)

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.plain.clone().__array__(*arguments, **keywords)

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


def plain_values(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry whose tensors may be changed."""
    return {name: _plain(value) for name, value in entry.items()}


def _plain(value: Any) -> Any:
    return value.plain if isinstance(value, StateTensor) else value


def _guarded(value: Any) -> Any:
    return StateTensor.of(value) if type(value) is torch.Tensor else value


class Entry(dict[str, Any]):
    """A parameter's state in a state dict, read from the store at the first look."""

    def __init__(self, make: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        super().__init__()
        self._make: Callable[[], Mapping[str, torch.Tensor]] | None = make

    @property
    def is_made(self) -> bool:
        """Whether somebody has looked."""
        return self._make is None

    def _made(self) -> Entry:
        if self._make is not None:
            make = self._make
            self._make = None
            super().update(make())
        return self

    def __getitem__(self, key: str) -> Any:
        return dict.__getitem__(self._made(), key)

    def __iter__(self) -> Iterator[str]:
        return dict.__iter__(self._made())

    def __len__(self) -> int:
        return dict.__len__(self._made())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def keys(self) -> Any:
        return dict.keys(self._made())

    def values(self) -> Any:
        return dict.values(self._made())

    def items(self) -> Any:
        return dict.items(self._made())

    def get(self, key: str, default: Any = None) -> Any:
        return dict.get(self._made(), key, default)

    def copy(self) -> dict[str, Any]:
        return dict(self.items())

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self._made(), other)

    def __ne__(self, other: object) -> bool:
        return dict.__ne__(self._made(), other)

    def __repr__(self) -> str:
        return dict.__repr__(self._made())

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {key: _plain(value).clone() for key, value in self.items()}

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return OrderedDict, ([(key, _plain(value)) for key, value in self.items()],)


class Shown(Entry):
    """An entry of ``optimizer.state``, which refuses to be changed: the change would reach nothing."""


def _after_a_look(name: str) -> Callable[..., Any]:
    """A dict's method of that name, for an entry whose content must not come later than the change."""
    change = getattr(dict, name)

    def method(entry: Entry, *arguments: Any, **keywords: Any) -> Any:
        return change(entry._made(), *arguments, **keywords)

    return method


def _refused(*_: Any, **__: Any) -> NoReturn:
    refuse()


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(Entry, _name, _after_a_look(_name))
    setattr(Shown, _name, _refused)


class Reference:
    """The ``state`` of a ``state_dict`` that is too large to carry: each entry is read when it is looked at.

    A file gets an empty dict in its place. It is no ``Mapping``, so that what moves whole state dicts to
    a device, as Accelerate does, leaves it where it is.
    """

    def __init__(self, entries: Mapping[Any, Entry]) -> None:
        self._entries: dict[Any, Any] = {
            key: Entry(functools.partial(plain_values, entry)) for key, entry in entries.items()
        }

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has looked."""
        return all(isinstance(each, Entry) and not each.is_made for each in self._entries.values())

    def __getitem__(self, key: Any) -> Any:
        return self._entries[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._entries[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def keys(self) -> Any:
        """As of a dict."""
        return self._entries.keys()

    def values(self) -> Any:
        """As of a dict."""
        return self._entries.values()

    def items(self) -> Any:
        """As of a dict."""
        return self._entries.items()

    def get(self, key: Any, default: Any = None) -> Any:
        """As of a dict."""
        return self._entries.get(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        """As of a dict."""
        return self._entries.pop(key, *default)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return copy.deepcopy(self._entries, memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return OrderedDict, ()


class State(Mapping[torch.Tensor, Mapping[str, torch.Tensor]]):
    """``optimizer.state``: for each trained parameter the rule's states, by PyTorch's names, and,
    unless it is float32, ``master``.

    Entries and their tensors are copies, made by each look, that cannot be changed: ``load_state_dict``
    is how a state is replaced.
    """

    def __init__(
        self,
        parameters: Callable[[], Mapping[torch.Tensor, Any]],
        look: Callable[[Any], Mapping[str, torch.Tensor]],
    ) -> None:
        self._parameters, self._look = parameters, look

    def __getitem__(self, parameter: torch.Tensor) -> Shown:
        binding = self._parameters().get(parameter)
        if binding is None:
            return Shown(lambda: {})  # frozen, or nobody's: as PyTorch's
        return Shown(
            lambda: {key: StateTensor.of(value) for key, value in self._look(binding).items()}
        )

    def get(self, parameter: Any, default: Any = None) -> Any:
        return self[parameter] if parameter in self._parameters() else default

    def __contains__(self, parameter: object) -> bool:
        return parameter in self._parameters()

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self._parameters())

    def __len__(self) -> int:
        return len(self._parameters())

    def __setitem__(self, parameter: Any, value: Any) -> NoReturn:
        refuse()

    def __delitem__(self, parameter: Any) -> NoReturn:
        refuse()

    def clear(self) -> NoReturn:
        """Is refused: the state is the store's."""
        refuse()

    def update(self, *_: Any, **__: Any) -> NoReturn:
        """Is refused: the state is the store's."""
        refuse()

    def pop(self, *_: Any) -> NoReturn:
        """Is refused: the state is the store's."""
        refuse()

    def setdefault(self, *_: Any) -> NoReturn:
        """Is refused: the state is the store's."""
        refuse()


def refuse() -> NoReturn:
    """Says that the state is changed elsewhere."""
    raise errors.StateError(
        "optimizer.state shows what the store has and cannot be changed here: optimizer.load_state_dict"
        " replaces it"
    )
