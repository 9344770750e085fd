"""Models of Transformers so small that they train in milliseconds, written like a user's folder."""

import json
from pathlib import Path

from variability.io.fetcher import Fetcher
from variability.models.providers.transformers import Transformers
from variability.stages.download_assets import download_assets
from variability.stages.download_weights import download_weights

_VOCABULARY = "the a cat dog sat ran on under mat tree red blue big small"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_VOCABULARY.split()]

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
MODELS = {
    "bert": SIZES | {"architectures": ["BertForMaskedLM"], "max_position_embeddings": 40},
    "llama": SIZES | {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 40},
    "roberta": SIZES | {"architectures": ["RobertaForMaskedLM"], "max_position_embeddings": 12, "pad_token_id": 1},
    "opt": SIZES | {"ffn_dim": 24, "word_embed_proj_dim": 8, "max_position_embeddings": 40},
    "deberta-v2": SIZES | {"vocab_size": 60, "max_position_embeddings": 40},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "xlnet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24},
}


def folder(model_folder: Path, kind: str = "bert", **config) -> Path:
    """Write a model's folder, without weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    model_folder.mkdir(parents=True, exist_ok=True)
    config_values = {"model_type": kind, "vocab_size": len(WORDS), "pad_token_id": 0} | MODELS[kind] | config
    (model_folder / "config.json").write_text(json.dumps(config_values))
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    tokenizer.save(str(model_folder / "tokenizer.json"))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40} | special
    (model_folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return model_folder


def entry(model_folder: Path, weights: str = "none", **options) -> dict:
    """Return a model's entry as the stages receive it."""
    return {
        "name": "small", "provider": "transformers", "architecture": str(model_folder), "weights": weights,
        "options": options, "preprocess": {},
    }  # fmt: skip


def assets(model: dict, target: Path) -> Path:
    """Fetch a model's assets; return their manifest."""
    manifest = target / "manifest.json"
    download_assets(model, target / "files", manifest, Fetcher([]))
    return manifest


def weights(model_folder: Path, kind: str = "bert", seed: int = 7) -> Path:
    """Write weights into a model's folder like a release, with the head of pretraining."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(model_folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, config.architectures[0])(config)
    model.save_pretrained(model_folder, safe_serialization=True)
    return model_folder / "model.safetensors"


def provider(model_folder: Path, tmp_path: Path, weights: str = "none", **options) -> Transformers:
    """Return the provider of a model's folder, with its assets below ``tmp_path``."""
    model = entry(model_folder, weights, **options)
    return Transformers(model, assets(model, tmp_path / "assets"))


def converted(model_folder: Path, tmp_path: Path, **options) -> tuple[Transformers, Path]:
    """Return a provider, and the file that ``download_weights`` writes for it."""
    this, target = provider(model_folder, tmp_path, "pretrained", **options), tmp_path / "weights.safetensors"
    download_weights(this.model, target, tmp_path / "weights.json", Fetcher([]), (), this.assets)
    return this, target
