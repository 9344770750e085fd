"""Conversion of logs of interactions to examples: filters, held-out interactions, order and file formats."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from variability import registry
from variability.data.datasets import _interactions, movielens
from variability.errors import UserError

# User, item, rating, time: each user has five items, in a different order than the rows.
ROWS = [
    (user, item, (user + item) % 5 + 1, 100 * user + (item * 3 + user) % 5)
    for user in (7, 9, 8)
    for item in range(10, 15)
]
FORMATS = {
    "100k": ("ml-100k/u.data", "\t", None),
    "1m": ("ml-1m/ratings.dat", "::", None),
    "20m": ("ml-20m/ratings.csv", ",", "userId,movieId,rating,timestamp"),
}


def log(rows=ROWS):
    users, items, ratings, times = (np.array(column) for column in zip(*rows, strict=True))
    return _interactions.Log(users, items, times, ratings.astype(float))


def examples(rows=ROWS, **options):
    return _interactions.examples(log(rows), {"min_interactions": 2} | options, "the log")


def described(examples):
    """Return {(partition, user): [(history, target)]}."""
    described = {}
    for index in range(len(examples)):
        *history, target = examples.read(index).tolist()
        key = (examples.partition[index], int(examples.groups[index]))
        described.setdefault(key, []).append((history, target))
    return described


def in_time(user):
    return [item - 10 for _, item, _, _ in sorted((row for row in ROWS if row[0] == user), key=lambda row: row[3])]


def test_the_last_item_of_each_user_is_for_testing_and_the_one_before_for_validation():
    sequences = described(examples())
    for number, user in enumerate((7, 8, 9)):
        items = in_time(user)
        assert sequences["test", number] == [(items[:4], items[4])]
        assert sequences["validation", number] == [(items[:3], items[3])]
        assert sequences["train", number] == [(items[:2], items[2])]
    assert sum(map(len, sequences.values())) == 9


def test_labels_are_the_last_items_and_facts_count_items_and_users():
    loaded = examples()
    assert loaded.labels.dtype == np.int64
    assert loaded.labels.tolist() == [loaded.read(index)[-1] for index in range(len(loaded))]
    assert loaded.facts == {"items": 5, "users": 3, "target": "next_item"}


def test_every_rating_is_an_example_and_the_last_ones_are_held_out():
    loaded = examples(target="rating")
    described_ratings = described(loaded)
    for number, user in enumerate((7, 8, 9)):
        items = in_time(user)
        assert described_ratings["train", number] == [(items[:end], items[end]) for end in range(3)]
        assert described_ratings["test", number] == [(items[:4], items[4])]
    ratings = {(user, item - 10): rating for user, item, rating, _ in ROWS}
    users = np.array([7, 8, 9])[loaded.groups]
    expected = [ratings[user, loaded.read(index)[-1]] for index, user in enumerate(users)]
    assert loaded.labels.tolist() == expected and loaded.labels.dtype == np.float64


def test_several_interactions_can_be_held_out():
    rows = [(1, item, 3, item) for item in range(8)]
    sequences = described(examples(rows, held_out=2, min_interactions=1))
    assert [target for _, target in sequences["test", 0]] == [6, 7]
    assert [target for _, target in sequences["validation", 0]] == [4, 5]
    assert sequences["train", 0] == [([0, 1, 2], 3)]
    assert sequences["test", 0][1] == ([0, 1, 2, 3, 4, 5, 6], 7)


def test_interactions_of_equal_time_stay_in_the_order_of_the_log():
    rows = [(1, item, 3, 0) for item in (4, 2, 3, 1)]
    loaded = examples(rows, min_interactions=1)
    assert loaded.items.tolist() == [3, 1, 2, 0]


def test_users_and_items_with_few_interactions_are_removed_repeatedly():
    # Item 99 has one user, who then has three items left; without that user, item 15 has three users left.
    rows = [*ROWS, *((6, item, 3, item) for item in (10, 11, 15, 99))]
    rows += [(user, item, 3, item) for user in (1, 2, 3) for item in (10, 11, 12, 13, 15)]
    loaded = examples(rows, min_interactions=4)
    assert (loaded.facts["users"], loaded.facts["items"]) == (6, 4)


def test_repeated_interactions_count_only_if_requested():
    rows = [(1, item, 3, time) for time, item in enumerate((0, 1, 0, 2, 3, 1))]
    assert examples(rows, min_interactions=1).items.tolist() == [0, 1, 2, 3]
    assert examples(rows, min_interactions=1, repeats="keep").items.tolist() == [0, 1, 0, 2, 3, 1]


def test_only_ratings_from_the_threshold_on_are_interactions():
    rows = [(1, item, item % 2 + 1, item) for item in range(10)]
    assert examples(rows, min_interactions=1, threshold=2).facts["items"] == 5
    assert examples(rows, min_interactions=1, threshold=2, target="rating").facts["items"] == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [({"min_interactions": 50}, "lower min_interactions"), ({"held_out": 5}, "lower min_interactions or held_out")],
)
def test_a_log_with_too_few_interactions_is_an_error(options, message):
    with pytest.raises(UserError, match=message):
        examples(**options)


def test_missing_ratings_cannot_be_predicted():
    without = _interactions.Log(*[np.arange(5)] * 3)
    with pytest.raises(UserError, match="target: next_item"):
        _interactions.examples(without, {"target": "rating"}, "the log")
    with pytest.raises(UserError, match="remove threshold"):
        _interactions.examples(without, {"threshold": 3}, "the log")


# Formats ------------------------------------------------------------------------------------------------------------


def archive(folder, version, rows=ROWS):
    name, separator, header = FORMATS[version]
    lines = [header] * (header is not None) + [separator.join(map(str, row)) for row in rows]
    with zipfile.ZipFile(folder / f"ml-{version}.zip", "w") as opened:
        opened.writestr("README", "terms")
        opened.writestr(name, "\n".join(lines) + "\n")


@pytest.mark.parametrize("version", movielens.RELEASES)
def test_movielens_in_its_three_formats(version, tmp_path):
    archive(tmp_path, version)
    for target in ("next_item", "rating"):
        plugin = registry.find("datasets", "movielens")({"version": version, "min_interactions": 2, "target": target})
        assert plugin.kinds() == (_interactions.TARGETS[target],)
        loaded, expected = plugin.load(tmp_path), examples(target=target)
        assert loaded.facts == expected.facts
        assert (loaded.labels == expected.labels).all() and (loaded.items == expected.items).all()


def test_movielens_is_fetched_by_its_published_checksum(tmp_path):
    requests = []

    class Fetcher:
        def fetch(self, *arguments):
            requests.append(arguments)

    registry.find("datasets", "movielens")({"version": "1m"}).download(tmp_path, Fetcher())
    (url, target, checksum), *more = requests
    assert not more and url.endswith("/ml-1m.zip") and target == tmp_path / "ml-1m.zip"
    assert checksum == "md5:c4d9eecfca2ab87c1945afe126590906"


def test_an_archive_that_is_not_movielens_is_an_error(tmp_path):
    plugin = registry.find("datasets", "movielens")({"version": "1m"})
    with pytest.raises(UserError, match=r"has no ratings\.dat"):
        plugin.load(tmp_path)
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as opened:
        opened.writestr("ratings.dat", "1::2::3\n")
    with pytest.raises(UserError, match="3 columns"):
        plugin.load(tmp_path)


def table(**columns):
    users, items, ratings, times = zip(*ROWS, strict=True)
    return pd.DataFrame({"user": users, "item": items, "rating": ratings, "time": times}).assign(**columns)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_with_other_column_names(suffix, tmp_path):
    path = tmp_path / f"log{suffix}"
    named = table().rename(columns={"user": "who", "time": "when"})
    named["who"] = "user-" + named["who"].astype(str)
    named["when"] = pd.to_datetime(named["when"], unit="D").astype(str)
    if suffix == ".parquet":
        named.to_parquet(path)
    else:
        named.to_csv(path, index=False, sep="," if suffix == ".csv" else "\t")
    options = {"path": str(path), "columns": {"user": "who", "time": "when"}, "min_interactions": 2}
    plugin = registry.find("datasets", "interactions_table")(options)
    assert not list(plugin.check()) and plugin.local_source() == path
    loaded, expected = plugin.load(None), examples()
    assert (loaded.items == expected.items).all() and (loaded.bounds == expected.bounds).all()


def own(path, text, **options):
    path.write_text(text)
    return registry.find("datasets", "interactions_table")({"path": str(path), "min_interactions": 1} | options)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_users_and_items_are_compared_as_text(suffix, tmp_path):
    users = [user for user in ("7", "07", "007", "NA", "null", "1.0", 'a"b') for _ in range(4)]
    log = pd.DataFrame({"user": users, "item": ["NA", "1", "01", "nan"] * 7, "time": range(28)})
    path, options = tmp_path / f"log{suffix}", {}
    if suffix == ".parquet":
        log.to_parquet(path)
    else:
        log.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
        options = {"quotes": True} if suffix == ".tsv" else {}
    dataset = registry.find("datasets", "interactions_table")({"path": str(path), "min_interactions": 1} | options)
    facts = dataset.load(None).facts
    assert (facts["users"], facts["items"]) == (7, 4)


def test_a_column_that_looks_like_times_is_not_ignored_silently(tmp_path, caplog):
    rows = "".join(f"{row % 3},{row % 5},{row}\n" for row in range(30))
    with pytest.raises(UserError, match=r"no column 'time', but 'Timestamp': name it.*\{time: Timestamp\}"):
        own(tmp_path / "log.csv", "user,item,Timestamp\n" + rows).load(None)
    named = own(tmp_path / "log.csv", "user,item,Timestamp\n" + rows, columns={"time": "Timestamp"})
    assert named.load(None).facts["users"] == 3
    with caplog.at_level("INFO"):
        own(tmp_path / "log.csv", "user,item,price\n" + rows).load(None)
    assert "in order of time" in caplog.text


def test_missing_columns_are_reported_before_the_first_job(tmp_path):
    rows = "".join(f"{row % 3},{row % 5},{row}\n" for row in range(30))
    dataset = own(tmp_path / "log.csv", "user,film,when\n" + rows, columns={"time": "wen"})
    messages = [str(message) for message in dataset.check()]
    assert len(messages) == 2
    assert "no column 'item' for the item" in messages[0]
    assert "no column 'wen' for the time; did you mean 'when'?" in messages[1]


def test_users_that_are_numbers_are_the_same_in_csv_and_parquet(tmp_path):
    table().to_parquet(tmp_path / "log.parquet")
    table().to_csv(tmp_path / "log.csv", index=False)
    paths = (tmp_path / "log.parquet", tmp_path / "log.csv")
    options = {"min_interactions": 2}
    one, other = (
        registry.find("datasets", "interactions_table")({"path": str(path)} | options).load(None) for path in paths
    )
    assert (one.items == other.items).all() and (one.groups == other.groups).all()


def test_a_user_is_not_split_in_a_long_log(tmp_path):
    # So many rows that pandas would read them in several pieces, and infer the type of each piece on its own.
    rows = [f"{row % 5000},{row % 700}" for row in range(300_000)]
    loaded = own(
        tmp_path / "log.csv", "\n".join(["user,item", *rows, "A1,5"]), min_interactions=2, repeats="keep"
    ).load(None)
    assert loaded.facts["users"] == 5000


def test_an_index_of_pandas_can_be_a_column(tmp_path):
    table().set_index("user").to_parquet(tmp_path / "log.parquet")
    options = {"path": str(tmp_path / "log.parquet"), "min_interactions": 2}
    assert registry.find("datasets", "interactions_table")(options).load(None).facts["users"] == 3


@pytest.mark.parametrize("name", ["interactions_table", "movielens"])
def test_a_threshold_for_predicted_ratings_is_reported_before_the_first_job(name):
    check = registry.find("datasets", name)
    messages = [str(message) for message in check({"threshold": 3, "target": "rating"}).check()]
    assert any(message.startswith("threshold: ") and "remove it" in message for message in messages)
    assert not any("threshold" in str(message) for message in check({"threshold": 3}).check())


def test_movielens_with_a_user_that_is_not_a_number_is_refused(tmp_path):
    archive(tmp_path, "1m", [*ROWS, ("x", 1, 2, 3)])
    with pytest.raises(UserError, match=r"ratings\.dat that can be read.*'x'"):
        registry.find("datasets", "movielens")({"version": "1m"}).load(tmp_path)


def test_a_table_without_times_is_in_the_order_of_its_rows(tmp_path):
    ordered = table().sort_values("time").drop(columns=["time", "rating"])
    ordered.to_csv(tmp_path / "log.csv", index=False)
    options = {"path": str(tmp_path / "log.csv"), "min_interactions": 2}
    assert (registry.find("datasets", "interactions_table")(options).load(None).items == examples().items).all()


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({}, {"columns": {"user": "users"}}, "no column 'users' for the user; did you mean 'user'"),
        ({"time": "soon"}, {}, r"\(15 in all\): time is neither a number nor a date .* but 'soon'"),
        ({"item": None}, {}, r"lines 2, 3, .*\(15 in all\): no value in 'item'"),
        ({"time": None}, {}, r"\(15 in all\): no value in 'time'"),
        ({"rating": "2020-01-01"}, {}, "rating is not a number, but '2020-01-01'"),
        ({"rating": float("inf")}, {}, "rating is not a number, but 'inf'"),
    ],
)
def test_a_table_that_cannot_be_read_is_a_user_error(columns, options, message, tmp_path):
    table(**columns).to_csv(tmp_path / "log.csv", index=False)
    plugin = registry.find("datasets", "interactions_table")({"path": str(tmp_path / "log.csv")} | options)
    with pytest.raises(UserError, match=message):
        plugin.load(None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either path"),
        ({"path": "absent-log.csv"}, "no file 'absent-log.csv'"),
        ({"url": "https://x.invalid/log.csv"}, "sha256"),
    ],
)
def test_the_source_of_a_table_is_checked(options, message):
    problems = [str(problem) for problem in registry.find("datasets", "interactions_table")(options).check()]
    assert any(message in problem for problem in problems)


# Files of other programs -------------------------------------------------------------------------------------------


def movielens_rows(users=6, items=5):
    """User, item, rating and time, of which some users and items are numbered with two digits."""
    return [
        (user + 8, item + 8, 1 + (user + item) % 5, 10_000 + 7 * item + user)
        for user in range(users)
        for item in range(items)
    ]


def table_of(path, **options):
    return registry.find("datasets", "interactions_table")({"path": str(path), "min_interactions": 1, **options})


@pytest.mark.parametrize("target", ["next_item", "rating"])
@pytest.mark.parametrize(("name", "separator"), [("u.data", "\t"), ("ratings.dat", "::"), ("log.txt", ";")])
def test_a_table_without_names_of_columns_is_read_as_it_is(tmp_path, name, separator, target):
    rows = movielens_rows()
    (tmp_path / name).write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
    more = {"separator": separator} if len(separator) > 1 else {}
    dataset = table_of(tmp_path / name, header=["user", "item", "rating", "time"], target=target, **more)
    assert list(dataset.check()) == [] and not dataset.is_remote()
    examples = dataset.load(None)
    named = tmp_path / "named.csv"
    named.write_text("user,item,rating,time\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    same = table_of(named, target=target).load(None)
    for attribute in ("labels", "partition", "groups", "items", "bounds"):
        np.testing.assert_array_equal(getattr(examples, attribute), getattr(same, attribute))
    # The source of an example is the line of its target.
    for index in range(len(examples)):
        line = int(examples.source(index).removeprefix(f"{name}:"))
        assert examples.source(index) == f"{name}:{line}" and same.source(index) == f"named.csv:{line + 1}"
        user, item, rating, _ = rows[line - 1]
        assert sorted({row[0] for row in rows}, key=str)[examples.groups[index]] == user
        assert examples.labels[index] == (
            rating if target == "rating" else sorted(map(str, range(8, 13))).index(str(item))
        )


def test_missing_names_of_columns_are_reported_with_the_option(tmp_path):
    (tmp_path / "u.data").write_text("196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    (problem,) = table_of(tmp_path / "u.data").check()
    assert problem.key == "header" and "header: [user, item, rating, time] (4 names)" in problem.message


def test_a_log_may_be_in_several_files(tmp_path):
    rows = movielens_rows()
    for number, part in enumerate((rows[:11], rows[11:])):
        lines = [",".join(map(str, row)) for row in part]
        (tmp_path / f"day-{number}.csv").write_text("\n".join(["user,item,rating,time", *lines]) + "\n")
    (tmp_path / "all.txt").write_text("\n".join(["user,item,rating,time", *(",".join(map(str, row)) for row in rows)]))
    pattern = table_of(tmp_path / "day-*.csv")
    assert list(pattern.check()) == [] and len(pattern.sources([])) == 2
    together = table_of(tmp_path / "all.txt").load(None)
    np.testing.assert_array_equal(pattern.load(None).items, together.items)
    assert {pattern.load(None).source(index).split(":")[0] for index in range(18)} == {"day-0.csv", "day-1.csv"}


def test_what_the_filters_leave_out_is_counted(tmp_path):
    rows = [*movielens_rows(), (99, 8, 1, 1), (8, 8, 2, 99_999)]
    (tmp_path / "log.csv").write_text(
        "user,item,rating,time\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
    )
    (remark,) = table_of(tmp_path / "log.csv").load(None).remarks
    assert remark.startswith("30 of 32 interactions are used, of 6 of 7 users and 5 of 5 items (")
    assert "repeats: first" in remark


# Generated ----------------------------------------------------------------------------------------------------------


def walks(**options):
    return registry.find("datasets", "category_walks")(options)


def test_walks_depend_on_their_seed():
    one, again, other = (walks(users=20, **more).load(None) for more in ({}, {}, {"seed": 1}))
    assert (one.items == again.items).all()
    assert len(one.items) != len(other.items) or (one.items != other.items).any()


def test_data_sets_of_one_catalogue_have_the_same_items():
    settings = {"users": 300, "items": 40, "categories": 4, "length": [8, 12], "target": "rating"}
    rated = []
    for more in ({}, {"seed": 1}, {"catalogue": 1}):
        loaded = walks(**settings, **more).load(None)
        assert loaded.facts["items"] == 40, "items that nobody took are part of the catalogue"
        count = np.bincount(loaded.items, minlength=40)
        rated.append(np.bincount(loaded.items, weights=loaded.ratings, minlength=40) / np.maximum(count, 1))
    assert np.corrcoef(rated[0], rated[1])[0, 1] > 0.7 > np.corrcoef(rated[0], rated[2])[0, 1]


def test_no_user_takes_an_item_twice_and_sizes_are_known_before_loading():
    dataset = walks(users=30, length=[5, 9], items=40, categories=3)
    loaded = dataset.load(None)
    assert dataset.size() == {"train": 30, "validation": 30, "test": 30}
    for index in np.flatnonzero(loaded.partition == "test"):
        sequence = loaded.read(index)
        assert 5 <= len(sequence) <= 9 and len(set(sequence.tolist())) == len(sequence)


def test_ratings_are_halves_from_1_to_5():
    loaded = walks(users=30, target="rating").load(None)
    assert set(np.unique(loaded.labels)) <= set(np.arange(1, 5.5, 0.5))
    assert loaded.labels.std() > 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": [9, 5]}, "longer than the longest"),
        ({"length": [5, 300]}, "at most once"),
        ({"held_out": 5}, "fewer than two"),
    ],
)
def test_impossible_walks_are_refused(options, message):
    assert any(message in str(problem) for problem in walks(**options).check())
