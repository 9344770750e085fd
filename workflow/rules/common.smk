# The checked study, its folders and the wildcards of its rules.
import io
import os
import shlex
import sys
import time
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

STARTED = time.time()
# Names may have characters that the terminal's encoding lacks: print their codes, and do not end with an error.
for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
# Not workflow.basedir, which is that of the importing workflow where this one is used as a module.
ROOT = Path(workflow.snakefile).resolve().parents[2]
if not (ROOT / "workflow" / "lib").is_dir():
    raise WorkflowError("the workflow's library is missing: clone the repository, and name the Snakefile of the clone")
if shlex.quote(sys.executable) != sys.executable:
    # Snakemake starts scripts by a shell command in which this path is not quoted.
    raise WorkflowError(
        f"Snakemake cannot start jobs with {sys.executable}, because of the spaces or special characters in this path; "
        "move the checkout, or its environment, to a path of letters, digits and _ - . /"
    )
if {"{", "}"} & set(str(ROOT)):
    raise WorkflowError(f"Snakemake mistakes the braces in {ROOT} for wildcards; move the checkout to another path")
LIBRARY = str(ROOT / "workflow" / "lib")
sys.path.insert(0, LIBRARY)

from variability import registry
from variability.config import figure_settings, probe_plan, specs, storage_checks, validate
from variability.config.stage_table import STAGES, Plan
from variability.errors import UserError
from variability.io import library_path, storage
from variability.io.mirrors import mirrors_from

# Jobs import the library from the checkout that planned them.
library_path.lead_in_jobs(LIBRARY)

try:
    mirrors = mirrors_from(config.get("mirrors"), os.environ)
    # In the order in which they are merged: files of the command line replace values of the embedded study.
    files = sorted(workflow.configfiles, key=workflow.overwrite_configfiles.__contains__)
    study = validate.check(config, mirrors, files, workflow.config_settings.config)
    storage_checks.check_folders(Path("results"), study.name)
    plan = Plan(study, mirrors, Path("results", "contents"))
except UserError as error:
    raise WorkflowError(str(error)) from None
except OSError as error:
    raise WorkflowError(str(storage.explain(error) or error)) from error

# Scripts get the values as they were checked: numbers of --config are texts until then.
config.update(study.config)

RESULTS = f"results/{study.name}"
DOWNLOADS = "results/downloads"


pathvars:
    results=RESULTS,
    downloads=DOWNLOADS,


NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"


wildcard_constraints:
    model=NAME,
    task=NAME,
    method=NAME,
    key=NAME,
    assets=NAME,
    features=NAME,
    block=r"\d+",
    analysis=r"[a-z0-9_]+",
    plot=r"[a-z0-9_]+",
