# Activations of what does not train, computed once; then fine-tuning, which starts from them.


rule features:
    input:
        unpack(weights_of),
        bundles=model_bundles,
        task="<results>/prepare/{task}/task.json",
        arrays=task_arrays,
        tokens=task_tokens,
        spec="<results>/jobs/specs/features/{model}/{task}/{features}.json",
        code=code_of("features"),
    output:
        manifest="<results>/features/{model}/{task}/{features}/features.json",
        activations="<results>/features/{model}/{task}/{features}/activations.npy",
        made=made_of("<results>/jobs/specs/features/{model}/{task}/{features}.json"),
    log:
        "<results>/features/{model}/{task}/{features}/features.log",
    benchmark:
        "<results>/features/{model}/{task}/{features}/benchmark.tsv"
    priority: 1  # others wait for it
    conda:
        environment_of("features")
    threads: study.compute["features_threads"]
    resources:
        gpu=gpus,
        mem_mb=memory,
        runtime=training_runtime,
        runs_per_gpu=study.compute["runs_per_gpu"],
    params:
        spec=spec_of("features"),
    script:
        "../scripts/features.py"


# One job fits a chunk of seeds. Each run has a folder; a complete run with the same fingerprint is reused unchanged. See
# "Seed chunks" in docs/architecture.md.


rule finetune:
    input:
        unpack(weights_of),
        bundles=model_bundles,
        task="<results>/prepare/{task}/task.json",
        arrays=task_arrays,
        tokens=task_tokens,
        features=finetune_features,
        features_before=predict_features,
        spec="<results>/jobs/specs/finetune/{model}/{task}/{method}/{block}.json",
        code=code_of("finetune"),
        predict_code=code_of("predict"),
    output:
        manifest="<results>/finetune/{model}/{task}/{method}/block-{block}.json",
        bundle=bundles_of("<results>/finetune/{model}/{task}/{method}/block-{block}.json"),
        tensors=tensors_of("<results>/finetune/{model}/{task}/{method}/block-{block}.json"),
        made=made_of("<results>/jobs/specs/finetune/{model}/{task}/{method}/{block}.json"),
    log:
        "<results>/finetune/{model}/{task}/{method}/block-{block}.log",
    benchmark:
        "<results>/finetune/{model}/{task}/{method}/block-{block}.tsv"
    conda:
        environment_of("finetune")
    threads: training_threads
    resources:
        gpu=training_gpus,
        mem_mb=training_memory,
        runtime=training_runtime,
        # Not params: they must not rerun anything.
        runs_per_gpu=study.compute["runs_per_gpu"],
        save_every=study.compute["save_every"],
    params:
        spec=spec_of("finetune"),
    script:
        "../scripts/finetune.py"
