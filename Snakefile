# finetune-variability: how much of a fine-tuning result is the model, the task, the method, and how much the seed.
#
#   download -----------------> prepare --+-> features -+
#   download_weights / pretrain ----------+-------------+-> finetune -> predict -> score -> aggregate -> analyse -> plot -> report
#
# The stages are in workflow/rules, by step; the code that they call is in workflow/lib/variability/stages.
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


# A config that names models or imports is a study of its own; any other is merged into the embedded study: the working
# directory's config.yaml if it has one, otherwise the one next to this file.
if "models" not in config and "imports" not in config:

    embedded = Path(workflow.snakefile).with_name("config.yaml")

    configfile: str(Path("config.yaml") if Path("config.yaml").exists() else embedded)


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/storage.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/params.smk"
include: "workflow/rules/code_inputs.smk"
include: "workflow/rules/environments.smk"
include: "workflow/rules/clusters.smk"
include: "workflow/rules/interruptions.smk"
include: "workflow/rules/terminal.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/reference_probe.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/present.smk"
include: "workflow/rules/record.smk"


rule all:
    default_target: True
    input:
        "<results>/report/index.html",
        "<results>/report/report.html",
        "<results>/report/answer.txt",
        "<results>/report/summary.md",
        "<results>/ro-crate-metadata.json",
        checkpoints_record(),


# Parts of the pipeline that can be requested by name -------------------------------------------------------------


# All that needs a network: run it where there is one, then everything else where there is none.
rule downloads:
    input:
        all_downloads(),


rule runs:
    input:
        all_chunks(PREDICTED),


rule summary:
    input:
        rules.summarise.output,


rule claims:
    input:
        rules.claim.output,


rule tables:
    input:
        all_tables(),


rule figures:
    input:
        all_figures(),


onstart:
    check_storage()
    choose_status_command()
    stop_jobs_on_signals()
    follow_jobs()


onsuccess:
    print_summary()


onerror:
    explain_failures(log)
    print_failures()
