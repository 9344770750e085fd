# What a study was made from, with checksums, and the comparison of a finished study with them.


rule record:
    input:
        files=recorded_files(),
        outside=all_downloads(),
        listings=all_listings(),
        spec="<results>/jobs/specs/record.json",
        code=code_of("record"),
    output:
        crate="<results>/ro-crate-metadata.json",
    log:
        "<results>/record/record.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("record"),
    script:
        "../scripts/record.py"


# snakemake verify: no part of a study, so it has no output and always runs.
rule verify:
    input:
        crate=rules.record.output.crate,
    log:
        "<results>/record/verify.log",
    conda:
        environment_of("verify")
    threads: study.compute["threads"]
    resources:
        gpu=gpus_of_any,
        mem_mb=study.compute["mem_mb"],
        runtime=study.compute["runtime"],
    params:
        runs=study.compute["verify_runs"],
    script:
        "../scripts/verify.py"
