"""Where the networks run, and with what precision."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.foundation.errors import UserError

# Sums over a batch are split among threads, and another number of them gives other last digits: fixed, so that a result
# does not depend on how many processors a machine has.
CPU_THREADS = 2


def device_of(name: str) -> torch.device:
    """The device that `runtime.device` names, set up to give the same numbers every time; auto is the best there is."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, is_there in available.items() if is_there)
    if not available[name]:
        there = ", ".join(device for device, is_there in available.items() if is_there)
        raise UserError(f"params.yaml: runtime.device: no {name} here; accepted on this machine: auto, {there}")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    torch.set_num_threads(CPU_THREADS)
    torch.use_deterministic_algorithms(True, warn_only=name != "cpu")
    return torch.device(name)


@contextmanager
def cpu_threads(n: int) -> Iterator[None]:
    """Another number of threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def precision_of(name: str, device: torch.device) -> str:
    """The precision that `train.precision` names: auto is bfloat16 on CUDA, else float32."""
    if name == "auto":
        return "bfloat16" if device.type == "cuda" else "float32"
    return name
