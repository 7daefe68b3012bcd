"""Lion as a PyTorch optimizer whose state lives in a store."""

from __future__ import annotations

import os
from typing import Any, Iterable, Mapping

import torch

from . import _rules, errors
from ._hyperparameters import require_hyperparameters, require_one_of
from ._optimizer import StoreOptimizer
from ._rules import UpdateRule


class Lion(StoreOptimizer):
    """Lion (Chen et al. 2023, arXiv 2302.06675) whose state lives in a store.

    With ``c = β1·m + (1 - β1)·g`` a step is ``θ ← θ·(1 - lr·λ) - lr·sign(c)`` and
    ``m ← β2·m + (1 - β2)·g``. θ is an exact float32 master, whatever the dtype of the parameter; m is
    bfloat16. A step is a transaction: after ``kill -9``, the same constructor call finds the state
    before the step or after it, never a mixture.

    If a store exists, it is opened, and **the model gets the store's weights**. Otherwise a store is
    made from the model's weights. From then on, a bfloat16 parameter on the CPU uses the store's
    memory; every other parameter is written after each step. The next step starts from the values that
    the model has, whoever changed them.

    :param params: ``model.named_parameters()``, or groups of named parameters; a group may have ``lr``,
        ``betas``, ``weight_decay``, ``maximize`` and a ``name`` of its own. Parameters without names
        need ``model``. A model in this place means its ``named_parameters()`` and ``model=``: Trainer
        calls optimizers of ``optimizer_cls_and_kwargs`` this way
    :param store: the store's folder; on a tmpfs (``/dev/shm``) it takes only memory
    :param lr: the learning rate; a third to a tenth of AdamW's
    :param betas: β1 and β2, each in [0, 1)
    :param weight_decay: decoupled weight decay λ; three to ten times AdamW's
    :param rounding: the rounding of the momentum, ``"nearest"`` or ``"stochastic"``; default: the
        store's own, and nearest for a new store
    :param seed: the seed of stochastic rounding, for a new store
    :param maximize: whether to ascend
    :param clip_norm: the global norm that gradients are clipped to, exactly and deterministically
    :param gradients: ``"step"``: gradients stay in ``.grad`` until ``step()``. ``"plane"``: they leave
        for the store as they appear, which frees their memory; several backward passes add up, and the
        store answers what ``.grad`` is asked. ``"stream"``: each tensor is stepped as its gradient
        appears, and no gradient is kept, so a killed step cannot be finished and the norm cannot be
        clipped. Default: ``"plane"`` if a parameter is on a device other than the CPU, else ``"step"``
    :param gradient_dtype: the type in which a new store keeps gradients: ``torch.float32``, or
        ``torch.bfloat16``, which accepts only bfloat16 gradients; default: float32 unless every trained
        parameter is bfloat16
    :param backend: where steps are computed: ``"auto"``, ``"vector"``, ``"scalar"``,
        ``"opencl[:device]"``
    :param threads: the number of threads that step; default: one per core
    :param model: the model. It supplies names and buffers (published with each step, part of
        snapshots), and parameters that a framework has replaced are found again in it
    :param model_files: a folder whose files, except weights, a new store copies for its snapshots:
        what ``save_pretrained`` of the model, its configuration or its tokenizer wrote
    :param foreach: accepted for compatibility, and changes nothing
    :param fused: likewise
    :param capturable: must be false, because a step runs on the host
    :param differentiable: must be false
    :param moments: the type of the momentum, ``torch.bfloat16``, ``torch.float32`` or ``"8bit"``; default:
        bfloat16
    :param full_state_dict: whether ``state_dict()`` carries the whole state into a file, or only names
        the store and the step; default: the whole state if it takes a gibibyte or less
    :param max_consecutive_skips: how many steps in a row may be skipped, because of gradients that are
        not finite, before the next skip is an error; default: no limit
    :raises ArgumentError: if a value is out of bounds, a parameter has no name, or a parameter holds
        values that a store cannot hold
    :raises MismatchError: if the store holds another model
    :raises BusyError: if another optimizer is writing the store
    :raises StateError: if another Lionstore optimizer has one of the parameters
    :raises UnusableError: if the store cannot be trusted: restore a snapshot
    """

    _OTHERS = frozenset({"eps", "amsgrad", "momentum", "dampening", "nesterov", "alpha", "rho", "rho1", "eps1"})

    def __init__(
        self,
        params: Iterable[Any] | torch.nn.Module,
        store: str | os.PathLike[str],
        lr: float | torch.Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        rounding: str | None = None,
        seed: int = 0,
        maximize: bool = False,
        clip_norm: float | None = None,
        gradients: str | None = None,
        gradient_dtype: torch.dtype | None = None,
        backend: str = "auto",
        threads: int | None = None,
        model: torch.nn.Module | None = None,
        model_files: str | os.PathLike[str] | None = None,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        full_state_dict: bool | None = None,
        max_consecutive_skips: int | None = None,
        moments: _rules.Moments = None,
    ) -> None:
        flags = dict(foreach=foreach, fused=fused)
        for name, flag in flags.items():
            require_one_of(name, flag, [None, False, True])
        defaults: dict[str, Any] = dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)
        require_hyperparameters({**defaults, "capturable": capturable, "differentiable": differentiable})
        defaults.update({name: flag for name, flag in flags.items() if flag is not None})
        super().__init__(
            params,
            defaults,
            store=store,
            rounding=rounding,
            seed=seed,
            clip_norm=clip_norm,
            gradients=gradients,
            gradient_dtype=gradient_dtype,
            moments=moments,
            backend=backend,
            threads=threads,
            model=model,
            model_files=model_files,
            full_state_dict=full_state_dict,
            max_consecutive_skips=max_consecutive_skips,
        )

    def _rule_for(self, group: Mapping[str, Any], moments: _rules.Moments) -> UpdateRule:
        return _rules.named("lion", moments)

    def _hyperparameters(self, group: Mapping[str, Any]) -> tuple[float, float, float, float]:
        return require_hyperparameters(group)

    def _require_loadable(self, group: Mapping[str, Any]) -> None:
        super()._require_loadable(group)
        if group.get("cautious_factor", 1.0) != 1.0:
            raise errors.MismatchError(
                f"the state_dict is of a cautious Lion (cautious_factor {group['cautious_factor']}), whose"
                " steps are others than Lion's"
            )

    def momentum(self, parameter: torch.Tensor) -> torch.Tensor:
        """A copy of a trained parameter's momentum (``exp_avg``), in float32."""
        with self._alone():
            binding = self._trained().get(parameter)
            if binding is None:
                return torch.zeros(parameter.shape)
            rule = self._of_groups[binding.group]._rule
            states = [plane.name for plane in rule.planes]
            if "exp_avg" not in states:
                raise errors.ArgumentError(f"{binding.name} has no momentum exp_avg: its group's rule is {rule.name}")
            return self._copied(binding, states.index("exp_avg"))
