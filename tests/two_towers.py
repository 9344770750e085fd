"""Small models of images and texts with random weights, saved with the files of a repository of the hub."""

from pathlib import Path

WORDS = ("a", "photo", "of", "drawing", "cat", "dog", "horse", "class", "0", "1", "2", "3", "4", "5", "b", "c", ".")


def saved(folder: Path, kind: str = "clip", weights: bool = True) -> Path:
    """Write config, tokenizer, preprocessing and, optionally, weights to a folder. kind: clip or siglip."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: index for index, word in enumerate(("<pad>", "<start>", "<end>", "<unknown>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    special = {"pad_token": "<pad>", "bos_token": "<start>", "eos_token": "<end>", "unk_token": "<unknown>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    common = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    text = common | {"vocab_size": len(vocabulary), "max_position_embeddings": 12}
    text |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if kind == "siglip":
        text["projection_size"] = 16
    vision = common | {"image_size": 32, "patch_size": 8}
    config, model = {
        "clip": (transformers.CLIPConfig, transformers.CLIPModel),
        "siglip": (transformers.SiglipConfig, transformers.SiglipModel),
    }[kind]
    options = {"projection_dim": 12} if kind == "clip" else {}
    config = config(text_config=text, vision_config=vision, **options)
    if weights:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            network = model(config)
            for parameter in network.parameters():
                parameter.data.add_(0.05 * torch.randn_like(parameter))
            network.save_pretrained(folder)
    else:
        config.save_pretrained(folder)
    return folder
