"""Tables of images: their labels, groups and partitions, and the tables and rows that are refused."""

import pytest
from data_sets import listed, plugin, problems

from variability.errors import UserError
from variability.io.fetcher import Fetcher


@pytest.mark.parametrize("table", ["list.csv", "list.tsv", "list.parquet"])
def test_a_table_of_numbers_is_for_regression_and_one_of_words_for_classification(photos, table):
    dataset = plugin("image_table", **listed(photos, (1.5, -2), table))
    assert dataset.kinds() == ("regression",) and list(dataset.check()) == []
    examples = dataset.load(None)
    assert examples.labels.tolist()[:3] == [1.5, -2, 1.5] and examples.class_names == []
    dataset = plugin("image_table", **listed(photos, ("old", "new"), table))
    assert dataset.kinds() == ("classification",)
    examples = dataset.load(None)
    assert examples.class_names == ["new", "old"] and examples.labels.tolist()[:3] == [1, 0, 1]
    assert examples.read(0).shape == (6, 5, 3)


def test_numbers_may_be_names_of_classes(photos):
    dataset = plugin("image_table", **listed(photos, (3, 12)), target="class")
    assert dataset.kinds() == ("classification",)
    assert dataset.load(None).class_names == ["3", "12"]


def test_a_table_has_partitions_and_groups(photos):
    shipped = ["Train", "val", "test", None] * 3
    options = listed(photos, (1.0, 2.0), fold=shipped, patient=list("bacd" * 3))
    examples = plugin("image_table", **options, group="patient", partition="fold").load(None)
    assert examples.partition.tolist() == ["train", "validation", "test", ""] * 3
    assert examples.groups.tolist() == [1, 0, 2, 3] * 3


def test_a_group_in_several_partitions_is_refused_by_name(photos):
    shipped = ["train", None, "test", "val"] * 3
    options = listed(photos, (1.0, 2.0), fold=shipped, patient=list("bbca" * 2 + "bbaa"))
    with pytest.raises(UserError, match=r"1 of 3 groups of 'patient' .*\('a' in test and validation\).*fix 'fold'"):
        plugin("image_table", **options, group="patient", partition="fold").load(None)


def test_images_of_a_table_may_come_from_an_archive_and_the_table_from_a_mirror(photos, tmp_path):
    import shutil

    listed(photos, (1.0, 2.0))
    (tmp_path / "mirror").mkdir()
    (photos / "list.csv").rename(tmp_path / "mirror" / "mirrored-list.csv")
    shutil.make_archive(str(tmp_path / "mirror" / "pictures"), "zip", photos)
    options = {"path": "mirrored-list.csv", "images": "pictures.zip"}
    assert "say class or number" in problems("image_table", [tmp_path / "mirror"], **options)[0]
    dataset = plugin("image_table", **options, target="number")
    assert dataset.is_remote() and list(dataset.check([tmp_path / "mirror"])) == []
    (tmp_path / "got").mkdir()
    dataset.download(tmp_path / "got", Fetcher([tmp_path / "mirror"]))
    examples = dataset.load(tmp_path / "got")
    assert len(examples) == 12 and examples.read(11).shape == (6, 6, 3)


def test_words_such_as_na_are_classes_and_groups_but_missing_numbers(photos):
    examples = plugin("image_table", **listed(photos, ("NA", "null"), who=["None", "7", "07"] * 4), group="who").load(
        None
    )
    assert examples.class_names == ["NA", "null"] and examples.groups.tolist() == [2, 1, 0] * 4
    options = listed(photos, (1.5, "NA", 2.0))
    assert plugin("image_table", **options).kinds() == ("regression",)
    with pytest.raises(UserError, match=r"line 3 has no value in 'label'.*target: class"):
        plugin("image_table", **options).load(None)
    assert plugin("image_table", **options, target="class").load(None).class_names == ["1.5", "2.0", "NA"]


def test_quotes_in_a_table_of_images_have_the_same_meaning_as_in_other_tables(photos):
    options = listed(photos, ('5" disk', '"a" disk'), "list.tsv")
    with pytest.raises(UserError, match="set `quotes: true`"):
        plugin("image_table", **options).load(None)
    assert plugin("image_table", **options, quotes=True).load(None).class_names == ['"a" disk', '5" disk']
    assert problems("image_table", **listed(photos, table="list.parquet"), quotes=True)[0].startswith("quotes:")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": ["../list.csv"] * 12}, "leads outside"),
        ({"image": ["absent.png"] * 12}, "line 2 names 'absent.png', and there is no file"),
        ({"label": [1.0] * 4 + [None] + [2.0] * 7}, "line 6 has no value in 'label'"),
        ({"label": [1.0] * 4 + [float("inf")] + [2.0] * 7}, "line 6 has the label inf"),
        ({"label": ["same"] * 12}, "all labels in 'label' are 'same'"),
        (
            {"fold": ["train"] * 11 + ["tset"]},
            "line 13: fold is 'tset'; known are train, ",
        ),
    ],
)
def test_an_invalid_table_is_refused_with_the_row(photos, changes, message):
    options = listed(photos, **changes) | ({"partition": "fold"} if "fold" in changes else {})
    with pytest.raises(UserError, match=message):
        plugin("image_table", **options).load(None)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("test/left/0", "set `suffix: .png`"),
        ("photos/test/left/0.png", "the names begin with that of the folder: set images to "),
        ("test/left/0.PNG", "it is called '0.png'"),
        ("test/left/0.png ", "remove the blanks around the name"),
    ],
)
def test_the_name_that_was_meant_is_shown(photos, name, hint):
    (message,) = problems("image_table", **listed(photos, image=[name] + ["test/left/1.png"] * 11))
    assert f"line 2 names {name!r}" in message and f"; {hint}" in message


