"""Memory that is free goes back to the system."""

import ctypes
from contextlib import suppress


def give_back_memory() -> None:
    """Have the C library give back what was freed between what is in use; glibc keeps it, others have no such call."""
    with suppress(AttributeError, OSError, TypeError):  # other systems lack the function, or the library
        ctypes.CDLL(None).malloc_trim(0)
