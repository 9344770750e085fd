# Pretrained weights: fetched, or made here.


localrules:
    download_weights,


rule download_weights:
    input:
        code=download_weights_code,
    output:
        weights="<downloads>/weights/{key}.safetensors",
        manifest="<downloads>/weights/{key}.json",
    log:
        "<downloads>/weights/{key}.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=download_weights_spec,
    script:
        "../scripts/download_weights.py"


rule pretrain:
    input:
        task=pretrain_task,
        arrays=pretrain_arrays,
        code=pretrain_code,
    output:
        weights="<results>/pretrain/{model}/weights.safetensors",
        manifest="<results>/pretrain/{model}/weights.json",
        history="<results>/pretrain/{model}/history.csv",
    log:
        "<results>/pretrain/{model}/pretrain.log",
    benchmark:
        "<results>/pretrain/{model}/benchmark.tsv"
    conda:
        "../../envs/core.yaml"
    threads: study.compute["threads"]
    resources:
        gpu=gpus,
        mem_mb=study.compute["mem_mb"],
        runtime=study.compute["runtime"],
    params:
        spec=pretrain_spec,
        threads=study.compute["threads"],
    script:
        "../scripts/pretrain.py"
