import gzip
from pathlib import Path

import pytest

from pipeline.foundation.errors import UserError
from pipeline.foundation.manifest import Rejection
from pipeline.sources import flickr_soundnet, vggss
from pipeline.sources.lists import SilentRow, ids_of, silent_rows_of
from pipeline.sources.reading import Form
from tests.samples import real


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def unpacked(tmp_path: Path, file: Path) -> Path:
    """A file of the field as its authors ship it, not gzipped."""
    return written(tmp_path, gzip.open(file).read() if file.suffix == ".gz" else file.read_bytes())


@pytest.mark.parametrize(
    "content",
    [
        "0123456789\n11\n",
        "0123456789.wav\r\n11.wav\r\n",
        "/hdd/a/0123456789.mp4\nb/11.mp4\n",
        "0123456789,202\n11,0",
        "\ufeff0123456789\n\n  11  \n",
        'id,class\n0123456789,"baby, man"\n11,dog\n',
        "filename\tevent_labels\n0123456789\tDog,Cat\n11\tDog\n",
        "VIDEO\n0123456789.png\n11.JPG\n",
        "0123456789\r11\r",
    ],
)
def test_a_list_is_read_however_it_is_written(tmp_path, content):
    assert list(ids_of(written(tmp_path, content), Form())) == ["0123456789", "11"]


def test_ids_are_told_as_they_are_written_and_taken_in_the_data_set_s_form(tmp_path):
    path = written(tmp_path, "a/gklbB7TYoK4_30000_40000.mp4\n-ANxUxvGASw_000010\n")
    assert ids_of(path, vggss.FORM) == {
        "gklbB7TYoK4_000030": "a/gklbB7TYoK4_30000_40000.mp4",
        "-ANxUxvGASw_000010": "-ANxUxvGASw_000010",
    }


def test_an_id_that_is_named_twice_counts_once_and_is_told(tmp_path, caplog):
    assert list(ids_of(written(tmp_path, "1\n2\n1.wav\n"), Form())) == ["1", "2"]
    assert "1 ids are named again and count once, among them 1" in caplog.text


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\xff\xfe1\x00", "not a list of ids as UTF-8 text"),
        (b"\n \n", "names no id; fill it"),
        (b"id\n", "names no id; fill it"),
        (b'"' + b"1" * 200_000 + b'"', "not a list of ids as UTF-8 text"),
    ],
)
def test_a_list_that_is_none_is_told(tmp_path, content, line):
    with pytest.raises(UserError, match=line) as caught:
        ids_of(written(tmp_path, content), Form())
    assert len(str(caught.value).splitlines()) == 1


def test_a_list_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="none.txt: cannot be read"):
        ids_of(tmp_path / "none.txt", Form())


def test_a_wrong_row_of_a_silent_list_is_rejected_by_its_line_and_the_others_stay(tmp_path):
    rejections: list[Rejection] = []
    lines = [
        "1,2,non-sounding",
        "1,2",
        ",2,non-sounding",
        "3,4,sounding",
        "1.jpg,2.wav,non-sounding",
        "5,5,non-sounding",
    ]
    content = "\n".join(["video,audio,label", *lines])
    rows = silent_rows_of(written(tmp_path, content), Form(), rejections)
    assert rows == [SilentRow("1", "2", ("1", "2")), SilentRow("5", "5", ("5", "5"))]
    assert [(r.path, r.reason.split(":")[0]) for r in rejections] == [("list.csv", f"line {i}") for i in (3, 4, 5, 6)]
    assert rejections[-1].reason == "line 6: 1.jpg with the sound of 2.wav is named before"


def test_a_silent_list_without_a_row_is_told(tmp_path):
    with pytest.raises(UserError, match="no row video,audio,non-sounding"):
        silent_rows_of(written(tmp_path, "1\n2\n"), Form(), [])


