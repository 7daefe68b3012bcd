"""Optimizers that PyTorch has not got, and those of a user's own rule."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Mapping

import torch

from . import _rules, errors
from ._hyperparameters import require_one_of
from ._of_rules import OfRule
from ._optimizer import StoreOptions
from ._pytorch import Number, Params
from ._rules import UpdateRule
from ._stored import absolute

if TYPE_CHECKING:
    from typing_extensions import Unpack

_POTENTIALS = ("huber", "soft-sign", "power")


class SignSGD(OfRule):
    """signSGD (Bernstein et al. 2018, arXiv 1802.04434): the sign of the gradient; no state.

    ``θ ← (1 - lr·λ)·θ - lr·sign(g)``
    """

    _NAME = "signsgd"

    def __init__(
        self,
        params: Params,
        lr: Number = 0.01,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, maximize=maximize), **options)


class Signum(OfRule):
    """Signum (Bernstein et al. 2018, arXiv 1802.04434): the sign of the momentum.

    ``m ← μ·m + (1 - μ)·g``, ``θ ← (1 - lr·λ)·θ - lr·sign(m)``
    """

    _NAME = "signum"

    def __init__(
        self,
        params: Params,
        lr: Number = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, defaults, **options)


class Tiger(OfRule):
    """Tiger (Su 2023, github.com/bojone/tiger): Lion with one beta.

    ``m ← β·m + (1 - β)·g``, ``θ ← θ - lr·(sign(m) + λ·θ)``
    """

    _NAME = "tiger"

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-3,
        beta: float = 0.965,
        weight_decay: float = 0.01,
        *,
        maximize: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        super().__init__(params, dict(lr=lr, beta=beta, weight_decay=weight_decay, maximize=maximize), **options)


class LionK(OfRule):
    """Lion-K (Chen et al. 2023, arXiv 2310.05898): Lion with the gradient of another convex potential.

    :param potential: ``"huber"``: ``clip(c, eps) / eps`` takes the place of ``sign(c)``; ``"soft-sign"``:
        ``c / (|c| + eps)``; ``"power"``: ``sign(c)·√|c|``
    """

    _NAME = "lion-k"
    _PLACES = {"learning_rate": "lr", "beta1": ("betas", 0, 2), "beta2": ("betas", 1, 2)}

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-3,
        potential: str = "huber",
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr, betas=betas, eps=eps, potential=potential, weight_decay=weight_decay, maximize=maximize
        )
        super().__init__(params, defaults, **options)

    def _value(self, name: str, default: float, group: Mapping[str, Any]) -> float:
        if name != "potential":
            return super()._value(name, default, group)
        require_one_of(name, group[name], _POTENTIALS)
        return _POTENTIALS.index(group[name])


class AdEMAMix(OfRule):
    """AdEMAMix (Pagliardini et al. 2024, arXiv 2409.03137): AdamW with a second, slow momentum.

    :param beta3_warmup: in how many steps β3 grows from β1; none: at once
    :param alpha_warmup: in how many steps alpha grows from 0; none: at once
    """

    _NAME = "ademamix"
    _PLACES = {
        "learning_rate": "lr",
        "beta1": ("betas", 0, 3),
        "beta2": ("betas", 1, 3),
        "beta3": ("betas", 2, 3),
    }
    _HAS_STEP = True

    def __init__(
        self,
        params: Params,
        lr: Number = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 2.0,
        beta3_warmup: int | None = None,
        alpha_warmup: int | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        **options: Unpack[StoreOptions],
    ) -> None:
        defaults = dict(
            lr=lr,
            betas=betas,
            eps=eps,
            alpha=alpha,
            beta3_warmup=beta3_warmup,
            alpha_warmup=alpha_warmup,
            weight_decay=weight_decay,
            maximize=maximize,
        )
        super().__init__(params, defaults, **options)

    def _value(self, name: str, default: float, group: Mapping[str, Any]) -> float:
        is_none = name in ("beta3_warmup", "alpha_warmup") and group.get(name) is None
        return 0.0 if is_none else super()._value(name, default, group)


class Rule(OfRule):
    """An optimizer of a user's own rule, a text file of formulas (core/RULES.md).

    :param rule: the file
    :param lr: the learning rate; default: the rule's own
    :param hyperparameters: the others by the rule's names, for all groups; groups may have their own.
        Other keywords are those of :class:`lionstore.StoreOptimizer`
    :raises ArgumentError: if the text is no rule, naming the line and the column, or a keyword is none of
        the rule's hyperparameters
    """

    def __init__(
        self,
        params: Params,
        rule: str | os.PathLike[str],
        lr: Number | None = None,
        *,
        maximize: bool = False,
        **hyperparameters: Any,
    ) -> None:
        names = StoreOptions.__annotations__
        options = {name: value for name, value in hyperparameters.items() if name in names}
        given = {name: value for name, value in hyperparameters.items() if name not in names}
        self._file = absolute(rule, "rule")
        self._text = _read(self._file)
        moments = options.get("moments")
        require_one_of("moments", moments, _rules.MOMENTS)
        read = self._read_rule(moments)
        if read.counts_steps:
            self._HAS_STEP = True
        own = [name for name in read.hyperparameters if name != "learning_rate"]
        unknown = sorted(given.keys() - {*own})
        if unknown:
            raise errors.ArgumentError(
                f"{unknown[0]} is no hyperparameter of rule {read.name}, which has lr, {', '.join(own)}"
            )
        defaults = dict(zip(read.hyperparameters, read.defaults))
        rate = defaults.pop("learning_rate") if lr is None else lr
        super().__init__(params, {"lr": rate, **defaults, **given, "maximize": maximize}, **options)

    def _read_rule(self, moments: _rules.Moments) -> UpdateRule:
        return _rules.of_text(self._text, self._file, moments)

    def _rule_for(self, group: Mapping[str, Any], moments: _rules.Moments) -> UpdateRule:
        self._require_supported(group)
        self._chosen = self._NAME
        return self._read_rule(moments)


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as content:
            return content.read()
    except FileNotFoundError:
        raise errors.MissingError(f"{file}: there is no such file, expected a rule's text") from None
    except (OSError, UnicodeDecodeError) as failure:
        raise errors.ArgumentError(f"rule is {file}, expected a text file in UTF-8: {failure}") from None
