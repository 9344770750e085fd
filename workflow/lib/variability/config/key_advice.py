"""Advice on unknown and missing keys of a config: which key was meant, and where a key belongs."""

from collections.abc import Iterable, Mapping
from typing import Any

from variability import advice, registry
from variability.results.run_selection import as_list

#: Keys of other programs, and the keys of a config with their meaning.
OTHER_NAMES = {
    "learning_rate": "lr",
    "wd": "weight_decay",
    "bs": "batch_size",
    "backbone": "architecture",
    "network": "architecture",
    "pretrained": "weights",
    "checkpoint_path": "weights",
    "file": "path",
    "img_size": "size",
    "resolution": "size",
    "random_seeds": "seeds",
    "datasets": "tasks",
    "rank": "r",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "target_modules": "targets",
}
_GPU = (
    "no key selects devices: `snakemake --resources gpu=1` says how many GPUs there are; the environment variable "
    "VARIABILITY_DEVICE=cpu or cuda:1 selects one"
)
_CORES = "an option of the command: `snakemake --cores 8`"
_PAIRS = "runs are pairs in the whole study or nowhere: write `pairing: seed` at the top level"
_RESULTS = "results are written to results/<study>, below the folder in which snakemake is started"
#: Keys that have no counterpart in a config, and what to do instead.
INSTEAD = {
    **dict.fromkeys(("device", "devices", "gpu", "gpus", "cuda", "accelerator", "n_gpus", "num_gpus"), _GPU),
    **dict.fromkeys(("cores", "jobs", "n_jobs", "num_workers", "workers"), _CORES),
    **dict.fromkeys(("paired", "pairs"), _PAIRS),
    **dict.fromkeys(("output", "output_dir", "out_dir", "results_dir", "save_dir"), _RESULTS),
}
#: Keys that name a plug-in with options of its own, and the family of the plug-in.
_WITH_OPTIONS = {"dataset": "datasets", "provider": "providers"}


def meant(name: str, instance: Any, schema: Mapping[str, Any]) -> str | None:
    """Return the known key that an unknown one means, or None if that is not clear.

    instance: the mapping with the unknown key. schema: of the mapping.
    """
    known = list(schema.get("properties", {}))
    if name in INSTEAD:
        return None
    if (other := OTHER_NAMES.get(name)) in known:
        return other
    if (similar := advice.similar(name, known)) is not None:
        return similar
    # A network's ``name``, for example.
    lacking = [key for key in schema.get("required", []) if key not in instance]
    unknown = [key for key in instance if key not in known]
    return lacking[0] if len(lacking) == len(unknown) == 1 else None


def unknown(
    name: str, instance: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], top: bool
) -> str:
    """Return what to do with an unknown key.

    instance, schema: see ``meant``. root: schema of the config or of the options. top: True if the key is in no
    section.
    """
    known = list(schema.get("properties", {}))
    if name in INSTEAD:
        return INSTEAD[name]
    section, _, rest = name.partition(".")
    if section in known and rest:
        return f"levels are mappings: write {section}: {{{rest}: ...}}"
    if inner := _holders(name, instance, schema, root.get("$defs", {})):
        return f"it belongs to {inner!r}: write {inner}: {{{name}: ...}}"
    if (other := meant(name, instance, schema)) is not None:
        return f"did you mean {other!r}?"
    if not top and name in root.get("properties", {}) and "study" in root.get("properties", {}):
        return f"it belongs to the study: write {name!r} at the top level"
    return advice.suggest(name, known)


def _holders(
    name: str, instance: Mapping[str, Any], schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> str | None:
    """Return the known key below which an unknown one belongs, if exactly one may have it."""
    properties = schema.get("properties", {})
    resolved = {key: resolve(each, definitions) for key, each in properties.items()}
    holders = [key for key, each in resolved.items() if name in each.get("properties", {})]
    if not holders and "options" in properties and any(name in of for of in _options(instance, properties)):
        return "options"
    return holders[0] if len(holders) == 1 else None


def _options(instance: Mapping[str, Any], properties: Iterable[str]) -> Iterable[Mapping[str, Any]]:
    """Yield the options of the plug-in that an entry names, or of all plug-ins if it names none that is known."""
    for key, family in _WITH_OPTIONS.items():
        if key in properties:
            named = [one for one in as_list(instance.get(key, [])) if one in registry.names(family)]
            yield from (registry.find(family, one).OPTIONS for one in named or registry.names(family))


def resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema, or the one that it refers to; of several forms the one that is a mapping."""
    forms = [resolve(form, definitions) for form in schema.get("anyOf", [])]
    if mappings := [form for form in forms if form.get("type") == "object"]:
        return mappings[0]
    return definitions.get(schema["$ref"].rpartition("/")[2], {}) if "$ref" in schema else schema
