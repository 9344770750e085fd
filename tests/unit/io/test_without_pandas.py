"""Stages that train run without pandas, and pandas works where something else uses it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from variability.io import without_pandas

LIBRARY = Path(without_pandas.__file__).parents[2]
SCRIPTS = LIBRARY.parent / "scripts"

HIDES = """
from variability.io.without_pandas import import_pyarrow
import_pyarrow()
import io, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
file = io.BytesIO()
pq.write_table(pa.table({"a": np.arange(3), "b": ["x", "y", "z"]}), file)
# A process that ends within milliseconds of a read by threads of Arrow is sometimes aborted.
table = pq.read_table(file, use_threads=False)
"""


def printed(*statements: str) -> str:
    command, environment = [sys.executable, "-c", "\n".join(statements)], os.environ | {"PYTHONPATH": str(LIBRARY)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_tables_are_written_and_read_without_pandas():
    assert printed(HIDES, "print('pandas' in sys.modules, table['a'].to_numpy().sum())") == "False 3"


def test_without_it_pyarrow_imports_pandas():
    statements = HIDES.replace("import_pyarrow()", "")
    assert printed(statements, "print('pandas' in sys.modules)") == "True"


def test_what_needs_pandas_later_imports_it():
    rows = "import pandas as pd; rows = pa.Table.from_pandas(pd.DataFrame({'c': [4]})).num_rows"
    frames = f"{rows}; print(table.to_pandas()['b'].tolist(), rows)"
    assert printed(HIDES, frames) == "['x', 'y', 'z'] 1"


@pytest.mark.parametrize("stage", ["finetune", "features", "pretrain", "reference_probe", "score"])
def test_training_and_scoring_import_pyarrow_in_this_way(stage):
    lines = (SCRIPTS / f"{stage}.py").read_text().splitlines()
    imports = [line.strip() for line in lines if "import" in line]
    assert imports.index("without_pandas.import_pyarrow()") < min(
        position for position, line in enumerate(imports) if "variability.stages" in line
    )
