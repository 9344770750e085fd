# Tables, figures, the report page, and Snakemake's report.


# One job makes all tables, and one all figures: starting Python takes longer than most of them. Those that would not
# change are restored, see stages/_stored_outputs.py.


rule analyse:
    input:
        manifest="<results>/aggregate/manifest.json",
        tables=analysis_base(),
        predictions=analysis_predictions(),
        bundles=bundles_of(*analysis_predictions()),
        spec="<results>/jobs/specs/analyse.json",
        code=codes_of("analyse"),
    output:
        reported_tables(),
        manifest="<results>/analyse/manifest.json",
        made=made_of("<results>/jobs/specs/analyse.json"),
    log:
        "<results>/analyse/analyse.log",
    conda:
        "../../envs/core.yaml"
    threads: 4
    params:
        spec=spec_of("analyse"),
    script:
        "../scripts/analyse.py"


rule plot:
    input:
        manifest="<results>/aggregate/manifest.json",
        tables=plot_base(),
        analyses=plot_tables(),
        spec="<results>/jobs/specs/plot.json",
        code=codes_of("plot"),
    output:
        svg=reported_figures(),
        others=other_figures(),
        made=made_of("<results>/jobs/specs/plot.json"),
    log:
        "<results>/plot/plot.log",
    conda:
        "../../envs/core.yaml"
    threads: 4
    params:
        spec=spec_of("plot"),
    script:
        "../scripts/plot.py"


rule claim:
    input:
        tables=claim_tables(),
        spec="<results>/jobs/specs/claim.json",
        code=code_of("claim"),
    output:
        csv="<results>/claim/claims.csv",
        manifest="<results>/claim/manifest.json",
        markdown="<results>/claim/claims.md",
        page=report(
            "<results>/claim/claims.html",
            caption="../report/claims.rst",
            category="Summary",
            labels={"page": "claims"},
        ),
        made=made_of("<results>/jobs/specs/claim.json"),
    log:
        "<results>/claim/claim.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("claim"),
    script:
        "../scripts/claim.py"


rule summarise:
    input:
        manifest="<results>/aggregate/manifest.json",
        runs=ancient("<results>/aggregate/runs.parquet"),
        tables=summary_tables(),
        claims="<results>/claim/claims.csv",
        tasks=prepared_tasks(),
        spec="<results>/jobs/specs/summarise.json",
        code=code_of("summarise"),
    output:
        markdown="<results>/report/summary.md",
        answer="<results>/report/answer.txt",
        page=report(
            "<results>/report/summary.html",
            caption="../report/summary.rst",
            category="Summary",
            labels={"page": "summary"},
        ),
        made=made_of("<results>/jobs/specs/summarise.json"),
    log:
        "<results>/report/summary.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("summarise"),
    script:
        "../scripts/summarise.py"


rule page:
    input:
        manifest="<results>/aggregate/manifest.json",
        base=page_base(),
        tables=[table(name) for name in plan.outputs.analyses],
        claims="<results>/claim/claims.csv",
        predictions=all_chunks(PREDICTED),
        bundles=bundles_of(*all_chunks(PREDICTED)),
        tasks=prepared_tasks(),
        arrays=prepared_arrays(),
        parts=page_parts(),
        spec="<results>/jobs/specs/page.json",
        code=code_of("page"),
    output:
        "<results>/report/index.html",
        made=made_of("<results>/jobs/specs/page.json"),
    log:
        "<results>/report/page.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("page"),
    script:
        "../scripts/page.py"


# Reads Snakemake's records of the run, so it runs on the same machine as Snakemake.
rule report:
    input:
        rules.summarise.output,
        rules.claim.output,
        all_tables(),
        all_figures(),
        texts=local(report_texts()),
        spec="<results>/jobs/specs/report.json",
        code=code_of("report"),
    output:
        "<results>/report/report.html",
        made=made_of("<results>/jobs/specs/report.json"),
    log:
        "<results>/report/report.log",
    localrule: True
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("report"),
        storage=storage_options(),
    script:
        "../scripts/report.py"
