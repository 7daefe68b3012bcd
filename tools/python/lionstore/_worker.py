"""Work beside a backward pass, in order, on a thread of its own."""

from __future__ import annotations

import queue
import threading
import weakref
from typing import Callable

_Work = Callable[[], None]


class Worker:
    """Does what it is given; its thread begins with the first."""

    def __init__(self, most_waiting: int) -> None:
        self._todo: queue.Queue[_Work | None] = queue.Queue(most_waiting)
        self._failures: list[Exception] = []
        self._end = weakref.finalize(self, self._todo.put, None)
        self._end.atexit = False
        self._thread: threading.Thread | None = None

    def do(self, work: _Work) -> None:
        """Has something done; waits while too much waits already."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._todo, self._failures), name="lionstore", daemon=True
            )
            self._thread.start()
        self._todo.put(work)

    def join(self) -> list[Exception]:
        """Waits until all is done; gives what has failed since the last time."""
        self._todo.join()
        failures = self._failures[:]
        self._failures.clear()
        return failures

    def close(self) -> None:
        """Ends the thread, once all is done."""
        self._end()
        if self._thread is not None:
            self._thread.join()


def _work(todo: queue.Queue[_Work | None], failures: list[Exception]) -> None:
    while (work := todo.get()) is not None:
        try:
            work()
        except Exception as failure:
            failures.append(failure)
        finally:
            del work  # it holds a gradient
            todo.task_done()
