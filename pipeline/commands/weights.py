"""`usol weights NAME`: a network's published weights, from their official address into weights/, by their checksum.

Where they cannot be had, one line says which file to put where.
"""

import hashlib
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from tqdm import tqdm

from pipeline.foundation.errors import UserError

FOLDER = Path("weights")
TIMEOUT_S = 30  # without a byte
CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Published:
    """A file of weights. sha256: hex digits that its SHA-256 begins with; torchvision has the first 8 in the name.

    address: None where no address gives the file itself; found then says who has it.
    """

    name: str
    sha256: str
    key: str  # of params.yaml, with the value beside it
    address: str | None
    found: str = ""


def _torchvision(name: str, vision: str) -> Published:
    sha256 = name.removesuffix(".pth").rpartition("-")[2]
    return Published(name, sha256, f"vision: {vision}, vision_weights", f"https://download.pytorch.org/models/{name}")


PUBLISHED = {
    "vgg16": _torchvision("vgg16-397923af.pth", "vgg16"),
    "mobilenet_v2": _torchvision("mobilenet_v2-b0353104.pth", "mobilenet_v2"),
    "resnet18": _torchvision("resnet18-f37072fd.pth", "resnet18"),
    "squeezenet": _torchvision("squeezenet1_1-b8a52dc0.pth", "squeezenet"),
    "yamnet": Published(
        "yamnet.h5",
        "13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
        "features: yamnet_scores (or yamnet_embedding), weights",
        "https://storage.googleapis.com/audioset/yamnet.h5",
    ),
    "soundnet": Published(
        "sound8.npy",
        "",
        "features: soundnet, weights",
        None,
        "the repositories eborboihuc/SoundNet-tensorflow and EsamGhaleb/soundNet_pytorch link or hold it",
    ),
}


def run(name: str) -> None:
    """Get the weights of a network, or find them there already; prints where they are and how they are used."""
    if name not in PUBLISHED:
        raise UserError(f"usol weights: no weights {name!r}; accepted: {', '.join(PUBLISHED)}")
    published = PUBLISHED[name]
    path = FOLDER / published.name
    if path.exists():
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        _check(found, published, f"{path}: ", "remove it and run again")
    else:
        found = fetch(published, path)
    print(f"{path}: SHA-256 {found}")
    group = "listen" if "features" in published.key else "train"
    print(f"params.yaml, {group}: {published.key}: {path}")


def fetch(published: Published, path: Path) -> str:
    """Download a file, whole or not at all; returns its SHA-256.

    Raises UserError where it is not to be had, or is another than was published.
    """
    known = f" (its SHA-256 begins with {published.sha256[:8]})" if published.sha256 else ""
    if published.address is None:
        raise UserError(
            f"usol weights: no official address gives {published.name}: {published.found}; put it at {path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    digest = hashlib.sha256()
    try:
        # Only addresses of PUBLISHED come here, all https.
        with urllib.request.urlopen(published.address, timeout=TIMEOUT_S) as reply, unfinished.open("wb") as file:  # noqa: S310
            expected = reply.headers.get("Content-Length")
            with tqdm(total=int(expected) if expected else None, unit="B", unit_scale=True, disable=None) as progress:
                while chunk := reply.read(CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    progress.update(len(chunk))
        _check(digest.hexdigest(), published, f"{published.address}: ", f"run again, or bring it to {path}")
        unfinished.replace(path)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the reply
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"usol weights: {published.address} cannot be had ({reason}); bring the file to {path} by another "
            f"way{known}"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return digest.hexdigest()


def _check(found: str, published: Published, place: str, advice: str) -> None:
    if not found.startswith(published.sha256):
        raise UserError(
            f"{place}not {published.name}: its SHA-256 is {found[:16]}..., which begins with {published.sha256[:16]} "
            f"in the published file; {advice}"
        )
