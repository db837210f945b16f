"""Pieces of work on a Dask cluster: one that is running (`runtime.scheduler`), or one of this machine's processors.

Workers see the project's folder under the same path as the one who asks, and have the project installed. What a piece
makes goes through that folder; little comes back, so a worker that dies costs the piece that it was at, no more.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distributed import Client, KilledWorker, LocalCluster, as_completed

from pipeline.foundation.errors import UserError

log = logging.getLogger(__name__)

PATIENCE_S = 20  # for a scheduler to answer


def completed(
    function: Callable[..., tuple[int, int]],
    tasks: Sequence[tuple[str, tuple[Any, ...]]],
    scheduler: str | None,
    n: int,
) -> Iterator[tuple[int, int]]:
    """Results of function(*arguments) for each (name, arguments), as they come; `n` workers where none are running.

    Raises UserError where no scheduler answers, or a task kills its worker again and again.
    """
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with _client(scheduler, n) as client:
        log.info("dask: dashboard at %s", client.dashboard_link)
        names = {client.submit(function, *arguments, pure=False): name for name, arguments in tasks}
        for future in as_completed(list(names)):
            try:
                yield future.result()
            except KilledWorker as error:
                raise UserError(
                    f"{names[future]}: killed its worker again and again, most often for want of memory; give workers "
                    "more, or lower extract.shard_clips; finished shards are kept"
                ) from error


@contextmanager
def _client(scheduler: str | None, n: int) -> Iterator[Client]:
    if scheduler is None:
        with (
            LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=PATIENCE_S)
    except OSError as error:
        raise UserError(
            f"params.yaml: runtime.scheduler: nobody answers at {scheduler}; start one there (dask scheduler), or set "
            "null for a cluster on this machine"
        ) from error
    with client:
        yield client
