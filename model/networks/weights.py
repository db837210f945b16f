"""What a file of weights must be before a network takes it: every tensor and no stranger, numbers, living features."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

COUNTER = "num_batches_tracked"  # of a batch norm: how many batches it has seen, which nothing here asks
MOST_DEAD = 0.99  # of the features: more zeros than this say that the file is no trained network


def fit(network: nn.Module, weights: Mapping[str, Any], beyond: Sequence[str] = ()) -> None:
    """Put a state dict into a network, whose names it must have.

    weights: float tensors of any precision by name; batch norms' counters are not looked at.
    beyond:  beginnings of the names that the whole network has and this part of it does not need.
    Raises ValueError that names tensors which are missing, unknown, of another shape, or not finite.
    """
    wanted = network.state_dict()
    counted = {name for name in wanted if name.endswith(COUNTER)}
    names = [name for name in wanted if name not in counted]
    if missing := [name for name in names if name not in weights]:
        raise ValueError(f"no tensor {listed(missing)}")
    unread = tuple(beyond)
    if extra := [n for n in weights if n not in wanted and not n.startswith(unread) and not n.endswith(COUNTER)]:
        raise ValueError(f"a tensor that it does not have: {listed(extra)}")
    for name in names:
        theirs, ours = weights[name], wanted[name]
        if not isinstance(theirs, Tensor):
            raise ValueError(f"{name}: is no tensor")
        if theirs.shape != ours.shape:
            raise ValueError(f"{name}: shape {tuple(theirs.shape)}, expected {tuple(ours.shape)}")
        if not theirs.is_floating_point() or not bool(torch.isfinite(theirs).all()):
            raise ValueError(f"{name}: holds what is no finite float")
    network.load_state_dict({name: weights[name].float() for name in names} | {name: wanted[name] for name in counted})


def refuse_dead(first: Tensor, second: Tensor) -> None:
    """Raise ValueError where features of two different inputs are zero, or the same, but for a hundredth of them."""
    zeros = float((first == 0).float().mean())
    if zeros > MOST_DEAD:
        raise ValueError(f"dead features: {100 * zeros:.1f} % of them are zero")
    same = float((first == second).float().mean())
    if same > MOST_DEAD:
        raise ValueError(f"dead features: {100 * same:.1f} % of them are the same whatever the input")


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
