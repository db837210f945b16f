import json

import pytest
import torch
from safetensors.torch import save_file

from model import detection
from model.vision import MobileNetV2
from pipeline.foundation import detectors
from pipeline.foundation.errors import UserError
from tests import voc


def begin(tmp_path, classes=("blue", "red"), **changes):
    torch.manual_seed(0)
    return detectors.begin(voc.settings(tmp_path, **changes), "detectors.d", list(classes) if classes else None)


def saved(tmp_path, model, name="w.safetensors") -> str:
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / name)
    return str(tmp_path / name)


def test_a_detector_is_written_and_read_again_with_all_that_it_takes(tmp_path):
    begun = begin(tmp_path)
    plain = detectors.without_places(voc.settings(tmp_path), "detectors.d")
    detectors.save(tmp_path, begun.model, detectors.Card(plain, begun.classes, "same", False, 8, "cpu", "float32"))
    model, card = detectors.load(tmp_path)
    assert card.classes == ["blue", "red"]
    assert str(tmp_path) not in (tmp_path / "model.json").read_text()
    frames = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        made, again = (detection.every_proposal(each, frames)[0] for each in (begun.model, model))
    assert torch.equal(made.box, again.box)
    assert torch.equal(made.score, again.score)


def test_a_mobilenet_s_weights_begin_its_backbone_and_its_padding(tmp_path):
    torch.manual_seed(1)
    known = MobileNetV2("features.17", "same")
    begun = begin(tmp_path, network="mobilenet_v2", weights=saved(tmp_path, known))
    assert torch.equal(
        begun.model.backbone.vision.features[5].state_dict()["conv.2.weight"],
        known.features[5].state_dict()["conv.2.weight"],
    )
    assert (begun.padding, begun.has_fixed_norms) == ("same", False)


def test_weights_of_another_network_or_of_none_are_told_by_name(tmp_path):
    small = saved(tmp_path, detection.build("small", 2, 64))
    with pytest.raises(UserError, match=r"detectors\.d\.weights: .*w\.safetensors is no mobilenet_v2"):
        begin(tmp_path, network="mobilenet_v2", weights=small)
    nothing = str(tmp_path / "n.safetensors")
    save_file({"a": torch.zeros(1)}, nothing)
    with pytest.raises(UserError, match="holds no detector; accepted: weights of a whole detector or of its Mobile"):
        begin(tmp_path, weights=nothing)
    with pytest.raises(UserError, match="is no MobileNetV2"):
        begin(tmp_path, network="mobilenet_v2", weights=nothing)


def test_classes_of_weights_that_do_not_tell_them_must_be_listed(tmp_path):
    file = saved(tmp_path, detection.build("small", 2, 64))
    with pytest.raises(UserError, match=r"detectors\.d\.classes: got None, and .* was trained on 2 classes"):
        begin(tmp_path, None, weights=file, epochs=0)
    assert begin(tmp_path, weights=file, epochs=0).classes == ["blue", "red"]
    assert begin(tmp_path, ("a", "b", "c"), weights=file).model.roi_heads.box_predictor.cls_score.out_features == 4


@pytest.mark.slow
@pytest.mark.parametrize(("network", "voc_name", "coco_name"), [("mobilenet_v3_320_fpn", "sofa", "couch")])
def test_coco_s_weights_are_known_by_their_size_and_their_classes_by_voc_s_names_too(
    tmp_path, network, voc_name, coco_name
):
    model = detection.build(network, 90, 320)
    detection.freeze_norms(model, 1e-5)
    file = saved(tmp_path, model, "coco.safetensors")
    begun = begin(tmp_path, None, network=network, weights=file, epochs=0, frame_size=320)
    assert len(begun.classes) == 90
    labels = detectors.labels_of(begun.classes)
    assert labels[voc_name] == labels[coco_name]
    assert begun.has_fixed_norms


def test_without_a_network_coco_s_weights_are_asked_for_by_their_address(tmp_path, monkeypatch):
    def offline(*_args, **_kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"https://download\.pytorch\.org/.* cannot be downloaded .no route"):
        begin(tmp_path, None, network="mobilenet_v3_320_fpn", weights="coco", epochs=0)


def test_a_path_is_no_part_of_what_a_detector_is(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    plain = [
        detectors.without_places(voc.settings(tmp_path / name, weights=str(tmp_path / name)), "d") for name in "ab"
    ]
    assert plain[0] == plain[1]
    assert json.dumps(plain[0])
    assert "root" not in plain[0]
