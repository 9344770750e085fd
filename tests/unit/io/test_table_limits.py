"""Tables that expand to more than their limit are refused, and those of any ordinary form are not."""

import bz2
import gzip
import lzma
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from variability.errors import UserError
from variability.io import json_records, limits, tabular

RAISED = {"limits": {"ratio": 10**7}}
COMPRESSIONS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.fixture(autouse=True)
def harmless(monkeypatch):
    monkeypatch.setattr(limits, "HARMLESS_BYTES", 10**6)


def refused(path, message, **options):
    with pytest.raises(UserError, match=message) as raised:
        tabular.table(path, options)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("name", ["x.csv", "x.json"])
def test_a_compressed_table_that_expands_a_thousandfold_is_refused_unless_the_limit_is_raised(tmp_path, suffix, name):
    text = (
        b"a,b\n" + (b"x," + b"y" * 200 + b"\n") * 10_000
        if name == "x.csv"
        else b'[{"a": "x"}' + b" " * 2_000_000 + b"]"
    )
    path = tmp_path / (name + suffix)
    path.write_bytes(COMPRESSIONS[suffix](text))
    refused(path, r"it expands to .* or more, .* times its size.*`limits: \{ratio: ")
    assert len(tabular.table(path, RAISED).numbers) == (10_000 if name == "x.csv" else 1)


def sheet(path, **members):
    """Write a workbook whose parts are replaced."""
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    book.active.append([1, 2])
    book.save(path.with_suffix(".made"))
    with zipfile.ZipFile(path.with_suffix(".made")) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, members.get(name, old.read(name)))
    return path


def rows(content):
    return (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        f'<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row>{content}</sheetData></worksheet>'
    )


def test_a_workbook_that_expands_a_thousandfold_is_refused_unless_the_limit_is_raised(tmp_path):
    blank = rows('<row r="2"><c r="A2"><v>1</v></c></row>' + " " * 2_000_000)
    path = sheet(tmp_path / "x.xlsx", **{"xl/worksheets/sheet1.xml": blank})
    refused(path, r"it expands to .* times its size.*`limits: \{ratio: ")
    assert tabular.table(path, RAISED).text("a") == ["1"]


@pytest.mark.parametrize(
    ("content", "far"),
    [
        ('<row r="99999999999"><c r="A99999999999"><v>1</v></c></row>', "99999999999"),
        ('<row r="2"><c r="AAAAAAA2"><v>1</v></c></row>', "AAAAAAA2"),
        ("<row r = '2'><c s='1' r='zzzzz2'><v>1</v></c></row>", "zzzzz2"),
        (" " * (2**20 - 185) + '<row r="99999999999"/>', "99999999999"),
    ],
)
def test_a_cell_far_outside_of_a_sheet_is_refused_before_it_fills_memory(tmp_path, content, far):
    refused(
        sheet(tmp_path / "x.xlsx", **{"xl/worksheets/sheet1.xml": rows(content)}), f"the row or cell {far}, outside"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (rows('<row r="&#50;99999999"/>'), "the row or cell &#50;99999999, outside"),
        (rows('<row r="99999999"/>').encode("utf-16"), "is encoded in UTF-16"),
    ],
)
def test_such_a_cell_is_noticed_in_any_part_and_notation(tmp_path, content, message):
    path = sheet(tmp_path / "x.xlsx", **{"docProps/app.xml": content})
    refused(path, rf"docProps/app\.xml .*{message}")


def test_the_last_cell_of_a_sheet_is_inside(tmp_path):
    content = '<row r="1048576"><c r="A1048576"><v>7</v></c></row>'
    read = tabular.table(sheet(tmp_path / "x.xlsx", **{"xl/worksheets/sheet1.xml": rows(content)}))
    assert read.text("a") == ["7"] and read.numbers.tolist() == [1048576]


