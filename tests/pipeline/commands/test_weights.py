import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipeline.commands import weights
from pipeline.commands.weights import PUBLISHED, Published
from pipeline.foundation.errors import UserError

CONTENT = b"what a server gives" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    """The address of a server on this machine that has `w.pth` and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            there = self.path == "/w.pth"
            self.send_response(200 if there else 404)
            self.send_header("Content-Length", str(len(CONTENT) if there else 0))
            self.end_headers()
            self.wfile.write(CONTENT if there else b"")

        def log_message(self, *arguments):
            """Say nothing."""

    running = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


def published(address: str | None, sha256: str = SHA256[:8]) -> Published:
    return Published("w.pth", sha256, "vision: vgg16, vision_weights", address)


def test_a_file_is_fetched_by_its_checksum_and_found_again(in_tmp, server, monkeypatch, capsys):
    monkeypatch.setitem(PUBLISHED, "vgg16", published(f"{server}/w.pth"))
    weights.run("vgg16")
    assert Path("weights/w.pth").read_bytes() == CONTENT
    told = f"weights/w.pth: SHA-256 {SHA256}\nparams.yaml, train: vision: vgg16, vision_weights: weights/w.pth\n"
    assert capsys.readouterr().out == told
    monkeypatch.setitem(PUBLISHED, "vgg16", published("http://127.0.0.1:1/gone"))
    weights.run("vgg16")
    assert capsys.readouterr().out == told


def test_another_file_than_the_published_one_is_not_kept(in_tmp, server, monkeypatch):
    monkeypatch.setitem(PUBLISHED, "vgg16", published(f"{server}/w.pth", "0" * 8))
    with pytest.raises(
        UserError, match="w.pth: not w.pth: its SHA-256 is .*, which begins with 00000000 in the publis"
    ):
        weights.run("vgg16")
    assert list(Path("weights").iterdir()) == []
    Path("weights/w.pth").write_bytes(b"by hand")
    with pytest.raises(UserError, match="^weights/w.pth: not w.pth: .*; remove it and run again"):
        weights.run("vgg16")


@pytest.mark.parametrize("path", ["/gone.pth", None])
def test_what_cannot_be_reached_is_told_in_one_line_with_the_place_for_it(in_tmp, server, monkeypatch, path):
    address = f"{server}{path}" if path else "http://127.0.0.1:1/w.pth"
    monkeypatch.setitem(PUBLISHED, "vgg16", published(address))
    with pytest.raises(UserError) as caught:
        weights.run("vgg16")
    line = str(caught.value)
    assert line.startswith(f"usol weights: {address} cannot be had (")
    assert line.endswith(f"; bring the file to weights/w.pth by another way (its SHA-256 begins with {SHA256[:8]})")
    assert "\n" not in line
    assert list(Path("weights").iterdir()) == []


def test_weights_without_an_address_are_told_with_the_place_for_them(in_tmp):
    with pytest.raises(UserError, match=r"no official address gives sound8.npy: .*; put it at weights/sound8.npy$"):
        weights.run("soundnet")
    with pytest.raises(UserError, match="no weights 'alexnet'; accepted: vgg16, mobilenet_v2, resnet18, squeezenet, "):
        weights.run("alexnet")


def test_torchvision_names_its_files_by_their_checksum():
    for name in ("vgg16", "mobilenet_v2", "resnet18", "squeezenet"):
        file = PUBLISHED[name]
        assert file.name.endswith(f"-{file.sha256}.pth")
        assert len(file.sha256) == 8
        assert file == replace(file, address=f"https://download.pytorch.org/models/{file.name}")
    assert len(PUBLISHED["yamnet"].sha256) == 64
