"""The wheel as users get it: installed by pip where there is no Java and no PyTorch (bin/test-wheel)."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

WHEELS = sorted(Path(__file__).parents[1].joinpath("target").glob("lionstore-*.whl"))
MOST_BYTES = 60_000_000
NOBODY = pwd.getpwnam("nobody")


def install(folder: Path, wheel: Path) -> None:
    """Makes a virtual environment and installs a wheel, as users do, without any index."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip(folder, "install", "--no-index", str(wheel))


def pip(folder: Path, *arguments: str) -> None:
    subprocess.run([str(folder / "bin/pip"), "--quiet", *arguments], check=True)


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def write_safetensors(file: Path, **values: list[float]) -> None:
    header, data = {}, b""
    for name, numbers in values.items():
        begin = len(data)
        data += struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {"dtype": "F32", "shape": [len(numbers)], "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


class WheelTest(unittest.TestCase):
    home: Path

    @classmethod
    def setUpClass(cls) -> None:
        # Readable for other users, and with spaces, as folders of users are.
        cls.home = Path(tempfile.mkdtemp(prefix="a wheel "))
        cls.home.chmod(0o755)
        install(cls.home / "venv", WHEELS[-1])
        cls.model = cls.home / "model"
        cls.model.mkdir()
        numbers = [0.25 * i - 3 for i in range(64)]
        write_safetensors(cls.model / "model.safetensors", weight=numbers, bias=numbers[:8])
        write_safetensors(cls.home / "gradients.safetensors", weight=numbers[::-1], bias=numbers[8:16])

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.home)

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=self.home))

    def command(self, *arguments: object) -> list[str]:
        return [str(self.home / "venv/bin/lionstore"), *map(str, arguments)]

    def result(self, *arguments: object, **variables: str) -> str:
        """What a command prints; it must end with 0 and say no more."""
        done = self.ended(0, *arguments, **variables)
        return done.stdout

    def ended(self, code: int, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, **variables},
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def store(self) -> Path:
        store = self.folder / "store"
        self.result("import", self.model, store)
        return store

    def test_there_is_neither_java_nor_pytorch_here(self) -> None:
        self.assertIsNone(shutil.which("java"))
        self.assertFalse(Path("/usr/lib/jvm").exists())
        done = subprocess.run([str(self.home / "venv/bin/python"), "-c", "import torch"], capture_output=True)
        self.assertEqual(done.returncode, 1)

    def test_a_run_goes_from_import_to_a_restored_state_with_the_same_hash(self) -> None:
        store, snapshots = self.store(), self.folder / "snapshots"
        before = self.result("hash", store)
        for _ in range(3):
            self.result(
                "step", store, "--gradients", self.home / "gradients.safetensors", "--lr", "1e-3", "--weight-decay", "0.1"
            )
        after = self.result("hash", store)
        self.assertNotEqual(before, after)
        self.result("snapshot", store, snapshots)
        self.assertRegex(self.result("snapshots", snapshots), r"\n +3 ")
        self.result("verify", snapshots / "step-000000000003")
        self.result("restore", snapshots, self.folder / "restored")
        self.assertEqual(self.result("hash", self.folder / "restored"), after)
        self.result("recover", store)
        self.assertIn("step", self.result("inspect", store))
        self.result("export", store, self.folder / "exported", "--master")
        self.assertTrue((self.folder / "exported/model.safetensors").exists())

    def test_what_reads_shapes_and_rules_works(self) -> None:
        self.assertIn("Lionstore", self.result("audit", "llama-2-7b"))
        self.assertIn("lion", self.result("rule", "list"))
        self.assertIn("β1", self.result("rule", "show", "lion"))
        plan = self.ended(0, "plan", "gpt2", "--ram", "64G", "--gpu", "24G", "--disk", "1T", "--disk-bandwidth", "2G")
        self.assertIn("step", plan.stdout)
        self.result("rule", "check", "signsgd")
        self.result("devices")

    def test_bench_measures(self) -> None:
        self.ended(0, "bench", "--size", "1", "--pairs", "1", "--directory", self.folder)

    def test_pictures_say_what_the_machine_lacks_or_are_drawn(self) -> None:
        picture = self.folder / "audit.png"
        done = subprocess.run(self.command("audit", "7e9", "--picture", picture), capture_output=True, text=True)
        if done.returncode:
            self.assertIn("font", done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        else:
            self.assertEqual(picture.read_bytes()[1:4], b"PNG")

    def test_what_trains_says_in_one_line_that_it_is_not_there(self) -> None:
        for name in ["train", "compare"]:
            done = self.ended(1, name, self.folder)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(f"{name} needs libtorch, which the Python wheel leaves out", done.stderr)

    def test_exit_codes_and_messages_are_the_command_lines(self) -> None:
        self.assertEqual(self.ended(2).stderr, "lionstore: no command given (see lionstore --help)\n")
        self.assertEqual(
            self.ended(1, "inspect", "nowhere").stderr, "lionstore: nowhere: no such file\n"
        )
        self.assertRegex(self.result("--version"), r"^lionstore \d+\.\d+\.\d+\S*\n$")

    def test_the_module_is_the_same_command(self) -> None:
        python = [str(self.home / "venv/bin/python"), "-m", "lionstore"]
        store = self.store()
        for arguments, code in [(["hash", str(store)], 0), ([], 2), (["inspect", "nowhere"], 1)]:
            done = subprocess.run([*python, *arguments], capture_output=True, text=True)
            expected = self.ended(code, *arguments)
            self.assertEqual(done.returncode, code)
            self.assertEqual((done.stdout, done.stderr), (expected.stdout, expected.stderr))

    def test_the_classes_come_from_the_cache_that_the_wheel_brings(self) -> None:
        log = self.result("inspect", self.store(), LIONSTORE_JAVA_OPTS="-Xlog:class+load")
        cached = [line for line in log.splitlines() if "source: shared objects file" in line]
        self.assertGreater(sum(" dev.lionstore." in line for line in cached), 50)
        self.assertGreater(sum(" picocli." in line for line in cached), 50)

    def test_ctrl_c_ends_a_command_at_once(self) -> None:
        for prefix in [[], [str(self.home / "venv/bin/python")]]:
            running = subprocess.Popen(
                [*prefix, *self.command("import", "--random", "gpt2", self.folder / "large")],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(2)
            self.assertIsNone(running.poll(), "it ended before it could be interrupted")
            running.send_signal(signal.SIGINT)
            self.assertEqual(running.wait(30), 128 + signal.SIGINT)

    def test_another_user_without_a_home_runs_what_root_installed(self) -> None:
        shutil.copytree(self.model, self.folder / "model")
        self.folder.chmod(0o777)
        arguments = dict(
            user=NOBODY.pw_uid,
            group=NOBODY.pw_gid,
            extra_groups=[],
            env={"HOME": "/nonexistent", "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        for command in [
            ("import", self.folder / "model", self.folder / "theirs"),
            ("step", self.folder / "theirs", "--gradients", self.home / "gradients.safetensors", "--lr", "1"),
            ("inspect", self.folder / "theirs"),
            ("devices",),
        ]:
            done = subprocess.run(self.command(*command), **arguments)  # type: ignore[call-overload]
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_runtime_that_cannot_be_used_is_named_in_one_line(self) -> None:
        missing = self.ended(1, "--version", LIONSTORE_JAVA="/nowhere/java").stderr
        self.assertIn("/nowhere/java/runtime/bin/java is missing: install the lionstore wheel", missing)
        self.assertEqual(missing.count("\n"), 1, missing)
        java = self.folder / "runtime/bin/java"
        java.parent.mkdir(parents=True)
        java.touch()
        (self.folder / "jvm.options").touch()
        denied = self.ended(1, "--version", LIONSTORE_JAVA=str(self.folder)).stderr
        self.assertIn(f"{java} does not start (Permission denied): install the wheel", denied)
        self.assertEqual(denied.count("\n"), 1, denied)
        wrong = self.ended(1, "--version", LIONSTORE_JAVA_OPTS="'").stderr
        self.assertIn("LIONSTORE_JAVA_OPTS", wrong)
        self.assertEqual(wrong.count("\n"), 1, wrong)

    def test_the_package_imports_without_pytorch_and_its_optimizers_name_what_is_missing(self) -> None:
        python = str(self.home / "venv/bin/python")
        script = "import lionstore; print(issubclass(lionstore.BusyError, OSError), hasattr(lionstore, 'lion'))"
        done = subprocess.run([python, "-c", script], capture_output=True, text=True)
        self.assertEqual(done.stdout, "True False\n", done.stderr)
        done = subprocess.run([python, "-c", "from lionstore import Lion"], capture_output=True, text=True)
        self.assertIn("ImportError: lionstore trains with PyTorch 2.1 or newer", done.stderr.splitlines()[-1])

    def test_it_is_small_and_brings_its_licences_and_its_types(self) -> None:
        self.assertLess(WHEELS[-1].stat().st_size, MOST_BYTES)
        with zipfile.ZipFile(WHEELS[-1]) as wheel:
            names = {name.split("/", 1)[1] for name in wheel.namelist()}
        self.assertLessEqual(
            {"py.typed", "licenses/LICENSE", "licenses/tools/python/licenses/LIBRARIES.txt"}, names
        )
        self.assertIn("java/runtime/legal/java.base/LICENSE", names)

    def test_two_versions_live_side_by_side_and_one_leaves_nothing(self) -> None:
        sys.path.insert(0, str(WHEELS[-1].parents[1]))
        import build_backend

        build_backend.NAME = "lionstore-99.1"
        build_backend.INFO = "lionstore-99.1.dist-info"
        build_backend.PROJECT["version"] = "99.1"
        other = self.folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(other)], check=True)
        empty = files_of(other)
        pip(other, "install", "--no-index", str(self.folder / build_backend.pack_wheel(str(self.folder))))
        store = self.store()
        command = [str(other / "bin/lionstore"), "hash", str(store)]
        self.assertEqual(subprocess.check_output(command, text=True), self.result("hash", store))
        pip(other, "uninstall", "--yes", "lionstore")
        left = {path for path in files_of(other) - empty if "__pycache__" not in path}
        self.assertEqual(left, set())
        self.result("hash", store)


if __name__ == "__main__":
    unittest.main()
