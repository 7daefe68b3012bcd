"""Other processes, signals, and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unittest
import warnings

import torch
from torch import nn

import lionstore
from lionstore import Lion
from cases import command, LionTest, run
from reference import batches, loss_of, network


class ProcessesTest(LionTest):
    def test_loader_workers_may_be_forked(self) -> None:
        model = network(torch.float32)
        optimizer = self.lion(model)
        loader = torch.utils.data.DataLoader(
            [b[0] for b in batches(6)], num_workers=2, multiprocessing_context="fork"
        )
        for tokens in loader:
            optimizer.zero_grad()
            model(tokens[0]).square().mean().backward()
            optimizer.step()
        self.assertEqual(optimizer.steps, 6)

    def test_a_forked_child_is_told(self) -> None:
        script = f"""
            import os, sys, lionstore
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            from reference import *
            model = network(torch.float32)
            optimizer = lionstore.Lion(model.named_parameters(), store={self.folder!r} + "/store")
            loss_of(model, batches(1)[0]).backward()
            child = os.fork()
            if child == 0:
                try:
                    optimizer.step()
                except lionstore.ForkError as told:
                    print("told:", told, flush=True)
                sys.exit(7)
            print("child:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            optimizer.step()
            print("parent:", optimizer.steps)
        """
        output = run(script)
        self.assertIn("told: a forked child cannot use its parent's optimizer", output)
        self.assertIn("child: 7", output)
        self.assertIn("parent: 1", output)

    def test_control_c_is_pythons(self) -> None:
        script = f"""
            import signal, sys, lionstore
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            from reference import *
            # A shell that runs the tests in the background has made it ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            model = network(torch.float32)
            optimizer = lionstore.Lion(model.named_parameters(), store={self.folder!r} + "/store")
            print("ready", flush=True)
            try:
                while True:
                    loss_of(model, batches(1)[0]).backward()
                    optimizer.step()
            except KeyboardInterrupt:
                print("interrupted at", optimizer.steps > 0)
        """
        with subprocess.Popen(command(script), stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(1)
                process.send_signal(signal.SIGINT)
                output, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        self.assertEqual((output, process.returncode), ("interrupted at True\n", 0))

    def test_the_runtime_keeps_its_signals_where_faulthandler_was_enabled(self) -> None:
        script = f"""
            import faulthandler, lionstore, torch
            faulthandler.enable()
            lionstore.Lion([("one", torch.nn.Parameter(torch.ones(1)))], store={self.folder!r} + "/store")
            faulthandler.disable()
            caught = next(line for line in open("/proc/self/status") if line.startswith("SigCgt"))
            print("SIGSEGV is caught:", bool(int(caught.split()[1], 16) >> 10 & 1))
        """
        self.assertIn("SIGSEGV is caught: True", run(script))

    def test_the_store_is_closed_at_the_end_of_the_process(self) -> None:
        script = f"""
            import sys, lionstore
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            from reference import *
            model = network(torch.bfloat16)
            optimizer = lionstore.Lion(model.named_parameters(), store={self.folder!r} + "/store")
            loss_of(model, batches(1)[0]).backward()
            optimizer.step()
        """
        run(script)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertEqual(self.lion(network(torch.bfloat16)).steps, 1)

    def test_a_process_ends_as_its_exception_says_when_a_backward_pass_fails(self) -> None:
        script = f"""
            import sys, lionstore
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            from reference import *
            model = network(torch.bfloat16)
            optimizer = lionstore.Lion(
                model.named_parameters(), store={self.folder!r} + "/store", gradients="plane"
            )
            loss_of(model, batches(1)[0]).backward()
            model.wide.weight.register_hook(lambda gradient: 1 / 0)
            loss_of(model, batches(1)[0]).backward()
        """
        done = subprocess.run(command(script), capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("ZeroDivisionError", done.stderr.splitlines()[-1])

    def test_a_missing_runtime_is_named(self) -> None:
        script = """
            import lionstore, torch
            try:
                lionstore.Lion([("one", torch.nn.Parameter(torch.ones(1)))], store="/nowhere")
            except lionstore.RuntimeMissingError as missing:
                print(missing)
        """
        output = run(script, LIONSTORE_JAVA="/nowhere/java")
        self.assertIn("install the lionstore wheel", output)

    def test_a_limit_of_address_space_that_leaves_no_room_for_java_is_an_exception(self) -> None:
        script = f"""
            import mmap, resource, sys
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            import lionstore
            from reference import network, torch
            def lion():
                return lionstore.Lion(network(torch.float32).named_parameters(), store={self.folder!r} + "/store")
            with open("/proc/self/statm") as file:
                used = int(file.read().split()[0]) * mmap.PAGESIZE
            _, most = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (used + (700 << 20), most))
            try:
                lion()
            except lionstore.JavaMemoryError as failure:
                print(failure)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            print(lion().steps)
        """
        text = run(script)
        self.assertRegex(text, "needs 1536 MiB of address space, 512 of them for -Xmx, .*: raise ulimit -v")
        self.assertTrue(text.endswith("\n0\n"), text)

    def test_memory_does_not_grow(self) -> None:
        model = network(torch.bfloat16)
        optimizer = self.lion(model)
        self.train(optimizer, model, 500)
        before = resident_bytes()
        self.train(optimizer, model, 1500)
        self.assertLess(resident_bytes() - before, 8 << 20)


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    unittest.main()
