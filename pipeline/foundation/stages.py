"""What every stage's `main` does round its work: read the parameters, hold a lock, tell bad input in one line."""

import fcntl
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.foundation.engines import SCRATCH
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Params, load


@contextmanager
def stage(name: str) -> Iterator[Params]:
    """Run a stage's work with the checked parameters.

    A UserError ends the process with status 1 and its one line on stderr. The lock keeps out a second run of the same
    stage, which killing `dvc` alone would otherwise leave writing beside the next one.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        params = load()
        try:
            SCRATCH.mkdir(exist_ok=True)
            lock = (SCRATCH / f"{name}.lock").open("w")
        except OSError as error:
            raise UserError(f"{error.filename}: cannot be written ({error.strerror}); free it or its disk") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.warning("%s: another run of this stage is still at work here; waiting for it to end", name)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield params
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(f"{name}: interrupted; finished work is kept, run again to go on")
