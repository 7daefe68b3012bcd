"""Gradients that are scaled, clipped or not finite skip the step that they are of, and no other."""

from __future__ import annotations

import unittest
from typing import Any

from torch import nn
from torch.amp import GradScaler  # type: ignore[attr-defined]

from cases import BY_PLANE, LionTest, backward, deep, given_up, some


class ScaledTest(LionTest):
    def test_a_scaler_overflows_and_recovers(self) -> None:
        # pytorch#67590
        for is_clipped in (False, True):
            def scale(model: Any, optimizer: Any) -> None:
                scaler = GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-60)
                for number in range(5):
                    optimizer.zero_grad()
                    scaler.scale(model(some(number, 3, 6)).sum() * 8).backward()
                    if is_clipped:
                        scaler.unscale_(optimizer)
                        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()

            with self.subTest(clipped=is_clipped):
                self.assert_as_plain(scale, deep, refused=BY_PLANE, exact=False, lr=0.01)

    def test_a_norm_that_is_not_finite_skips_the_step_and_no_other(self) -> None:
        # habitat-lab#2226
        def clip(model: Any, optimizer: Any) -> None:
            for number in range(7):
                model.zero_grad()
                backward(model, some(number, 2, 6) * {2: float("nan"), 4: float("inf")}.get(number, 1))
                norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                self.assertEqual(bool(norm.isfinite()), number not in (2, 4))
                with given_up():
                    optimizer.step()
                self.assertEqual(optimizer.step_was_skipped, number in (2, 4))

        self.assert_as_plain(clip, deep, refused=BY_PLANE, exact=False, lr=0.01)

    def test_clipping_may_raise_and_training_goes_on(self) -> None:
        # pytorch#46849
        def clip(model: Any, optimizer: Any) -> None:
            for number in range(5):
                (model if number % 2 else optimizer).zero_grad()
                backward(model, some(number, 2, 6) * (float("inf") if number == 2 else 1))
                try:
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
                except RuntimeError as error:
                    if number != 2:
                        raise
                    self.assertIn("non-finite", str(error))
                else:
                    optimizer.step()

        self.assert_as_plain(clip, deep, refused=BY_PLANE, exact=False, lr=0.01)

    def test_the_whole_of_a_window_is_skipped_for_one_micro_batch(self) -> None:
        # espnet#3283
        def window(model: Any, optimizer: Any) -> None:
            for number in range(5):
                optimizer.zero_grad(set_to_none=number < 3)
                for part in range(3):
                    is_bad = (number, part) == (2, 1)
                    backward(model, some(10 * number + part, 2, 6) * (float("nan") if is_bad else 1))
                with given_up():
                    optimizer.step()

        self.assert_as_plain(window, deep, refused={"stream": "accumulating"}, lr=0.01, weight_decay=0.1)


if __name__ == "__main__":
    unittest.main()
