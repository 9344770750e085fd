# Data: fetched once for all studies, then decoded once per task.


localrules:
    download,


rule download:
    input:
        code=download_code,
    output:
        manifest="<downloads>/datasets/{key}/manifest.json",
    log:
        "<downloads>/datasets/{key}.log",
    conda:
        download_environment
    params:
        spec=download_spec,
    script:
        "../scripts/download.py"


rule prepare:
    input:
        manifest=prepare_source,
        code=prepare_code,
    output:
        task="<results>/prepare/{task}/task.json",
        inputs="<results>/prepare/{task}/inputs.npy",
        examples="<results>/prepare/{task}/examples.parquet",
    log:
        "<results>/prepare/{task}/prepare.log",
    conda:
        prepare_environment
    threads: prepare_threads
    params:
        spec=prepare_spec,
    script:
        "../scripts/prepare.py"