FLICKR = {
    "ardasnck__learning_to_localize_sound_source/test_list.txt": 250,
    "ardasnck__learning_to_localize_sound_source/supervised_test_list.txt": 250,
    "ardasnck__learning_to_localize_sound_source/Flickr_train_144k.txt.gz": 144_000,
    "hche11__Localizing-Visual-Sounds-the-Hard-Way/metadata/flickr_test.csv": 249,
    "stoneMo__SLAVC/metadata/flickr_test.csv": 250,
    "stoneMo__SLAVC/metadata/flickr_sup_train.txt": 4750,
    "kaistmm__SSLalignment/metadata/flickr_test.csv": 250,
    "kaistmm__SSLalignment/metadata/test_flickr_250.txt": 250,
    "jinxiang-liu__SSL-TIE/metadata/test_flickr_5k.txt": 5000,
    "stoneMo__EZ-VSL/metadata/flickr_10k.txt.gz": 10_000,
    "stoneMo__EZ-VSL/metadata/flickr_144k.txt.gz": 144_000,
    "denfed__heartheflow/metadata/flickr_test_trimmed.csv": 178,
    "denfed__heartheflow/metadata/flickr_test_expanded.csv": 1666,
    "swimmiing__ACL-SSL/Flickr/metadata/flickr_test.csv": 250,
    "liyidi__soundnet_localize_sound_source/mydata/mytest_list.txt": 2,
}
VGGSOUND = {
    "hche11__Localizing-Visual-Sounds-the-Hard-Way/metadata/vggss_test.csv": 5158,
    "stoneMo__EZ-VSL/metadata/vggss_heard_test.csv": 2564,
    "stoneMo__EZ-VSL/metadata/vggss_unheard_test.csv": 2575,
    "stoneMo__EZ-VSL/metadata/vggss_heard.txt.gz": 59_468,
    "stoneMo__EZ-VSL/metadata/vggss_10k.txt.gz": 10_000,
    "stoneMo__EZ-VSL/metadata/vggss_144k.txt.gz": 144_000,
    "kaistmm__SSLalignment/metadata/ours_vggss.txt.gz": 4655,
    "zjsong__SSPL/metadata/vggss_test_4692.csv.gz": 4692,
    "hche11__VGGSound/data/test.csv.gz": 15_446,
}


@pytest.mark.real
@pytest.mark.parametrize(("name", "count"), FLICKR.items())
def test_every_real_list_of_flickr_is_read_whole(tmp_path, name, count):
    ids = ids_of(unpacked(tmp_path, real("annotations") / name), flickr_soundnet.FORM)
    assert len(ids) == count
    assert all(flickr_soundnet.ID.fullmatch(item) for item in ids)


@pytest.mark.real
@pytest.mark.parametrize(("name", "count"), VGGSOUND.items())
def test_every_real_list_of_vggsound_is_read_whole(tmp_path, name, count):
    ids = ids_of(unpacked(tmp_path, real("annotations") / name), vggss.FORM)
    assert len(ids) == count
    assert all(len(item) == 18 for item in ids)


@pytest.mark.real
def test_all_real_lists_of_the_250_name_the_same_items(tmp_path):
    names = [name for name, count in FLICKR.items() if count == 250]
    lists = [set(ids_of(unpacked(tmp_path, real("annotations") / name), flickr_soundnet.FORM)) for name in names]
    assert len(lists) == 6
    assert all(ids == lists[0] for ids in lists)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "form", "count", "n_own"),
    [
        ("flickr_test_plus_silent.csv", flickr_soundnet.FORM, 250, 0),
        ("vggss_test_plus_silent.csv.gz", vggss.FORM, 5158, 379),
    ],
)
def test_the_real_extended_lists_are_read_whole(tmp_path, name, form, count, n_own):
    rejections: list[Rejection] = []
    path = unpacked(tmp_path, real("annotations") / "stoneMo__SLAVC" / "metadata" / name)
    rows = silent_rows_of(path, form, rejections)
    assert (len(rows), rejections) == (count, [])
    assert sum(row.video == row.audio for row in rows) == n_own
