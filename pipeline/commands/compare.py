"""`usol compare REV_A REV_B`: whether one revision's system is better than another's, clip by clip.

Scores are paired by clip_id under each protocol (pipeline/commands/paired.py). The verdict is by the success rate under
the first protocol: better where the interval of B - A lies above 0, worse where it lies below, else undecided.
"""

import json

from tabulate import tabulate

from pipeline.commands.paired import MEASURES, Figures, compare
from pipeline.commands.revisions import read_side

STATUS = {"better": 0, "worse": 2, "undecided": 3}  # 1 is an error's


def run(rev_a: str, rev_b: str, cell: str | None, as_json: bool) -> int:
    """Print how the two compare; returns the exit status that says it."""
    figures = compare(read_side(rev_a, cell), read_side(rev_b, cell))
    print(json.dumps(figures, indent=2, allow_nan=False) if as_json else _text(figures))
    return STATUS[figures["verdict"]]


def _text(figures: Figures) -> str:
    protocols = figures["protocols"]
    rows = [row for protocol, found in protocols.items() for row in _rows(protocol, found)]
    tests = [row for protocol, found in protocols.items() for row in _tests(protocol, found)]
    parts = [
        "\n".join(_side_in_words(key.upper(), figures[key], figures["split"]) for key in ("a", "b")),
        _table(rows, ["protocol", "clips", "", "A", "B", "B - A, points"]),
        "\n".join(_notes(protocols)),
    ]
    if tests:
        parts.append(_table(tests, ["McNemar's exact test", "seeds", "A alone succeeds", "B alone", "p"]))
    if figures["moved"]:
        rows = [
            [clip["clip_id"], clip["label"], f"{clip['a']:.3f} -> {clip['b']:.3f}", _points(clip["b"] - clip["a"])]
            for clip in figures["moved"]
        ]
        parts.append(_table(rows, [f"moved most, {next(iter(protocols))}", "label", "cIoU A -> B", "points"]))
    parts.append("\n".join(_params_in_words(figures)))
    parts.append(_verdict_in_words(figures))
    return "\n\n".join(parts)


def _table(rows: list[list[str]], header: list[str]) -> str:
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True)


def _side_in_words(name: str, side: Figures, split: str) -> str:
    commit = side["commit"]
    told = f" ({commit[:7]})" if commit and not commit.startswith(side["revision"]) else ""
    seeds = ", ".join(map(str, side["seeds"]))
    return (
        f"{name}  {side['revision']}{told}, {side['folder']}: {side['system']} on {split}, "
        f"seed{'s' if len(side['seeds']) > 1 else ''} {seeds}, {side['device']} in {side['precision']}"
    )


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _rows(protocol: str, found: Figures) -> list[list[str]]:
    rows = []
    for name, words in MEASURES.items():
        of = found[name]
        difference = f"{_points(of['difference'])} [{_points(of['low'])}, {_points(of['high'])}]"
        rows.append(["", "", words, f"{of['a']:.3f}", f"{of['b']:.3f}", difference])
    rows[0][:2] = protocol, str(found["n_paired"])
    return rows


def _tests(protocol: str, found: Figures) -> list[list[str]]:
    return [
        [protocol, f"{test['seed_a']}, {test['seed_b']}", str(test["only_a"]), str(test["only_b"]), f"{test['p']:.2g}"]
        for test in found["mcnemar"]
    ]


def _notes(protocols: dict[str, Figures]) -> list[str]:
    """How the intervals were made, and what is not in them."""
    lines = ["95 % intervals: paired bootstrap over groups of clips, and over the seeds of a side that has several"]
    for protocol, found in protocols.items():
        reasons = {
            "only in A": found["n_only_a"],
            "only in B": found["n_only_b"],
            "of another truth, or measured otherwise": found["n_unlike"],
        }
        left = [f"{n} {reason}" for reason, n in reasons.items() if n]
        if left:
            lines.append(f"{protocol}: left out {', '.join(left)}")
    return lines


def _params_in_words(figures: Figures) -> list[str]:
    def value(sides: Figures, side: str) -> str:
        return json.dumps(sides[side]) if side in sides else "(no such key)"

    if not figures["params"]:
        return ["parameters: none differs"]
    lines = [f"  {key}: {value(sides, 'a')} -> {value(sides, 'b')}" for key, sides in figures["params"].items()]
    if not figures["moved"]:
        lines.append("and no score does: scores follow the parameters when `dvc repro` has run")
    return ["parameters that differ, A -> B", *lines]


def _verdict_in_words(figures: Figures) -> str:
    protocol, found = next(iter(figures["protocols"].items()))
    rate = figures["protocols"][protocol]["success_rate"]
    interval = f"[{_points(rate['low'])}, {_points(rate['high'])}]"
    why = {
        "better": f"the interval of B - A, {interval}, lies above 0",
        "worse": f"the interval of B - A, {interval}, lies below 0",
        "undecided": f"the interval of B - A, {interval}, holds 0",
    }[figures["verdict"]]
    if found["n_groups"] == 1:
        why = "one group of clips alone says nothing of others"
    return f"{figures['verdict']}, by the success rate under {protocol}: {why}\n{_scope(figures)}"


def _scope(figures: Figures) -> str:
    """What the verdict is about."""
    lone = [key.upper() for key in ("a", "b") if len(figures[key]["seeds"]) == 1]
    if len(lone) == 2:
        return "One seed each: this is about these two checkpoints, not these two settings."
    if lone:
        return f"{lone[0]} has one seed: this is about that checkpoint, not its setting."
    return "Several seeds each: this is about these two settings."
