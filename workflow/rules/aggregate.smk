# The base tables that every analysis reads.


rule aggregate:
    input:
        scores=all_cells("<results>/score/{model}/{task}/{method}.parquet"),
        runs=all_blocks("<results>/finetune/{model}/{task}/{method}/block-{block}.json"),
        imports=ancient(imported_files()),
        code=aggregate_code,
    output:
        runs="<results>/aggregate/runs.parquet",
        csv="<results>/aggregate/runs.csv",
        per_class="<results>/aggregate/per_class.parquet",
        history="<results>/aggregate/history.parquet",
        manifest="<results>/aggregate/manifest.json",
    log:
        "<results>/aggregate/aggregate.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=aggregate_spec(),
    script:
        "../scripts/aggregate.py"
