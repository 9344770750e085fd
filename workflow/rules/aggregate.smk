# The base tables that every analysis reads.


rule aggregate:
    input:
        scores=all_scores(),
        runs=all_chunks(FITTED),
        imports=ancient(local(imported_files())),
        probes=probes(),
        bundles=bundles_of(*all_scores(), *all_chunks(FITTED), *probes()),
        spec="<results>/jobs/specs/aggregate.json",
        code=code_of("aggregate"),
    output:
        runs="<results>/aggregate/runs.parquet",
        csv="<results>/aggregate/runs.csv",
        per_class="<results>/aggregate/per_class.parquet",
        history="<results>/aggregate/history.parquet",
        reference_probe="<results>/aggregate/reference_probe.parquet",
        imported_predictions="<results>/aggregate/imported_predictions.parquet",
        manifest="<results>/aggregate/manifest.json",
        made=made_of("<results>/jobs/specs/aggregate.json"),
    log:
        "<results>/aggregate/aggregate.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("aggregate"),
        in_braces=plan.imported_in_braces(),
    script:
        "../scripts/aggregate.py"


# Last, because everything before may still need them.
rule keep_checkpoints:
    input:
        manifest="<results>/aggregate/manifest.json",
        runs=ancient("<results>/aggregate/runs.parquet"),
        manifests=all_chunks(FITTED),
        spec="<results>/jobs/specs/keep_checkpoints.json",
        code=code_of("keep_checkpoints"),
    output:
        "<results>/aggregate/checkpoints.json",
        made=made_of("<results>/jobs/specs/keep_checkpoints.json"),
    log:
        "<results>/aggregate/checkpoints.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("keep_checkpoints"),
    script:
        "../scripts/keep_checkpoints.py"


rule disk:
    log:
        "<results>/disk.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        results=RESULTS,
        downloads=DOWNLOADS,
    script:
        "../scripts/disk.py"
