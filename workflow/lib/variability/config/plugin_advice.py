"""Names that people and other programs use for plug-ins of this project."""

from variability import registry
from variability.advice import similar

_OTHER_NAMES = {
    "methods": {
        "full": "finetune finetuning finetuned ft sft fullfinetune fullfinetuning fullft endtoend alllayers",
        "linear_probe": "lp linearprobing lineareval probing frozen freeze featureextraction head headonly lastlayer",
        "partial": "lastlayers lastblocks toplayers unfreeze gradualunfreezing",
        "lora": "adapter adapters peft lowrank qlora dora",
        "bitfit": "bias biases biasonly",
    },
    "providers": {
        "transformers": "hf huggingface hub",
        "torchvision": "torch pytorch tv",
        "keras": "tensorflow tf kerasapplications",
        "clip": "openclip openai",
        "sequential": "sasrec gru4rec recommender",
        "counting": "popularity popular mostpop",
        "python_file": "python custom own local",
    },
    "datasets": {
        "text_table": "csv tsv json jsonl parquet texts",
        "image_folder": "folder images photos",
        "hub_text": "hf huggingface hub",
        "interactions_table": "ratings interactions",
    },
}


def meant(family: str, name: str) -> str | None:
    """Return the plug-in that an unknown name means, by another name that it has or by a similar one, or None."""
    written = name.lower().translate(dict.fromkeys(map(ord, "_- .")))
    for plugin, others in _OTHER_NAMES.get(family, {}).items():
        if written in others.split() and plugin in registry.names(family):
            return plugin
    return similar(name, registry.names(family))


def unknown(family: str, name: str) -> str:
    """Return the message for a name that no plug-in has, with the one that was meant, or all names."""
    message, plugin = registry.unknown(family, name), meant(family, name)
    return message if plugin is None else f"{message.rpartition('; ')[0]}; did you mean {plugin!r}?"
