# Pretrained weights, fetched or made here, and the other files that a network is built from.


rule download_weights:
    input:
        unpack(weights_assets),
        bundles=weights_bundles,
        spec="<downloads>/jobs/specs/download_weights/{key}.json",
        code=code_of("download_weights"),
    output:
        weights="<downloads>/weights/{key}.safetensors",
        manifest="<downloads>/weights/{key}.json",
        made=made_of("<downloads>/jobs/specs/download_weights/{key}.json"),
    log:
        "<downloads>/weights/{key}.log",
    localrule: True
    conda:
        environment_of("download_weights")
    params:
        spec=spec_of("download_weights"),
    script:
        "../scripts/download_weights.py"


# Files that a network is built from in addition to its weights: its config, its tokenizer.
rule download_assets:
    input:
        spec="<downloads>/jobs/specs/download_assets/{assets}.json",
        code=code_of("download_assets"),
    output:
        manifest="<downloads>/assets/{assets}/manifest.json",
        bundle=bundles_of("<downloads>/assets/{assets}/manifest.json"),
        made=made_of("<downloads>/jobs/specs/download_assets/{assets}.json"),
    log:
        "<downloads>/assets/{assets}.log",
    localrule: True
    conda:
        environment_of("download_assets")
    params:
        spec=spec_of("download_assets"),
    script:
        "../scripts/download_assets.py"


# A task's examples as token ids, computed once for all networks with these assets.
rule tokenize:
    input:
        assets="<downloads>/assets/{assets}/manifest.json",
        bundles=bundles_of("<downloads>/assets/{assets}/manifest.json"),
        task="<results>/prepare/{task}/task.json",
        arrays=task_arrays,
        spec="<results>/jobs/specs/tokenize/{assets}/{task}.json",
        code=code_of("tokenize"),
    output:
        manifest="<results>/tokenize/{assets}/{task}/tokens.json",
        tokens="<results>/tokenize/{assets}/{task}/tokens.npy",
        made=made_of("<results>/jobs/specs/tokenize/{assets}/{task}.json"),
    log:
        "<results>/tokenize/{assets}/{task}/tokenize.log",
    conda:
        environment_of("tokenize")
    params:
        spec=spec_of("tokenize"),
    script:
        "../scripts/tokenize.py"


rule pretrain:
    input:
        unpack(assets_of),
        bundles=model_bundles,
        task=pretrain_task,
        arrays=pretrain_arrays,
        tokens=pretrain_tokens,
        spec="<results>/jobs/specs/pretrain/{model}.json",
        code=code_of("pretrain"),
    output:
        weights="<results>/pretrain/{model}/weights.safetensors",
        manifest="<results>/pretrain/{model}/weights.json",
        history="<results>/pretrain/{model}/history.csv",
        made=made_of("<results>/jobs/specs/pretrain/{model}.json"),
    log:
        "<results>/pretrain/{model}/pretrain.log",
    benchmark:
        "<results>/pretrain/{model}/benchmark.tsv"
    priority: 1  # others wait for it
    conda:
        environment_of("pretrain")
    threads: training_threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        runtime=training_runtime,
        # Not params: they must not rerun anything.
        runs_per_gpu=study.compute["runs_per_gpu"],
        save_every=study.compute["save_every"],
    params:
        spec=spec_of("pretrain"),
    script:
        "../scripts/pretrain.py"
