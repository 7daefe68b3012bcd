"""Whatever stands in ``.grad`` at ``step()`` is stepped, in each way, or the way that can is named."""

from __future__ import annotations

import unittest
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad, vmap  # type: ignore[attr-defined]
from torch.utils.checkpoint import checkpoint

from cases import BY_PLANE, DTYPES, WAYS, LionTest, backward, copies, deep, given_up, iterate, seeded, some, square
from reference import differing



class AssignedTest(LionTest):
    def test_gradients_that_no_backward_pass_has_written_are_stepped(self) -> None:
        def assign(model: Any, optimizer: Any) -> None:
            for number in range(3):
                parameters = [*model.parameters()]
                loss = model(some(number, 2, 4).to(model.weight.dtype)).sum()
                for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters)):
                    parameter.grad = gradient
                optimizer.step()

        self.assert_as_plain(assign, dtypes=DTYPES, lr=0.05)

    def test_gradients_of_samples_replace_those_of_the_batch(self) -> None:
        # functorch#372, Opacus
        def clip_each_sample(model: Any, optimizer: Any) -> None:
            for number in range(3):
                batch = some(number, 5, 6)
                optimizer.zero_grad()
                backward(model, batch)
                weights = {name: p.detach() for name, p in model.named_parameters()}

                def loss(weights: Any, sample: torch.Tensor) -> torch.Tensor:
                    total: torch.Tensor = functional_call(model, weights, (sample[None],)).float().sum()
                    return total

                found = vmap(grad(loss), (None, 0))(weights, batch)
                for name, parameter in model.named_parameters():
                    parameter.grad = found[name].clamp(-0.5, 0.5).sum(0) + some(number, *parameter.shape)
                optimizer.step()

        self.assert_as_plain(clip_each_sample, deep, refused={"stream": "second gradient"}, lr=0.01)

    def test_gradients_of_tasks_are_read_cleared_and_projected(self) -> None:
        # Pytorch-PCGrad#5
        def project(model: Any, optimizer: Any) -> None:
            for number in range(3):
                output, tasks = model(some(number, 3, 6)), []
                for task in range(3):
                    optimizer.zero_grad()
                    output[:, task].sum().backward(retain_graph=True)
                    tasks.append([parameter.grad.clone() for parameter in model.parameters()])
                optimizer.zero_grad()
                for parameter, *parts in zip(model.parameters(), *tasks):
                    parameter.grad = parts[0] + parts[1].abs() - parts[2] / 2
                optimizer.step()

        refused = {"stream": 'choose gradients="plane"'}
        self.assert_as_plain(project, deep, refused=refused, lr=0.01)

    def test_none_after_the_backward_pass_leaves_a_parameter_alone(self) -> None:
        # DINO's cancel_gradients_last_layer, sparseml#965
        def cancel(model: Any, optimizer: Any) -> None:
            for number in range(4):
                optimizer.zero_grad()
                backward(model, some(number, 3, 6))
                if number < 2:
                    model[2].weight.grad = None
                if number == 2:
                    model[0].bias.requires_grad_(False).grad = None
                optimizer.step()
                model[0].bias.requires_grad_(True)

        said = "0.bias|2.weight.*was set to None"
        self.assert_as_plain(cancel, deep, dtypes=DTYPES[:2], refused={"stream": said}, weight_decay=0.1)

    def test_a_stream_that_cannot_leave_it_alone_can_be_given_up(self) -> None:
        model = square()
        optimizer = self.lion_of(model, gradients="stream")
        backward(model, torch.ones(2, 4))
        model.weight.grad = None
        with self.refuses("weight", 'gradients="plane"'):
            optimizer.step()
        with self.assertWarnsRegex(UserWarning, "2 of 2 tensors had been stepped"):
            optimizer.zero_grad()
        iterate(model, optimizer)
        self.assertEqual(optimizer.steps, 2)

    def test_the_module_forgets_gradients_too(self) -> None:
        def forget(model: Any, optimizer: Any) -> None:
            for number in range(6):
                backward(model, some(number, 3, 6))
                if number % 3 == 0:
                    model.zero_grad(set_to_none=number == 0)
                    backward(model, some(number + 50, 3, 6))
                optimizer.step()
                model.zero_grad()

        self.assert_as_plain(forget, deep, dtypes=DTYPES[:2], refused={"stream": "None|second"}, lr=0.01)

    def test_frozen_parameters_stay_and_are_trained_again_with_their_momentum(self) -> None:
        # fairseq#4702
        def freeze(model: Any, optimizer: Any) -> None:
            for number in range(6):
                model[0].requires_grad_(number not in (2, 3))
                iterate(model, optimizer, some(number, 3, 6))

        self.assert_as_plain(freeze, deep, dtypes=DTYPES, lr=0.01, weight_decay=0.5)

    def test_sparse_gradients_are_refused_by_name_in_each_way(self) -> None:
        # pytorch#4682
        for way in WAYS:
            model = nn.Embedding(7, 3, sparse=True)
            optimizer = self.lion_of(model, gradients=way)
            before = copies(model)
            with self.refuses("gradient of weight", "dense"):
                model(torch.tensor([1, 2])).sum().backward()
                optimizer.step()
            self.assertEqual((differing(before, model.parameters()), optimizer.steps), (0, 0))
            model.weight.grad = None

    def test_strides_are_whatever_they_are(self) -> None:
        # pytorch#106951, bitsandbytes#1187
        def assign(model: Any, optimizer: Any) -> None:
            strided = [
                some(1, 4, 4).T,
                some(2, 4, 1).expand(4, 4),
                some(3, 8, 8)[::2, ::2],
                torch.complex(some(4, 4, 4), some(5, 4, 4)).conj().imag,
            ]
            for gradient in strided:
                model.weight.grad = gradient.to(model.weight.dtype)
                model.bias.grad = torch.ones(1, dtype=model.bias.dtype).expand(4)
                optimizer.step()

        self.assert_as_plain(assign, dtypes=DTYPES, lr=0.05)

    def test_images_are_channels_last(self) -> None:
        # pytorch#47163
        def make() -> nn.Module:
            layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1))
            return layers.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]

        def alternate(model: Any, optimizer: Any) -> None:
            # Parameters that are mapped are contiguous, and oneDNN's bfloat16 convolutions round by that.
            for parameter in model.parameters():
                if parameter.dtype is torch.bfloat16:
                    parameter.data = parameter.data.contiguous()
            for number in range(4):
                layout = torch.channels_last if number % 2 else torch.contiguous_format
                iterate(model, optimizer, some(number, 2, 3, 5, 5).contiguous(memory_format=layout))

        self.assert_as_plain(alternate, make, dtypes=DTYPES[:2], lr=0.01)

    def test_a_gradient_of_another_dtype_is_read_as_what_it_is_or_refused(self) -> None:
        # pytorch#111317
        for way in WAYS:
            for given in (torch.bfloat16, torch.float16, torch.float64):
                with self.subTest(gradients=way, dtype=given):
                    model = seeded(square)
                    optimizer = self.lion_of(model, gradients=way, lr=0.5)
                    before = model.weight.detach().clone()
                    values = some(3, 4, 4).to(given)
                    model.weight.grad = torch.zeros(4, 4)
                    model.weight.grad.data = values
                    if given is torch.float64:
                        with self.refuses("gradient of weight", "float64"):
                            optimizer.step()
                        self.assertTrue(torch.equal(model.weight, before))
                    else:
                        optimizer.step()
                        self.assertTrue(torch.equal(model.weight, before - values.sign() * 0.5))


