# References of recipes: linear models of the stored activations before the head, of all models and tasks in one job.


rule reference_probe:
    input:
        tasks=probe_tasks(),
        arrays=ancient(probe_arrays()),
        features=probe_features("features.json"),
        activations=ancient(probe_features("activations.npy")),
        spec="<results>/jobs/specs/reference_probe.json",
        code=code_of("reference_probe"),
    output:
        "<results>/reference_probe/probes.json",
        bundle=bundles_of("<results>/reference_probe/probes.json"),
        made=made_of("<results>/jobs/specs/reference_probe.json"),
    log:
        "<results>/reference_probe/probes.log",
    conda:
        "../../envs/core.yaml"
    params:
        spec=spec_of("reference_probe"),
    script:
        "../scripts/reference_probe.py"
