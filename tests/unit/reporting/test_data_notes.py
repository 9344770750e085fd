import synthetic_study as synthetic

from variability.reporting.data_notes import notes
from variability.reporting.summary import summarise


def test_tasks_with_remarks_have_a_paragraph():
    tasks = {
        "clean": {"remarks": [], "left_out": {}},
        "texts": {"remarks": ["2 of the test examples also occur in training."], "left_out": {"without a text": 3}},
    }
    assert notes(tasks) == [
        "texts: 2 of the test examples also occur in training. 3 examples left out: without a text."
    ]


def test_names_of_files_are_not_formatting():
    assert notes({"t": {"remarks": ["a*b*.png = c|d.png."], "left_out": {}}}) == [r"t: a\*b\*.png = c\|d.png."]


def test_the_summary_has_a_section_on_data_only_if_there_are_remarks():
    runs = synthetic.runs()
    plain, remarked = (summarise({"runs": runs}, "demo", paragraphs) for paragraphs in ([], ["t: 3 equal."]))
    assert "## Data" not in plain
    assert remarked.startswith(plain.rstrip("\n")) and remarked.endswith("## Data\n\nt: 3 equal.\n")