class PassesTest(LionTest):
    def test_micro_batches_and_losses_add_up(self) -> None:
        # open-instruct#1498, CTGAN#37
        def add_up(model: Any, optimizer: Any) -> None:
            for number in range(3):
                optimizer.zero_grad()
                for part in range(2):
                    backward(model, some(10 * number + part, 2, 6))
                output = model(some(number, 3, 6).to(model[0].weight.dtype)).float()
                output.sum().backward(retain_graph=True)
                output.square().sum().backward()
                optimizer.step()

        refused = {"stream": r"optimizer\.accumulating\(\)"}
        self.assert_as_plain(add_up, deep, dtypes=DTYPES[:2], refused=refused, lr=0.01)

    def test_a_shared_layer_is_computed_again_in_the_backward_pass(self) -> None:
        for is_reentrant in (False, True):
            def share(model: Any, optimizer: Any) -> None:
                for number in range(3):
                    optimizer.zero_grad()
                    batch = some(number, 2, 4).to(model.weight.dtype).requires_grad_()
                    hidden = checkpoint(model, batch, use_reentrant=is_reentrant)
                    checkpoint(model, hidden, use_reentrant=is_reentrant).sum().backward()
                    optimizer.step()

            with self.subTest(reentrant=is_reentrant):
                ways = ["step", "plane"] if is_reentrant else WAYS
                self.assert_as_plain(share, ways=ways, dtypes=DTYPES[:2], lr=0.05)
        for dtype in DTYPES[:2]:
            model = seeded(square).to(dtype)
            optimizer = self.lion_of(model, gradients="stream", lr=0.05)
            with given_up(), self.stream_refuses("re-entrant checkpointing.*plane"):
                share(model, optimizer)

    def test_hooks_of_users_change_gradients(self) -> None:
        # pytorch#76464, open_lth#6
        def negate(model: Any, optimizer: Any) -> None:
            model[2].weight.register_post_accumulate_grad_hook(lambda p: p.grad.neg_() is None or None)
            hook = model[0].weight.register_hook(lambda gradient: gradient * (torch.arange(6) % 2))
            for number in range(3):
                iterate(model, optimizer, some(number, 3, 6))
            hook.remove()

        self.assert_as_plain(negate, deep, refused={"stream": "2.weight.*neither clip"}, lr=0.01)

    def test_gradients_are_mended_and_clamped_in_place(self) -> None:
        # habitat-lab#2229
        def mend(model: Any, optimizer: Any) -> None:
            for number in range(4):
                optimizer.zero_grad()
                backward(model, some(number, 2, 6) * (float("inf") if number == 2 else 1))
                for parameter in model.parameters():
                    torch.nan_to_num_(parameter.grad, nan=0.0, posinf=0.0, neginf=0.0)
                nn.utils.clip_grad_value_(model.parameters(), 0.5)
                optimizer.step()

        self.assert_as_plain(mend, deep, dtypes=DTYPES[:2], refused=BY_PLANE, lr=0.01)

    def test_a_stream_is_given_up_by_zero_grad_and_by_closing(self) -> None:
        for ends in ("zero_grad", "close"):
            model = seeded(deep)
            optimizer = self.lion_of(model, gradients="stream")
            model[2](torch.ones(2, 8)).sum().backward()
            with self.refuses(r"call step\(\)"):
                optimizer.snapshot(f"{self.folder}/never")
            with self.assertWarnsRegex(UserWarning, "2 of 4 tensors had been stepped"):
                getattr(optimizer, ends)()
            if optimizer.store.is_open:
                iterate(model, optimizer, some(1, 2, 6))
                self.assertEqual(optimizer.steps, 2)


class ReducedTest(LionTest):
    """DistributedDataParallel, alone in its group."""

    def setUp(self) -> None:
        super().setUp()
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{self.folder}/rendezvous", rank=0, world_size=1
        )
        self.addCleanup(torch.distributed.destroy_process_group)

    def test_reduced_gradients_are_stepped_and_a_stream_names_the_ways_that_can(self) -> None:
        # fairscale#354, pytorch#44344
        for views in (False, True):
            def accumulate(model: Any, optimizer: Any) -> None:
                wrapped = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=views)
                for number in range(4):
                    optimizer.zero_grad(set_to_none=number % 2 == 0)
                    with wrapped.no_sync():
                        backward(wrapped, some(number, 3, 6))
                    backward(wrapped, some(number + 50, 3, 6))
                    optimizer.step()

            with self.subTest(views=views):
                refused = {"stream": 'DistributedDataParallel.*choose gradients="plane" or "step"'}
                self.assert_as_plain(accumulate, deep, refused=refused, lr=0.01)


if __name__ == "__main__":
    unittest.main()
