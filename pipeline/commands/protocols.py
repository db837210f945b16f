"""`usol tables protocols`: the checkpoint that was evaluated last under every protocol, from its maps in data/heat."""

from typing import Any, get_args

from pipeline import evaluate
from pipeline.commands.special_tables import as_table, with_interval
from pipeline.commands.tables import NAMES, last_evaluation
from pipeline.foundation import heat, manifest
from pipeline.foundation.errors import UserError
from pipeline.foundation.figures import figures
from pipeline.foundation.params import ProtocolName
from pipeline.foundation.params_file import load


def run() -> None:
    """Print the success rates of the method, under its own and under wrong sounds, and of the baselines."""
    last = last_evaluation()
    print(_table(last) if last["n_annotated"] else "no boxes to score against")


def _table(last: dict[str, Any]) -> str:
    split = last["split"]
    shown = heat.read(evaluate.HEAT, manifest.read(evaluate.SOURCE / split), evaluate.BOTTOM_UP)
    if shown is None:
        raise UserError(f"{evaluate.HEAT}: no maps there; `dvc repro evaluate` makes them")
    val: heat.Shown | None = shown
    if split != "val":
        val = heat.read(evaluate.HEAT / "val", manifest.read(evaluate.SOURCE / "val"), evaluate.BOTTOM_UP)
    settings = load().evaluate.model_copy(update={"split": split, "protocols": list(get_args(ProtocolName))})
    of_run = (last[name] for name in ("seed", "system", "device", "precision"))
    mean = evaluate.mean_bottom_up(evaluate.BOTTOM_UP)
    regions = last.get("regions")  # before there were votes eval.json said nothing of them
    voting = None if regions is None else evaluate.REGIONS / regions
    scores = evaluate.score(settings, evaluate.Seen(shown, val, evaluate.FRAMES, voting, mean, *of_run))
    told = figures(scores, evaluate.known_of(shown.clips), settings.bootstrap)
    header = ["success rate", "method", "AUC", "empty", "full", "wrong sound", *(NAMES[b] for b in scores.baselines)]
    rows = []
    for protocol, values in told["method"].items():
        if values["n"] is None:
            continue
        area = told["mask_area"]["method"][protocol]
        others = [told["wrong_sound"], *told["baselines"].values()]
        rates = (f"{other[protocol]['success_rate']:.3f}" for other in others)
        shares = (f"{100 * area[name]:.0f} %" for name in ("empty", "full"))
        rows.append([protocol, with_interval(values, "success_rate"), f"{values['auc']:.3f}", *shares, *rates])
    note = (
        f"{last['system']}, seed {last['seed']}, on {last['n_annotated']} clips of {split}; 95 % intervals in brackets"
    )
    return f"{note}\n\n{as_table(rows, header)}"
