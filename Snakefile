# finetune-variability: how much of a fine-tuning result is the model, the task, the method, and how much the seed.
#
#   download -----------------> prepare --+-> features -+
#   download_weights / pretrain ----------+-------------+-> finetune -> predict -> score -> aggregate -> analyse -> plot -> report
#
# Stages stand in workflow/rules, one file each; what they call stands in workflow/lib/variability/stages.
from snakemake.utils import min_version

min_version("9.27")


# A study given by --configfile stands alone; what only changes some keys is laid over the embedded study.
if "models" not in config and "imports" not in config:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/environments.smk"
include: "workflow/rules/code_inputs.smk"


pathvars:
    results=f"results/{study.name}",
    downloads="results/downloads",


report: "workflow/report/workflow.rst"


include: "workflow/rules/prepare.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/present.smk"


rule all:
    default_target: True
    input:
        "<results>/report/report.html",
        "<results>/report/summary.md",
        kept_checkpoints(),


# Stops of the pipeline that can be asked for by name ------------------------------------------------------------


# All that needs a network: run it where there is one, then everything else where there is none.
rule downloads:
    input:
        all_downloads(),


rule runs:
    input:
        all_blocks("<results>/predict/{model}/{task}/{method}/block-{block}.json"),


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


onsuccess:
    say_what_was_found()
