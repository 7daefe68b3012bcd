"""A run that is killed at random times ends with the hash of one that was not."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "examples/fine_tune.py"
STEPS = 60
KILLS = int(os.environ.get("LIONSTORE_KILLS", "4"))


class KillTest(unittest.TestCase):
    def test_killed_runs_end_with_the_same_hash(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            expected, seconds = self.whole_run(f"{folder}/whole")
            ways = ["step", "plane"]
            with ThreadPoolExecutor() as pool:
                runs = [pool.submit(self.killed_run, f"{folder}/{w}", w, seconds) for w in ways]
            for way, run in zip(ways, runs):
                with self.subTest(gradients=way):
                    self.assertEqual(run.result(), expected)

    def whole_run(self, store: str) -> tuple[str, float]:
        """Gives the hash, and how long the steps took."""
        with start(store, "step") as process:
            assert process.stdout is not None
            process.stdout.readline()
            begun = time.monotonic()
            output, _ = process.communicate(timeout=300)
            return hash_of(output), time.monotonic() - begun

    def killed_run(self, store: str, way: str, seconds: float) -> str:
        seed = random.randrange(1 << 30)
        dice = random.Random(seed)
        steps = []
        for _ in range(KILLS):
            with start(store, way) as process:
                assert process.stdout is not None
                steps.append(process.stdout.readline().split(";")[0])
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(dice.random() * 2 * seconds / KILLS)
                process.kill()
                process.communicate(timeout=60)
        with start(store, way) as process:
            output, _ = process.communicate(timeout=300)
        steps.append(output.split(";")[0])
        print(f"killed with seed {seed}, {way}: {', '.join(steps)}", file=sys.stderr)
        return hash_of(output)


def start(store: str, way: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, EXAMPLE, EXAMPLE, "--store", store, "--steps", str(STEPS)]
        + ["--batch", "1", "--gradients", way],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def hash_of(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith("hash ")]
    assert lines, f"the run did not end: {output}"
    return lines[-1]


if __name__ == "__main__":
    unittest.main()
