from pathlib import Path

import pytest

from tests.project import Project

PREPARATION = (
    ("world", "default"),
    ("source",),
    ("extract",),
    ("propose", "selective_search"),
    ("attend",),
    ("listen",),
)


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh small project."""
    return Project.fresh(tmp_path / "project")


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project in which everything up to training is done; to be copied, not changed."""
    project = Project.fresh(tmp_path_factory.mktemp("prepared") / "project")
    for name, *arguments in PREPARATION:
        project.stage(name, *arguments)
    return project


@pytest.fixture
def prepared(prepared_once: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A small project in which everything up to training is done; the test works in its folder."""
    project = prepared_once.copy(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    return project


@pytest.fixture(scope="session")
def trained_once(prepared_once: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project in which a system is trained and evaluated; to be copied, not changed."""
    project = prepared_once.copy(tmp_path_factory.mktemp("trained") / "project")
    project.stage("train")
    project.stage("evaluate")
    return project


@pytest.fixture
def trained(trained_once: Project, tmp_path: Path) -> Project:
    """A small project in which a system is trained and evaluated."""
    return trained_once.copy(tmp_path / "project")
