import pytest
import torch
from safetensors.torch import save_file

from benchmarks import listening
from model import voting
from model.systems import guided
from model.vision import MobileNetV2
from pipeline.foundation.params_file import load


@pytest.mark.slow
def test_a_constant_is_changed_for_its_own_row_alone(prepared, monkeypatch):
    torch.manual_seed(0)
    save_file(MobileNetV2("features.13", "same").state_dict(), "weights.safetensors")
    network = {"vision": "mobilenet_v2", "vision_layer": "features.13", "vision_weights": "weights.safetensors"}
    params = load(overrides={"train": {"system": "guided", "freeze_vision": True, "augment": "none", **network}})
    monkeypatch.setattr(listening, "OF_SYSTEM", {"as it is": {}, "no step 4": {"ROUNDS": 0}})
    monkeypatch.setattr(listening, "OF_VOTES", {"the same": {}, "no box": {"SMALLEST": 2}})
    before = guided.ROUNDS, voting.SMALLEST
    rows = {row["what"]: row for row in listening.rows(params)}
    assert list(rows)[:-1] == ["not voted", "as it is", "no step 4", "the same", "no box"]
    figures = {name: {key: value for key, value in row.items() if key != "what"} for name, row in rows.items()}
    assert figures["the same"] == figures["as it is"]
    assert figures["no box"]["adaptive"] == figures["not voted"]["adaptive"]  # the same order of pixels
    assert all(0 <= row[name] <= 1 for row in rows.values() for name in listening.NAMES)
    assert before == (guided.ROUNDS, voting.SMALLEST)
