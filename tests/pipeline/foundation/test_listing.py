import pytest

from pipeline.foundation import listing
from pipeline.foundation.errors import UserError


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "clips"
    (root / "b").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for name, n in (("b/two.mp4", 2), ("a,1.mp4", 5), (".hidden/x.mp4", 1), (".y.mp4", 1)):
        (root / name).write_bytes(b"x" * n)
    return root


def test_a_list_names_all_files_with_their_sizes(root):
    path = root / "list.csv"
    for _ in range(2):  # the list itself is not on it
        assert listing.write_list(root, path) == 2
        assert listing.sizes(path) == {"a,1.mp4": 5, "b/two.mp4": 2}


def test_a_file_of_another_size_or_not_listed_is_told(root, tmp_path):
    path = tmp_path / "list.csv"
    listing.write_list(root, path)
    listing.check(root, path, ["a,1.mp4", "b/two.mp4", "gone.mp4"])
    (root / "b/two.mp4").write_bytes(b"xyz")
    with pytest.raises(UserError, match=r"list.csv: 1 files .* b/two.mp4 with 3 bytes \(listed: 2\); .*`usol list`"):
        listing.check(root, path, ["a,1.mp4", "b/two.mp4"])
    (root / "new.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"new.mp4 with 1 bytes \(not listed\)"):
        listing.check(root, path, ["new.mp4"])


@pytest.mark.parametrize("size", ["", "-1", "1.5", "many"])
def test_a_size_that_is_none_is_told(tmp_path, size):
    (tmp_path / "list.csv").write_text(f"path,size\na.mp4,{size}\n")
    with pytest.raises(UserError, match=f"list.csv:2: size is '{size}'; accepted: bytes"):
        listing.sizes(tmp_path / "list.csv")
