"""Tests in a fresh process that may not take more memory, and counts of work: bounds that hold on
every machine.

The peak memory of a process is that of its whole life: after one large test a small one cannot
exceed it. A time is that of a machine and of what else it does. An address space and a number of
calls are neither.
"""

from __future__ import annotations

import cProfile
import functools
import importlib
import multiprocessing
import os
import resource
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

ENDLESS = 120  # seconds of a processor, after which a test that would never end is ended


def in_little_memory(megabytes: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The test runs in a process of its own, which can map that much memory beside Python, torch
    and the readers.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**arguments: Any) -> None:
            server = start_server()
            server.send((test.__module__, test.__name__, arguments, megabytes))
            if failure := server.recv():
                pytest.fail(failure, pytrace=False)

        return run

    return decorate


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Asserts that the block makes no more calls, of Python's functions and of C's."""
    profile = cProfile.Profile()
    with profile:
        yield
    made = sum(entry.callcount for entry in profile.getstats())
    assert made <= calls, f"{made} calls, expected at most {calls}"


@functools.cache
def start_server() -> Connection:
    """The end of a pipe to a process that has imported torch and nothing of the tests that ran
    here.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=serve, args=(theirs,), daemon=True).start()
    return ours


def serve(requests: Connection) -> None:
    """For each (module, test, arguments, megabytes) the failure of the test, run in a fork; ""
    where it passed.
    """
    import torch
    from checkpoint_files import warm_up

    torch.set_num_threads(1)  # threads do not survive a fork
    warm_up()
    while True:
        module, name, arguments, megabytes = requests.recv()
        test = getattr(importlib.import_module(module), name).__wrapped__
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            # what a pipe holds
            os.write(writing, failure_of(test, arguments, megabytes).encode()[-60_000:])
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        with open(reading, encoding="utf-8", errors="replace") as told:
            failure = told.read()
        requests.send(failure or (f"ended with status {status}" if status else ""))


def failure_of(test: Callable[..., None], arguments: dict[str, Any], megabytes: int) -> str:
    """The traceback of the test within the bounds; "" where it passed."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + (megabytes << 20), unlimited[1]))
    resource.setrlimit(resource.RLIMIT_CPU, (ENDLESS, ENDLESS))
    try:
        test(**arguments)
    except BaseException:
        resource.setrlimit(resource.RLIMIT_AS, unlimited)  # room for the traceback
        return traceback.format_exc()
    return ""
