"""A few kills of the campaign: batch norm, schedulers of several habits, pruning, background snapshots."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import unittest
from pathlib import Path

import torch

import kill_campaign

KILLS = int(os.environ.get("LIONSTORE_KILLS", "4"))


class CampaignTest(unittest.TestCase):
    def test_killed_runs_end_as_those_that_nobody_killed(self) -> None:
        torch.set_num_threads(1)
        seed = random.randrange(1 << 30)
        print(f"killed {KILLS} times with seed {seed}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            self.assertGreater(kill_campaign.campaign(KILLS, seed, Path(folder), per_run=KILLS), 0)


if __name__ == "__main__":
    unittest.main()
