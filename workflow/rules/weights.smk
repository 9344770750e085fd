# Pretrained weights: fetched, or made here; and what else a network is built from.


localrules:
    download_weights,
    download_assets,


rule download_weights:
    input:
        unpack(weights_assets),
        code=download_weights_code,
    output:
        weights="<downloads>/weights/{key}.safetensors",
        manifest="<downloads>/weights/{key}.json",
    log:
        "<downloads>/weights/{key}.log",
    conda:
        weights_environment
    params:
        spec=download_weights_spec,
    script:
        "../scripts/download_weights.py"


# The files beside weights that a network is built from: its config, its tokenizer.
rule download_assets:
    input:
        code=download_assets_code,
    output:
        manifest="<downloads>/assets/{assets}/manifest.json",
    log:
        "<downloads>/assets/{assets}.log",
    conda:
        assets_environment
    params:
        spec=download_assets_spec,
    script:
        "../scripts/download_assets.py"


# A task's examples in the form that networks with these assets take, once for all of them.
rule tokenize:
    input:
        assets="<downloads>/assets/{assets}/manifest.json",
        task="<results>/prepare/{task}/task.json",
        arrays=task_arrays,
        code=tokenize_code,
    output:
        manifest="<results>/tokenize/{assets}/{task}/tokens.json",
        tokens="<results>/tokenize/{assets}/{task}/tokens.npy",
    log:
        "<results>/tokenize/{assets}/{task}/tokenize.log",
    conda:
        assets_environment
    params:
        spec=tokenize_spec,
    script:
        "../scripts/tokenize.py"


rule pretrain:
    input:
        unpack(assets_of),
        task=pretrain_task,
        arrays=pretrain_arrays,
        tokens=pretrain_tokens,
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
        pretrain_environment
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
