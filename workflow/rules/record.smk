# What a study was made from, with checksums, and the comparison of a finished study with them.


rule record:
    input:
        files=recorded_files(),
        outside=all_downloads(),
        listings=all_listings(),
        bundles=bundles_of(*all_chunks(FITTED)),
        spec="<results>/jobs/specs/record.json",
        code=code_of("record"),
    output:
        crate="<results>/ro-crate-metadata.json",
        parts=in_storage(*(f"<results>/record/{name}.json" for name in ("config", "code", "environments", "crate"))),
        made=made_of("<results>/jobs/specs/record.json"),
    log:
        "<results>/record/record.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("record"),
    script:
        "../scripts/record.py"


# snakemake verify: no part of a study, so it has no output and always runs. Without inputs: Snakemake would make the record
# of a file again that was changed, with the changed file's checksum.
rule verify:
    log:
        "<results>/record/verify.log",
    conda:
        environment_of("verify")
    threads: threads_of_any
    resources:
        gpu=gpus_of_any,
        mem_mb=study.compute["mem_mb"],
        runtime=study.compute["runtime"],
    params:
        folder=RESULTS,
        runs=study.compute["verify_runs"],
        specs=current_specs,
        base_tables=[Path(path).stem for path in analysis_base()],
        imports=imported_files(),
        in_braces=plan.imported_in_braces(),
    script:
        "../scripts/verify.py"
