from variability.job_log import log_job

with log_job(snakemake.log[0]):
    import os

    # One thread in each process, before NumPy is imported, which reads it then.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    from pathlib import Path

    from variability.stages.analyse import analyse_all

    rule_input, chosen = snakemake.input, snakemake.params.options
    analyse_all(
        chosen=chosen,
        code={name: Path(path) for name, path in zip(chosen, rule_input.code, strict=True)},
        manifest=Path(rule_input.manifest),
        tables={Path(table).stem: Path(table) for table in rule_input.tables},
        predictions=[Path(path) for path in rule_input.predictions],
        folder=Path(snakemake.output.manifest).parent,
        threads=snakemake.threads,
    )
