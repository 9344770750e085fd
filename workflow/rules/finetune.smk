# What does not train, computed once; then fine-tuning, from there.


rule features:
    input:
        unpack(weights_of),
        task="<results>/prepare/{task}/task.json",
        arrays=task_arrays,
        tokens=task_tokens,
        code=features_code,
    output:
        manifest="<results>/features/{model}/{task}/{features}/features.json",
        activations="<results>/features/{model}/{task}/{features}/activations.npy",
    log:
        "<results>/features/{model}/{task}/{features}/features.log",
    benchmark:
        "<results>/features/{model}/{task}/{features}/benchmark.tsv"
    conda:
        features_environment
    threads: study.compute["features_threads"]
    resources:
        gpu=gpus,
        mem_mb=study.compute["mem_mb"],
        runtime=study.compute["runtime"],
    params:
        spec=features_spec,
        threads=study.compute["features_threads"],
    script:
        "../scripts/features.py"


# One job fits a block of seeds; each run keeps its files in a folder of its own, and a run that is there
# already, whole and of the same spec, is taken as it is. See "Seed blocks" in docs/architecture.md.


rule finetune:
    input:
        unpack(weights_of),
        task="<results>/prepare/{task}/task.json",
        arrays=task_arrays,
        tokens=task_tokens,
        features=finetune_features,
        features_before=predict_features,
        code=finetune_code,
    output:
        manifest="<results>/finetune/{model}/{task}/{method}/block-{block}.json",
    log:
        "<results>/finetune/{model}/{task}/{method}/block-{block}.log",
    benchmark:
        "<results>/finetune/{model}/{task}/{method}/block-{block}.tsv"
    conda:
        cell_environment
    threads: study.compute["threads"]
    resources:
        gpu=gpus,
        mem_mb=study.compute["mem_mb"],
        runtime=study.compute["runtime"],
    params:
        spec=finetune_spec,
        threads=study.compute["threads"],
        predictions=f"results/{study.name}/predict/{{model}}/{{task}}/{{method}}",
    script:
        "../scripts/finetune.py"
