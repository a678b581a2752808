"""Ctrl-C that works at once, also while Arrow waits for the network or for standard input.

Python hears of a signal in its main thread only, and only between two of its own steps; a call
into Arrow can take minutes. So the work is done in another thread, and the main one listens.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn, TypeVar

from rich.console import Console

from flight_server.cli.exits import Exit, say
from flight_server.cli.formats import remove_parts

T = TypeVar("T")


def interruptible(work: Callable[[], None]) -> None:
    """Does the work; raises what it raises. Ctrl-C ends the process, and the server's work too."""
    failures: list[BaseException] = []

    def worked() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=worked, name="command", daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        _leave()
    if failures:
        raise failures[0]


def cancellable(work: Callable[[], T], cancel: Callable[[], None]) -> T:
    """Does the work; gives what it gives, raises what it raises.

    Ctrl-C has `cancel` end it; a second one ends the process, and the server's work too.
    """
    done: list[T] = []
    failures: list[BaseException] = []
    # Not the thread's own join: once interrupted, that takes the thread for ended.
    ended = threading.Event()

    def worked() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    threading.Thread(target=worked, name="statement", daemon=True).start()
    try:
        ended.wait()
    except KeyboardInterrupt:
        _cancel(ended, cancel)
    if failures:
        raise failures[0]
    return done[0]


def _cancel(ended: threading.Event, cancel: Callable[[], None]) -> None:
    # The server may be long in answering this, too.
    threading.Thread(target=cancel, name="cancel", daemon=True).start()
    try:
        ended.wait()
    except KeyboardInterrupt:
        _leave()


def _leave() -> NoReturn:
    """Ends the process under the hands of its thread: the server notices and undoes."""
    remove_parts()
    if sys.stderr.isatty():
        # A progress bar had hidden it.
        Console(stderr=True).show_cursor(True)
    say("interrupted")
    os._exit(Exit.INTERRUPTED)
