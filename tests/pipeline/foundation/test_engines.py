import os
import signal
import socket
import time
from pathlib import Path

import pytest

from pipeline.foundation.engines import SCRATCH, Piece, finish, workers
from pipeline.foundation.errors import UserError
from pipeline.foundation.params import Runtime


def runtime(n: int) -> Runtime:
    return Runtime(engine="joblib", workers=n, scheduler=None, device="cpu")


def write_name(folder: Path, name: str) -> int:
    (folder / "name").write_text(f"{name} {os.getpid()}")
    return 1


def fail_on(folder: Path, name: str) -> int:
    if name == "c":
        raise UserError("c is bad")
    return write_name(folder, name)


def die_on(folder: Path, name: str) -> int:
    if name == "c":
        time.sleep(0.5)  # let the others finish first
        os.kill(os.getpid(), signal.SIGKILL)
    return write_name(folder, name)


def pieces(function=write_name, names: str = "abcd") -> list[Piece]:
    return [Piece(name, f"print-of-{name}", 3, function, (name,)) for name in names]


@pytest.mark.parametrize("n", [1, 2])
def test_pieces_are_finished_in_order(in_tmp, n):
    folders = finish("stage", pieces(), runtime(n))
    assert [(f / "name").read_text().split()[0] for f in folders] == list("abcd")


def test_finished_pieces_are_reused(in_tmp):
    before = [(f / "name").stat().st_mtime_ns for f in finish("stage", pieces(names="ab"), runtime(1))]
    after = [(f / "name").stat().st_mtime_ns for f in finish("stage", pieces(names="abc"), runtime(1))]
    assert after[:2] == before


def test_a_failure_keeps_what_was_finished(in_tmp):
    with pytest.raises(UserError, match="c is bad"):
        finish("stage", pieces(fail_on), runtime(1))
    assert sorted(p.name for p in (SCRATCH / "stage").iterdir()) == ["print-of-a", "print-of-b"]
    finish("stage", pieces(), runtime(1))


def test_what_a_killed_run_left_unfinished_is_removed(in_tmp):
    left = SCRATCH / "stage" / f"print-of-a.{socket.gethostname()}-4194305"
    left.mkdir(parents=True)
    finish("stage", pieces(), runtime(1))
    assert not left.exists()


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_in_one_line(in_tmp):
    with pytest.raises(UserError, match="a worker process was killed"):
        finish("stage", pieces(die_on), runtime(2))
    assert (SCRATCH / "stage" / "print-of-a").exists()


def test_workers():
    assert workers(runtime(3)) == 3
    assert workers(Runtime(engine="joblib", workers=None, scheduler=None, device="cpu")) >= 1


def test_pieces_of_the_same_content_share_what_is_made(in_tmp):
    two = [Piece(name, "print", 1, write_name, ("same",)) for name in "ab"]
    for n in (1, 2):
        folders = finish(f"stage-{n}", two, runtime(n))
        assert folders[0] == folders[1]
        assert (folders[0] / "name").read_text().startswith("same")


def test_what_a_living_worker_of_a_killed_run_is_at_is_left_to_it(in_tmp):
    under_way = SCRATCH / "stage" / f"print-of-z.{socket.gethostname()}-{os.getpid()}"
    under_way.mkdir(parents=True)
    finish("stage", pieces(), runtime(1))
    assert under_way.exists()
