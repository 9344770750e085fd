# Evaluation before and after fine-tuning: predictions of each example first, then metrics from them, so that a new
# metric never needs a GPU.


rule predict:
    input:
        unpack(weights_of),
        bundles=predict_bundles,
        task="<results>/prepare/{task}/task.json",
        arrays=task_arrays,
        tokens=task_tokens,
        features=predict_features,
        runs="<results>/finetune/{model}/{task}/{method}/block-{block}.json",
        spec="<results>/jobs/specs/predict/{model}/{task}/{method}/{block}.json",
        code=code_of("predict"),
    output:
        manifest="<results>/predict/{model}/{task}/{method}/block-{block}.json",
        bundle=bundles_of("<results>/predict/{model}/{task}/{method}/block-{block}.json"),
        made=made_of("<results>/jobs/specs/predict/{model}/{task}/{method}/{block}.json"),
    log:
        "<results>/predict/{model}/{task}/{method}/block-{block}.log",
    conda:
        environment_of("predict")
    threads: study.compute["threads"]
    resources:
        gpu=predict_gpus,
        mem_mb=memory,
        runtime=predict_runtime,
        runs_per_gpu=study.compute["runs_per_gpu"],
    params:
        spec=spec_of("predict"),
    script:
        "../scripts/predict.py"


rule score:
    input:
        task="<results>/prepare/{task}/task.json",
        predictions=task_predictions,
        bundles=score_bundles,
        spec="<results>/jobs/specs/score/{task}.json",
        code=code_of("score"),
    output:
        "<results>/score/{task}/scores.json",
        bundle=bundles_of("<results>/score/{task}/scores.json"),
        made=made_of("<results>/jobs/specs/score/{task}.json"),
    log:
        "<results>/score/{task}/scores.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("score"),
    script:
        "../scripts/score.py"
