import os

from variability.stages.disk import disk, format_bytes


def test_sizes_are_listed_by_stage_the_largest_first_and_count_a_linked_file_once(tmp_path):
    results, downloads = tmp_path / "study", tmp_path / "downloads"
    for path, size in ((results / "predict/a/0.parquet", 2_500), (results / "finetune/a/0/c", 1_200_000)):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
    downloads.mkdir()
    (downloads / "one").write_bytes(bytes(7_000))
    os.link(downloads / "one", downloads / "same")
    assert [line.split(None, 1) for line in disk(results, downloads).splitlines()[:2]] == [
        ["finetune", "1.2 MB"],
        ["predict", "2.5 KB"],
    ]
    assert disk(results, downloads).splitlines()[-1].split()[-2:] == ["7.0", "KB"]
    assert disk(tmp_path / "no such study", downloads).splitlines()[0].split()[-2:] == ["0", "B"]


def test_formatted_sizes():
    assert [format_bytes(size) for size in (0, 999, 1_000, 3.25e9, 2e15)] == [
        "0 B",
        "999 B",
        "1.0 KB",
        "3.2 GB",
        "2000.0 TB",
    ]