def test_entities_that_multiply_in_a_workbook_are_refused(tmp_path):
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    bomb = rows('<row r="2"><c r="A2" t="inlineStr"><is><t>&e11;</t></is></c></row>')
    path = sheet(tmp_path / "x.xlsx", **{"xl/worksheets/sheet1.xml": f"<!DOCTYPE x [{entities}]>{bomb}"})
    refused(path, r"sheet1\.xml declares entities")


def test_a_workbook_inside_a_compressed_file_is_read_and_its_damage_named(tmp_path):
    path = sheet(tmp_path / "x.xlsx")
    path.write_bytes(gzip.compress(path.read_bytes()))
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    refused(path, "cannot be read")


@pytest.mark.parametrize("column", [pa.array([7] * 3_000_000), pa.array(["x" * 20] * 200_000)], ids=["number", "text"])
def test_a_parquet_file_of_equal_values_is_refused_unless_the_limit_is_raised(tmp_path, column):
    pq.write_table(pa.table({"a": column}), tmp_path / "x.parquet", compression="zstd")
    refused(tmp_path / "x.parquet", r"it expands to .* times its size.*`limits: \{ratio: ")
    with pytest.raises(UserError, match="it expands to"):
        tabular.read(tmp_path / "x.parquet")
    assert len(tabular.table(tmp_path / "x.parquet", RAISED).numbers) == len(column)


def test_one_long_text_that_many_rows_share_counts_for_each_row(tmp_path):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 30_000, pa.int32()), ["".join(map(str, range(5000)))])
    pq.write_table(pa.table({"a": texts}), tmp_path / "x.parquet", store_schema=False)
    refused(tmp_path / "x.parquet", "it expands to 567 MB or more")


@pytest.mark.parametrize("dtype", [pa.string(), pa.large_string(), pa.int32(), pa.float32()])
def test_the_types_of_a_parquet_file_are_unchanged(tmp_path, dtype):
    from variability.io.parquet_files import parquet

    table = pa.table({"a": pa.array(["1", None, "3"]).cast(dtype), "b": [True, False, None]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert parquet(tmp_path / "x.parquet", ["b", "a"]).equals(table.select(["b", "a"]))


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.jsonl", "x.xlsx", "x.parquet"])
def test_a_value_longer_than_the_limit_is_refused_with_its_position(tmp_path, name):
    path, long = tmp_path / name, "\u00e9" * 1000
    if name == "x.csv":
        path.write_text(f"a,b\nx,1\n{long},2\n")
    elif name == "x.json":
        path.write_text(f'[{{"a": "x"}}, {{"a": "{long}"}}]')
    elif name == "x.jsonl":
        path.write_text(f'{{"a": "x"}}\n{{"a": "{long}"}}\n')
    elif name == "x.parquet":
        pq.write_table(pa.table({"a": ["x", long]}), path)
    else:
        book = openpyxl.Workbook()
        for value in ("a", "x", long):
            book.active.append([value])
        book.save(path)
    where = {"x.csv": "line 3", "x.json": "record 2", "x.jsonl": "line 2", "x.xlsx": "row 3", "x.parquet": "row 2"}[
        name
    ]
    message = rf"{where}: the value of 'a' has 1000 characters, and the limit is 999.*`limits: \{{cell: "
    refused(path, message, limits={"cell": 999})
    assert tabular.table(path, {"limits": {"cell": 1000}}).text("a") == ["x", long]


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, '{"a":' * 600 + "1" + "}" * 600, '{"a": 1}\n' + '{"a":' * 100_000,
     '[{"a":' + "[" * 50_000 + "]" * 50_000 + "}]"],
    ids=["lists", "mappings", "closed", "second line", "in a record"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x.json", "x.csv"])
def test_json_that_is_nested_deeply_is_one_sentence(tmp_path, text, name):
    (tmp_path / name).write_text(text)
    try:
        tabular.table(tmp_path / name)
    except UserError as error:
        assert str(tmp_path / name) in str(error)
    assert json_records.list_keys(tmp_path / name, {}) == []


def test_nested_json_is_named_as_such(tmp_path):
    (tmp_path / "x.json").write_text("[" * 100_000)
    refused(tmp_path / "x.json", "nested hundreds of levels deep")
