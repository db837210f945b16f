from tests.samples import greys, tone, write_media


def test_dvc_watches_a_list_in_place_of_the_root(project):
    root = project.folder / "videos"
    root.mkdir()
    for i in range(4):
        write_media(root / f"{i}.mp4", greys(3), tone(1))
    project.set(
        {"worlds": {}, "source": {"root": "videos", "watch": "clips-list.csv", "test_share": 0, "val_share": 0}}
    )
    told = project.run("usol", "check")
    assert (told.returncode, "`usol list`" in told.stderr) == (1, True)
    assert project.run("usol", "list").stdout == "clips-list.csv: 4 files of videos\n"
    for _ in range(2):
        done = project.run("dvc", "repro", "extract")
        assert done.returncode == 0, done.stderr
    assert "didn't change, skipping" in done.stdout
    write_media(root / "4.mp4", greys(3), tone(1))
    assert "are up to date" in project.run("dvc", "repro", "extract").stdout  # not on the list
    write_media(root / "0.mp4", greys(9), tone(1))
    told = project.run("python", "-m", "pipeline.extract")
    assert told.returncode == 1
    assert "clips-list.csv: 1 files are not as it says, among them 0.mp4" in told.stderr
    assert project.run("usol", "list").stdout == "clips-list.csv: 5 files of videos\n"
    assert project.run("dvc", "repro", "extract").returncode == 0
    assert len((project.folder / "data/order.csv").read_text().split()) == 6


def test_a_folder_is_not_overwritten_by_its_list(project):
    told = project.run("usol", "list")
    assert told.returncode == 1
