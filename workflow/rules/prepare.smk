# Data, fetched once for all studies and decoded once per task.


rule download:
    input:
        spec="<downloads>/jobs/specs/download/{key}.json",
        code=code_of("download"),
    output:
        manifest="<downloads>/datasets/{key}/manifest.json",
        bundle=bundles_of("<downloads>/datasets/{key}/manifest.json"),
        made=made_of("<downloads>/jobs/specs/download/{key}.json"),
    log:
        "<downloads>/datasets/{key}.log",
    localrule: True
    conda:
        environment_of("download")
    params:
        spec=spec_of("download"),
    script:
        "../scripts/download.py"


rule prepare:
    input:
        manifest=prepare_source,
        bundles=prepare_bundles,
        spec="<results>/jobs/specs/prepare/{task}.json",
        code=code_of("prepare"),
    output:
        task="<results>/prepare/{task}/task.json",
        inputs="<results>/prepare/{task}/inputs.npy",
        examples="<results>/prepare/{task}/examples.parquet",
        made=made_of("<results>/jobs/specs/prepare/{task}.json"),
    log:
        "<results>/prepare/{task}/prepare.log",
    conda:
        environment_of("prepare")
    threads: prepare_threads
    params:
        spec=spec_of("prepare"),
    script:
        "../scripts/prepare.py"
