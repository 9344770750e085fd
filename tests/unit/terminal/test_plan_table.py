from variability.terminal.durations import Work
from variability.terminal.plan_table import Row, plan_table


def test_the_table_adds_up():
    rows = [
        Row("prepare", 2, Work(8.0, 4.0, 2), 1_200_000.0),
        Row("finetune", 12, Work(1200.0, 100.0, 4), 36_000_000.0, runs=110, reused=10),
        Row("all", 1, Work(0.0), 0.0),
    ]
    assert plan_table(rows, 5, "4 cores", ["mine", "other"]).splitlines() == [
        "",
        "To be computed:",
        "stage     jobs  runs to train  runs reused   time     disk",
        "--------  ----  -------------  -----------  -----  -------",
        "prepare      2                                4 s   1.2 MB",
        "finetune    12            110           10  5 min  36.0 MB",
        "all          1                                  -        -",
        "--------  ----  -------------  -----------  -----  -------",
        "total       15            110           10  5 min  37.2 MB",
        "5 more runs are finished and used again.",
        "Time on 4 cores and disk are estimated from earlier runs of mine and other.",
    ]


def test_a_study_that_trains_nothing_has_no_columns_of_runs():
    table = plan_table([Row("analyse", 1, Work(8.0, 8.0), 400_000.0)], 122, "one core", ["mine"])
    assert "stage    jobs  time      disk" in table
    assert "122 runs are finished and used again." in table


def test_what_is_unknown_is_not_estimated():
    rows = [Row("download", 1, Work(None), None), Row("plot", 1, Work(20.0, 20.0), 2_000_000.0)]
    lines = plan_table(rows, 0, "2 cores", ["mine"]).splitlines()
    assert "download     1          ?            ?" in lines
    assert "total        2  over 20 s  over 2.0 MB" in lines
    assert lines[-1].endswith("earlier runs of mine; nothing is known of download.")
    rough = plan_table(rows, 0, "2 cores", ["mine"], of_others=True)
    assert "of mine; models or methods that have none, from those of others, which may be far off; nothing" in rough
    nothing = plan_table([rows[0]], 0, "2 cores", [])
    assert nothing.endswith("There is no earlier run to estimate time and disk from.")
