"""What every stage's `main` does round its work: read the parameters, hold a lock, tell bad input in one line."""

import errno
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.foundation.engines import alone
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Params
from pipeline.foundation.params_file import load

# What the disk or its owner forbids; any other OSError is a mistake of ours and keeps its traceback.
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}


@contextmanager
def stage(name: str) -> Iterator[Params]:
    """Run a stage's work with the checked parameters.

    Bad input ends the process with status 1 and one line on stderr. The lock keeps out a second run of the same stage,
    which killing `dvc` alone would otherwise leave writing beside the next one.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        params = load()
        with alone(name):
            yield params
    except UserError as error:
        sys.exit(str(error))
    except OSError as error:
        full = "No space left on device" in str(error)  # all that HDF5 tells of errno
        if error.errno not in FORBIDDEN and not full:
            raise
        what = error.strerror or "No space left on device"
        sys.exit(
            f"{error.filename or 'data'}: cannot be written ({what}); change its rights or free its disk, and "
            "run again: finished work is kept"
        )
    except KeyboardInterrupt:
        sys.exit(f"{name}: interrupted; finished work is kept, run again to go on")
