"""What a frozen visual network sees of each frame, computed once and kept in scratch for all who look again."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as save_tensors

from model.network import Network
from pipeline.foundation import shards
from pipeline.foundation.devices import cpu_threads
from pipeline.foundation.engines import SCRATCH, Piece, finish
from pipeline.foundation.params import Runtime, Train

VERSION = 1  # raise when the results change
BATCH = 8  # frames: more do not run faster on a processor, and 320 channels of 20 x 20 cells take 0.5 MB each


def are_kept(settings: Train) -> bool:
    """Whether every epoch would see the same features: the network is frozen and nothing augments its frames."""
    return settings.freeze_vision and settings.augment == "none"


def kept_features(network: Network, frames: Path, runtime: Runtime, device: torch.device) -> Path:
    """The folder of shards with `features` (n, C, h, w) float32 of every frame, made where it is not there yet."""
    network = network.cpu().eval()
    # What a MobileNetV2's numbers do not say of it; other networks are told by the names of theirs.
    kind = [getattr(network, name, None) for name in ("padding", "depths")]
    numbers = hashlib.blake2b(save_tensors(network.state_dict())).hexdigest()
    pieces = []
    for path in shards.shard_paths(frames):
        shard = shards.Shard(path)
        mark = shards.fingerprint("features", VERSION, *kind, numbers, device.type, shard.checksum)
        pieces.append(Piece(path.name, mark, len(shard.clip_ids), features_shard, (path, network, device)))
    alone = runtime if device.type == "cpu" else runtime.model_copy(update={"workers": 1})
    folders = finish("features", pieces, alone)
    out = SCRATCH / "features-of" / shards.fingerprint([piece.fingerprint for piece in pieces])
    shards.publish({p.name: f / "features.h5" for p, f in zip(pieces, folders, strict=True)}, out)
    return out


def features_shard(folder: Path, frames: Path, network: Network, device: torch.device) -> int:
    """Write features.h5 of the frames of one shard."""
    shard = shards.Shard(frames)
    made = []
    with torch.inference_mode(), cpu_threads(1):
        network.to(device)
        for start in range(0, len(shard.clip_ids), BATCH):
            pixels = np.stack([shard.read(clip_id, "frame") for clip_id in shard.clip_ids[start : start + BATCH]])
            seen = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255
            made.append(network(seen).cpu().numpy())
    arrays = {"features": np.concatenate(made) if made else np.zeros((0, 1, 1, 1), np.float32)}
    shards.write(folder / "features.h5", "features", shard.clip_ids, arrays)
    return 0
