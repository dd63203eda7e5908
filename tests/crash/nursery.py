"""Starts lives one after the other: reads an order per line, forks a process for it, tells how it ended.

A fork instead of a fresh interpreter saves most of a second per life, and there are thousands. The parent
opens nothing and starts no thread, so the child has only its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import traceback

import msgspec

from tests.crash.life import Order, live


def main() -> None:
    """Until the end of the input. Answers with an exit code per line, negative for a signal."""
    for line in sys.stdin.buffer:
        os.write(1, b"%d\n" % _raise(msgspec.json.decode(line, type=Order)))


def _raise(order: Order) -> int:
    """One life; how it ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while signal.sigtimedwait({signal.SIGCHLD}, 0):
        pass  # told of the life before
    pid = os.fork()
    if pid == 0:
        _be_born(order)
    if order.seconds is not None and signal.sigtimedwait({signal.SIGCHLD}, order.seconds) is None:
        os.kill(pid, signal.SIGKILL)  # it was not waited for, so this is still its number
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _be_born(order: Order) -> None:
    status = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        log = os.open(order.home / "life.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
        os.environ["STEPS_OUT"] = str(order.home / "steps")
        os.environ["STEPS_CUT"] = order.cut
        os.environ["STEPS_FOLDER"] = str(order.paths.data)  # last: from here on steps are counted
        asyncio.run(live(order))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
