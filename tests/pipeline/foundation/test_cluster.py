import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.samples import ROOT

pytestmark = pytest.mark.slow

BINARIES = Path(sys.executable).parent


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)


@pytest.fixture
def cluster(prepared, tmp_path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A scheduler and two workers, processes of their own on this machine: the address, and the workers."""
    (tmp_path / "elsewhere").mkdir()
    options = {
        "cwd": tmp_path / "elsewhere",
        "env": {**os.environ, "PYTHONPATH": str(prepared.folder)},
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    known = tmp_path / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = [BINARIES / "dask", "scheduler", *local, "--port", "0", "--scheduler-file", known]
    processes = [subprocess.Popen(scheduler, **options)]
    wait_for(known, processes[0])
    worker = [BINARIES / "dask", "worker", "--scheduler-file", known, *local, "--no-nanny", "--nthreads", "1"]
    processes += [subprocess.Popen(worker, **options) for _ in range(2)]
    address = known.read_text().split('"address": "')[1].split('"')[0]
    yield address, processes[1:]
    for process in reversed(processes):
        process.kill()
        process.wait()


def test_a_cluster_that_loses_a_worker_in_the_middle_gives_the_same_bytes(prepared, cluster):
    address, (victim, _) = cluster
    prepared.set({"proposers": {"selective_search": {"engine": "native", "mode": "quality"}}})
    prepared.stage("propose", "selective_search")
    expected = prepared.bytes_of("data/regions")
    prepared.run("python", "-c", "import shutil; shutil.rmtree('.scratch/propose')")
    prepared.set({"runtime": {"engine": "dask", "scheduler": address}})
    command = [sys.executable, "-m", "pipeline.propose", "selective_search"]
    process = subprocess.Popen(command, cwd=prepared.folder, stderr=subprocess.PIPE, text=True)
    scratch = prepared.folder / ".scratch/propose"
    while not scratch.exists() or not any("." not in path.name for path in scratch.iterdir()):
        assert process.poll() is None
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    told = process.communicate(timeout=120)[1]
    assert process.returncode == 0, told
    assert "dask: dashboard at http" in told
    assert prepared.bytes_of("data/regions") == expected


def test_a_cluster_of_this_machine_gives_the_same_bytes(prepared):
    expected = prepared.bytes_of("data/regions")
    prepared.run("python", "-c", "import shutil; shutil.rmtree('.scratch/propose')")
    prepared.set({"runtime": {"engine": "dask", "workers": 2}})
    prepared.stage("propose", "selective_search")
    assert prepared.bytes_of("data/regions") == expected


def test_a_scheduler_that_does_not_answer_is_told(prepared):
    prepared.run("python", "-c", "import shutil; shutil.rmtree('.scratch/attend')")
    prepared.set({"runtime": {"engine": "dask", "scheduler": "tcp://127.0.0.1:1"}})
    done = prepared.run("python", "-m", "pipeline.attend")
    assert done.returncode == 1
    assert done.stderr.startswith("params.yaml: runtime.scheduler: nobody answers at tcp://127.0.0.1:1; start one")


def test_a_piece_that_kills_its_worker_again_and_again_is_named(tmp_path):
    (tmp_path / "deadly.py").write_text("import os\n\n\ndef die(folder):\n    os.kill(os.getpid(), 9)\n")
    (tmp_path / "main.py").write_text(
        "from deadly import die\n"
        "from pipeline.foundation.engines import Piece, finish\n"
        "from pipeline.foundation.errors import UserError\n"
        "from pipeline.foundation.params import Runtime\n\n"
        "if __name__ == '__main__':\n"
        "    runtime = Runtime(engine='dask', workers=1, scheduler=None, device='cpu')\n"
        "    try:\n"
        "        finish('stage', [Piece('shard-00003.h5', 'print', 1, die, ())], runtime)\n"
        "    except UserError as error:\n"
        "        print(error)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    }
    command = [sys.executable, "main.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.startswith("shard-00003.h5: killed its worker again and again"), done.stderr
