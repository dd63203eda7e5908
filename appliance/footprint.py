"""Starting quickly and staying small: what the process asks of Python's collector and of the C library.

It changes no behaviour, and where it is not possible (another C library) everything works as before.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Awaitable, Callable

SETTLED_AFTER_S = 5.0
_M_ARENA_MAX = -8
"""`mallopt(3)`: how many heaps the threads share."""


def hurry() -> None:
    """Before the imports: no collecting while hardly anything can be garbage, and one heap for all threads.

    Each thread would otherwise begin a heap of its own, which never becomes small again; under Python's lock
    they hardly ever ask for memory at the same time.
    """
    gc.disable()
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_ARENA_MAX, 1)


async def settle(sleep: Callable[[float], Awaitable[None]]) -> None:
    """Some seconds after the start: collect once, and never look again at what is there by then.

    Does nothing in a process that did not `hurry`.
    """
    if gc.isenabled():
        return
    await sleep(SETTLED_AFTER_S)
    gc.collect()
    gc.freeze()
    gc.enable()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
