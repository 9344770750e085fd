# The checked study, its folders and the wildcards of its rules.
import os
import sys
import time
from functools import cache
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

STARTED = time.time()
# Not workflow.basedir, which is another workflow's where this one is used as a module.
ROOT = Path(workflow.snakefile).resolve().parents[2]
# Scripts inherit it: jobs import the library from the checkout that planned them.
sys.path.insert(0, str(ROOT / "workflow" / "lib"))

from variability import registry
from variability.config import specs, validate
from variability.config.stage_table import STAGES, Plan
from variability.errors import UserError
from variability.io.mirrors import mirrors_from

try:
    mirrors = mirrors_from(config.get("mirrors", []), os.environ)
    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
    study = validate.check(config, schema, mirrors)
    plan = Plan(study, mirrors, Path("results", "contents"))
except UserError as error:
    raise WorkflowError(str(error)) from None


pathvars:
    results=f"results/{study.name}",
    downloads="results/downloads",


# The importing workflow can choose others, where this one is used as a module.
RESULTS = workflow.pathvars.apply("<results>")
DOWNLOADS = workflow.pathvars.apply("<downloads>")

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
