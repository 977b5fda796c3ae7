"""Work on many poses in chunks that fit the cache, one thread a core."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits


def for_chunks(work: Callable[[slice], None], count: int, size: int) -> None:
    """Call ``work`` on the slices of ``range(count)``, in threads where there are several.

    NumPy lets go of the interpreter in what takes long; its own threads are held at one meanwhile,
    for they gain nothing on matrices of this size.

    Args:
        work: Writes its results into arrays of its own slice.
        count: Items.
        size: Items per chunk, the last one may have fewer.

    Raises:
        Exception: The first that ``work`` raised.
    """
    slices = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    if len(slices) < 2:
        for chunk in slices:
            work(chunk)
        return
    with threadpool_limits(1, 'blas'), ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(work, slices):
            pass
