"""Runs every module of tests in a process of its own, as many at once as there are cores.

Where transformers is installed, the suites that need it, too; with ``--suites`` those alone.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

LONGEST = ["families_suite", "test_kill", "test_kill_campaign", "test_schedulers", "test_bits", "test_torch_suite", "test_torch_state_dicts", "test_processes"]
"""They begin first."""


def run(module: str) -> tuple[int, str]:
    """Gives the exit code and what was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "unittest", module],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, f"{module}\n{done.stdout}"


def main() -> None:
    here = Path(__file__).parent
    found = set() if sys.argv[1:] == ["--suites"] else {path.stem for path in here.glob("test_*.py")}
    if importlib.util.find_spec("transformers") is not None:
        found |= {path.stem for path in here.glob("*_suite.py")} - {"torch_suite", "test_torch_suite"}
    elif not found:
        sys.exit("no transformers here, which the suites need")
    modules = [*(each for each in LONGEST if each in found), *sorted(found.difference(LONGEST))]
    failed = False
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for running in as_completed([pool.submit(run, module) for module in modules]):
            code, said = running.result()
            print(said, flush=True)
            failed |= code != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
