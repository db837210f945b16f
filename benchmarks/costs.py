"""What many clips cost, from what the other benchmarks found: core-hours, disk, network. No clip is read for it.

    python -m benchmarks.costs                      # --clips 10000 144000 2000000, --media-mb, --results

Reads pipeline.json and pipeline_disk.json of benchmarks/results. A stage costs its start once and its time a clip N
times; cores share it evenly (benchmarks/scaling.py says how evenly). GB are 10^9 bytes.
"""

from collections.abc import Sequence

from benchmarks.results import Row, kept, parser, table

CLIPS = (10_000, 144_000, 2_000_000)  # Flickr-SoundNet's parts that the field trains on, and all of it
CORES = 32  # of which the last line of the first table tells
# How often a clip's bytes go over the network in preparation. The next stage reads frames, waveforms and regions; maps
# and sounds are read in training.
HANDS = {"media": 1, "frames": 3, "waveforms": 3, "regions": 3, "bottom_up": 2, "sounds": 2}
AN_EPOCH = ("frames", "bottom_up", "sounds")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clips", type=int, nargs="+", default=CLIPS, help="how many clips")
    arguments.add_argument("--media-mb", type=float, help="MB (10^6 bytes) of a media file, where yours are known")
    chosen = arguments.parse_args()
    stages, folders = kept("pipeline", chosen.results), kept("pipeline_disk", chosen.results)
    bytes_of = {row["folder"]: row["bytes a clip"] for row in folders}
    if chosen.media_mb is not None:
        bytes_of["media"] = 1e6 * chosen.media_mb
    for rows in (core_hours(stages, chosen.clips), disk(bytes_of, chosen.clips), network(bytes_of, chosen.clips)):
        print(table(rows) + "\n")


def core_hours(stages: Sequence[Row], clips: Sequence[int]) -> list[Row]:
    """Hours of one core by stage; the plain script's beside; and hours on many cores."""
    rows: list[Row] = []
    for row in stages:
        ours = {n: (row["start CPU s"] + n * row["CPU ms a clip"] / 1e3) / 3600 for n in clips}
        if row["stage"] != "rest":
            rows.append({"core-hours": row["stage"], **_columns(ours)})
        if row["stage"] == "all":
            plain = {n: (row["plain start CPU s"] + n * row["plain CPU ms a clip"] / 1e3) / 3600 for n in clips}
            rows.append({"core-hours": "the plain script", **_columns(plain)})
            rows.append({"core-hours": f"all, hours on {CORES} cores", **_columns({n: ours[n] / CORES for n in clips})})
    return rows


def disk(bytes_of: dict[str, float], clips: Sequence[int]) -> list[Row]:
    """GB of each folder (scratch, folder and DVC's cache are one file, linked), and of the media themselves."""
    made = {name: size for name, size in bytes_of.items() if name in HANDS and name != "media"}
    parts = {**made, "all that is made": sum(made.values()), "media, which stay": bytes_of["media"]}
    return [{"GB on disk": name, **_columns({n: n * size / 1e9 for n in clips})} for name, size in parts.items()]


def network(bytes_of: dict[str, float], clips: Sequence[int]) -> list[Row]:
    """GB that go through a shared folder: what is made is written, hashed once by DVC, and read by the next stage."""
    prepared = sum(hands * bytes_of[name] for name, hands in HANDS.items())
    parts = {
        "preparation": prepared,
        "of it media": bytes_of["media"],
        "an epoch of training": sum(bytes_of[name] for name in AN_EPOCH),
    }
    return [
        {"GB over the network": name, **_columns({n: n * size / 1e9 for n in clips})} for name, size in parts.items()
    ]


def _columns(values: dict[int, float]) -> Row:
    return {f"{n:,} clips": value for n, value in values.items()}


if __name__ == "__main__":
    main()
