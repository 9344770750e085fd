# Fine-tuning. One job fits a block of seeds; each run keeps its files in a folder of its own, and a run that is there
# already, whole and of the same spec, is taken as it is. See "Seed blocks" in docs/architecture.md.


rule finetune:
    input:
        unpack(weights_of),
        task="<results>/prepare/{task}/task.json",
        arrays=finetune_arrays,
        code=finetune_code,
    output:
        manifest="<results>/finetune/{model}/{task}/{method}/block-{block}.json",
    log:
        "<results>/finetune/{model}/{task}/{method}/block-{block}.log",
    benchmark:
        "<results>/finetune/{model}/{task}/{method}/block-{block}.tsv"
    conda:
        "../../envs/core.yaml"
    threads: study.compute["threads"]
    resources:
        gpu=gpus,
        mem_mb=study.compute["mem_mb"],
        runtime=study.compute["runtime"],
    params:
        spec=finetune_spec,
        threads=study.compute["threads"],
    script:
        "../scripts/finetune.py"
