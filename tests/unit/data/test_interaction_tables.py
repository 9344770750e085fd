"""Files of interactions: the releases of MovieLens, and tables with their columns and formats."""

import zipfile

import numpy as np
import pandas as pd
import pytest
from data_sets import INTERACTIONS, interaction_examples

from variability import registry
from variability.data.datasets import _interactions, movielens
from variability.errors import UserError

FORMATS = {
    "100k": ("ml-100k/u.data", "\t", None),
    "1m": ("ml-1m/ratings.dat", "::", None),
    "20m": ("ml-20m/ratings.csv", ",", "userId,movieId,rating,timestamp"),
}


# Formats ------------------------------------------------------------------------------------------------------------


def archive(folder, version, rows=INTERACTIONS):
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
        loaded, expected = plugin.load(tmp_path), interaction_examples(target=target)
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
    users, items, ratings, times = zip(*INTERACTIONS, strict=True)
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
    loaded, expected = plugin.load(None), interaction_examples()
    assert (loaded.items == expected.items).all() and (loaded.bounds == expected.bounds).all()
    # Of the items by their numbers; those of a table that is generated are their numbers.
    used = {number: str(item) for number, item in enumerate(sorted({item for _, item, _, _ in INTERACTIONS}))}
    assert [loaded.label_names[item] for item in loaded.items[:9]] == [used[item] for item in loaded.items[:9]]


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
    archive(tmp_path, "1m", [*INTERACTIONS, ("x", 1, 2, 3)])
    with pytest.raises(UserError, match=r"ratings\.dat that can be read.*'x'"):
        registry.find("datasets", "movielens")({"version": "1m"}).load(tmp_path)


def test_a_table_without_times_is_in_the_order_of_its_rows(tmp_path):
    ordered = table().sort_values("time").drop(columns=["time", "rating"])
    ordered.to_csv(tmp_path / "log.csv", index=False)
    options = {"path": str(tmp_path / "log.csv"), "min_interactions": 2}
    assert (
        registry.find("datasets", "interactions_table")(options).load(None).items == interaction_examples().items
    ).all()


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


@pytest.mark.parametrize(("other", "line"), [("7.0", 6), (" 7", 6), ("7 ", 6)])
def test_one_id_in_two_spellings_is_refused(other, line, tmp_path):
    ids = ["7"] * 4 + [other] * 4
    for columns in ("user,item,time", "item,user,time"):
        rows = "".join(f"{name},x{number % 4},{number}\n" for number, name in enumerate(ids))
        with pytest.raises(UserError, match=rf"line.* {line}, .*: the {columns[:4]} '{other}' is also written '7'"):
            own(tmp_path / "log.csv", f"{columns}\n{rows}").load(None)
    assert (
        own(tmp_path / "log.csv", f"user,item,time\n{rows.replace(f'{other},', '8,')}").load(None).facts["users"] == 2
    )


def test_ratings_that_are_all_equal_are_refused_before_the_first_job(tmp_path):
    rows = "".join(f"{user},{item},3,{item}\n" for user in range(4) for item in range(4))
    (problem,) = own(tmp_path / "log.csv", "user,item,rating,time\n" + rows, target="rating").check()
    assert problem.message.endswith("all values of 'rating' are 3, so nothing can be predicted")


def test_another_separator_is_one_problem(tmp_path):
    (problem,) = own(tmp_path / "ratings.dat", "1::1193::5::978300760\n1::661::3::978302109\n").check()
    assert problem.key == "path" and "or set `separator`, such as `separator: '::'`" in problem.message


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


def test_all_mistakes_of_a_table_of_interactions_are_reported_at_once(tmp_path):
    path = tmp_path / "log.csv"
    rows = [",i1,4,2020-01-01", "u1,,5,2020-01-02", "u1,i2,good,2020-01-03", "u2,i1,,soon"]
    path.write_text("\n".join(["user,item,rating,time", *rows]) + "\n")
    plugin = registry.find("datasets", "interactions_table")({"path": str(path), "target": "rating"})
    with pytest.raises(UserError) as error:
        plugin.load(None)
    lines = str(error.value).splitlines()
    starts = ["line 2: no value in 'user'", "line 3: no value in 'item'", "line 5: no value in 'rating'"]
    starts += ["line 5: time is neither a number nor a date", "line 4: rating is not a number, but 'good'"]
    assert [start in line for start, line in zip(starts, lines, strict=True)] == [True] * 5