def test_groups_in_two_spellings_are_refused(photos):
    options = listed(photos, patient=["a", "b", "a ", "b"] * 3)
    with pytest.raises(UserError, match="lines 4, 8, 12: the patient 'a ' is also written 'a'; write it one way"):
        plugin("image_table", **options, group="patient").load(None)


def test_the_check_of_a_config_lists_all_broken_rows_of_a_local_table(photos):
    options = listed(photos, (1.0, 2.0))
    table = photos / "list.csv"
    lines = table.read_text().splitlines()
    lines[3], lines[7] = "absent.png,1.0", lines[7].split(",")[0] + ","
    table.write_text("\n".join([lines[0], "", *lines[1:]]) + "\n")
    message = problems("image_table", **options)[0]
    # A blank line is a line of the file, and not a row.
    assert "2 of 12 rows" in message and "line 5 names 'absent.png'" in message and "line 9 has no value" in message


def test_broken_rows_and_unknown_partitions_are_reported_at_once(photos):
    options = listed(photos)
    table = photos / "list.csv"
    lines = [line + ",train" for line in table.read_text().splitlines()]
    lines[0], lines[3] = lines[0].replace(",train", ",part"), "absent.png,a,train"
    lines[5] = lines[5].replace(",train", ",trian")
    table.write_text("\n".join(lines) + "\n")
    (message,) = problems("image_table", **options, partition="part")
    assert "line 4 names 'absent.png'" in message and "line 6: part is 'trian'" in message


def test_images_of_a_table_may_be_links_and_may_be_named_with_backslashes(photos, tmp_path):
    options = listed(photos)
    first = (photos / "list.csv").read_text().splitlines()[1].split(",")[0]
    (photos / first).rename(tmp_path / "moved.png")
    (photos / first).symlink_to(tmp_path / "moved.png")
    table = photos / "list.csv"
    table.write_text(table.read_text().replace("/", "\\"))
    dataset = plugin("image_table", **options)
    assert list(dataset.check()) == [] and len(dataset.load(None)) == 12
    assert len(dataset.sources([])) == 13


def test_a_missing_column_is_reported_before_the_first_job(photos):
    options = listed(photos)
    assert "did you mean 'label'?" in problems("image_table", **options, label="lable")[0]
    assert "no column 'part'" in problems("image_table", **options, partition="part")[0]


def test_a_missing_table_is_one_problem(photos, tmp_path):
    (problem,) = problems("image_table", path=str(tmp_path / "lost.csv"), images=str(photos), image="image", label="a")
    assert problem.startswith("path: no file")


def test_one_word_after_thousands_of_numbers_makes_classes(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("image,label\n" + "a.png,1\n" * 3000)
    dataset = plugin("image_table", path=str(table))
    assert dataset.kinds() == ("regression",)
    with table.open("a") as file:
        file.write("a.png,other\n")
    assert dataset.kinds() == ("classification",)


@pytest.mark.parametrize("labels", [["0_2", "4_6", "8_13"], ["007", "012"], ["1e5", "2e3"], ["²", "³"]])
def test_codes_are_classes_and_not_numbers(photos, labels):
    dataset = plugin("image_table", **listed(photos, labels))
    assert dataset.kinds() == ("classification",) and list(dataset.check()) == []
    assert sorted(dataset.load(None).class_names) == sorted(labels)


def test_rows_of_one_picture_are_a_group(photos):
    options = listed(photos, ("old", "new"))
    table = photos / "list.csv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join([*rows, *rows[1:4], "./" + rows[1]]) + "\n")
    examples = plugin("image_table", **options).load(None)
    assert examples.groups.tolist() == [*range(12), 0, 1, 2, 0]
    assert examples.source(0) == examples.source(15) == rows[1].split(",")[0]


def test_groups_that_share_a_picture_are_one(photos):
    options = listed(photos, ("old", "new"), patient=list("aabbccddeeff"))
    table = photos / "list.csv"
    first = table.read_text().splitlines()[1]
    table.write_text(table.read_text() + first.rsplit(",", 1)[0] + ",f\n")
    groups = plugin("image_table", **options, group="patient").load(None).groups
    assert (groups[[0, 1, 10, 11, 12]] == groups[0]).all() and len(set(groups)) == 5


def test_one_picture_in_two_partitions_is_refused_before_the_first_job(photos):
    options = listed(photos, ("old", "new"), fold=["train"] * 9 + ["test"] * 3)
    table = photos / "list.csv"
    first = table.read_text().splitlines()[1]
    table.write_text(table.read_text() + first.rsplit(",", 1)[0] + ",test\n")
    (problem,) = problems("image_table", **options, partition="fold")
    assert "1 of 12 images is in several partitions" in problem and "lines 2, 14" in problem


def test_spellings_of_a_class_are_refused_in_a_table_of_images(photos):
    options = listed(photos, ("neg", "pos", "Neg"))
    assert "'Neg' (list.csv:4 and 3 more) and 'neg'" in problems("image_table", **options)[0]
    assert plugin("image_table", **options, spelling="merge").load(None).class_names == ["Neg", "pos"]
