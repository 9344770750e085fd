# Evaluation, before and after fine-tuning: outputs per example first, metrics from them, so that a new metric never
# touches a GPU.


rule predict:
    input:
        unpack(weights_of),
        task="<results>/prepare/{task}/task.json",
        arrays=task_arrays,
        tokens=task_tokens,
        features=predict_features,
        runs="<results>/finetune/{model}/{task}/{method}/block-{block}.json",
        code=predict_code,
    output:
        manifest="<results>/predict/{model}/{task}/{method}/block-{block}.json",
    log:
        "<results>/predict/{model}/{task}/{method}/block-{block}.log",
    conda:
        cell_environment
    threads: study.compute["threads"]
    resources:
        gpu=gpus,
        mem_mb=study.compute["mem_mb"],
        runtime=study.compute["runtime"],
    params:
        spec=predict_spec,
        threads=study.compute["threads"],
    script:
        "../scripts/predict.py"


rule score:
    input:
        task="<results>/prepare/{task}/task.json",
        predictions=task_predictions,
        code=score_code,
    output:
        "<results>/score/{task}/scores.json",
    log:
        "<results>/score/{task}/scores.log",
    conda:
        "../../envs/core.yaml"
    params:
        metrics=score_metrics,
    script:
        "../scripts/score.py"
