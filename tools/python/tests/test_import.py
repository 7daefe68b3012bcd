"""Importing the package where PyTorch is missing or another one, and what its type hints say."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import lionstore


class ImportTest(unittest.TestCase):
    def failure(self, fake: str) -> str:
        """The last line of an import where ``torch.py`` is this."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "torch.py").write_text(fake)
            done = subprocess.run(
                [sys.executable, "-c", "from lionstore import Lion"],
                capture_output=True,
                text=True,
                timeout=120,
                env={**os.environ, "PYTHONPATH": f"{folder}:{os.environ['PYTHONPATH']}"},
            )
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr.splitlines()[-1].replace(folder, "FOLDER")

    def test_a_missing_torch_is_named(self) -> None:
        self.assertEqual(
            self.failure("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')"),
            "ImportError: lionstore trains with PyTorch 2.1 or newer, which"
            f" {sys.executable} cannot import (No module named 'torch'): install it for this Python,"
            " for instance with pip install torch",
        )

    def test_a_torch_that_does_not_load_is_named(self) -> None:
        failure = self.failure("raise OSError('libtorch_cpu.so: cannot open shared object file')")
        self.assertIn("cannot import (libtorch_cpu.so: cannot open", failure)

    def test_a_torch_that_is_too_old_is_named(self) -> None:
        for version in ["1.13.1", "2.0.1+cu118"]:
            with self.subTest(version=version):
                self.assertEqual(
                    self.failure(f"__version__ = '{version}'\nclass Tensor: pass"),
                    "ImportError: lionstore trains with PyTorch 2.1 or newer, and FOLDER/torch.py is"
                    f" {version}: upgrade it, for instance with pip install --upgrade torch",
                )

    def test_another_module_of_that_name_is_named(self) -> None:
        for fake in ["", "__version__ = '2.6.0'", "__version__ = 'mine'\nclass Tensor: pass"]:
            with self.subTest(fake=fake):
                failure = self.failure(fake)
                self.assertIn("imported from FOLDER/torch.py is not PyTorch", failure)
                self.assertIn("rename it", failure)


class TypesTest(unittest.TestCase):
    def test_type_hints_are_strict(self) -> None:
        package = Path(lionstore.__file__).parent
        done = subprocess.run(
            # What PyTorch leaves untyped differs from one version to the next.
            [sys.executable, "-m", "mypy", "--strict", "--allow-untyped-calls"]
            + ["--no-warn-unused-ignores", "--cache-dir", os.devnull, str(package)],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
