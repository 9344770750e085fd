# Tables, figures and the report.


rule analyse:
    input:
        manifest="<results>/aggregate/manifest.json",
        tables=analysis_base,
        predictions=analysis_predictions,
        code=code_of("analyse"),
    output:
        report(
            "<results>/analyse/{analysis}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{analysis}"},
        ),
    log:
        "<results>/analyse/{analysis}.log",
    conda:
        "../../envs/core.yaml"
    params:
        options=analysis_options,
        caption=analysis_caption,
    script:
        "../scripts/analyse.py"


rule plot:
    input:
        manifest="<results>/aggregate/manifest.json",
        tables=plot_base,
        analyses=plot_tables,
        code=code_of("plot"),
    output:
        svg=report(
            "<results>/plot/{plot}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{plot}"},
        ),
        png="<results>/plot/{plot}.png",
    log:
        "<results>/plot/{plot}.log",
    conda:
        "../../envs/core.yaml"
    params:
        options=plot_options,
        caption=plot_caption,
        study=study.name,
    script:
        "../scripts/plot.py"


rule claim:
    input:
        tables=claim_tables(),
        code=code_of("claim"),
    output:
        csv="<results>/claim/claims.csv",
        markdown="<results>/claim/claims.md",
        page=report(
            "<results>/claim/claims.html",
            caption="../report/claims.rst",
            category="Summary",
            labels={"page": "claims"},
        ),
    log:
        "<results>/claim/claim.log",
    conda:
        "../../envs/core.yaml"
    params:
        chosen=plan.outputs.claims,
        study=study.name,
    script:
        "../scripts/claim.py"


rule summarise:
    input:
        manifest="<results>/aggregate/manifest.json",
        runs=ancient("<results>/aggregate/runs.parquet"),
        tables=summary_tables(),
        claims="<results>/claim/claims.csv",
        tasks=prepared_tasks(),
        code=code_of("summarise"),
    output:
        markdown="<results>/report/summary.md",
        page=report(
            "<results>/report/summary.html",
            caption="../report/summary.rst",
            category="Summary",
            labels={"page": "summary"},
        ),
    log:
        "<results>/report/summary.log",
    conda:
        "../../envs/core.yaml"
    params:
        study=study.name,
    script:
        "../scripts/summarise.py"


# Reads Snakemake's records of the run, so it runs on the same machine as Snakemake.
rule report:
    input:
        rules.summarise.output,
        rules.claim.output,
        all_tables(),
        all_figures(),
        texts=report_texts(),
        code=code_of("report"),
    output:
        "<results>/report/report.html",
    log:
        "<results>/report/report.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        targets=["summary", "claims", "figures", "tables"],
    script:
        "../scripts/report.py"
