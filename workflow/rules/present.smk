# Tables, figures and the report.


rule analyse:
    input:
        runs="<results>/aggregate/runs.parquet",
        per_class="<results>/aggregate/per_class.parquet",
        history="<results>/aggregate/history.parquet",
        code=analyse_code,
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
        runs="<results>/aggregate/runs.parquet",
        per_class="<results>/aggregate/per_class.parquet",
        history="<results>/aggregate/history.parquet",
        analyses=plot_tables,
        code=plot_code,
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


localrules:
    report,


rule report:
    input:
        runs="<results>/aggregate/runs.parquet",
        tables=collect("<results>/analyse/{analysis}.csv", analysis=study.analyses),
        figures=all_figures(),
        captions=report_texts(),
        code=report_code(),
    output:
        summary="<results>/report/summary.md",
        html="<results>/report/report.html",
    log:
        "<results>/report/report.log",
    conda:
        "../../envs/core.yaml"
    params:
        study=study.name,
    script:
        "../scripts/report.py"
