"""Models of Transformers so small that they train in milliseconds, made here as a user's folder would be."""

import json
from pathlib import Path

from variability.io.fetcher import Fetcher
from variability.models.providers.transformers import Transformers
from variability.stages.download_assets import download_assets
from variability.stages.download_weights import download_weights

_SPOKEN = "the a cat dog sat ran on under mat tree red blue big small"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_SPOKEN.split()]

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


def folder(place: Path, kind: str = "bert", **config) -> Path:
    """A model's folder, without weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    place.mkdir(parents=True, exist_ok=True)
    about = {"model_type": kind, "vocab_size": len(WORDS), "pad_token_id": 0} | MODELS[kind] | config
    (place / "config.json").write_text(json.dumps(about))
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    tokenizer.save(str(place / "tokenizer.json"))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40} | special
    (place / "tokenizer_config.json").write_text(json.dumps(said))
    return place


def entry(place: Path, weights: str = "none", **options) -> dict:
    """A model's entry, as the stages get it."""
    return {
        "name": "small", "provider": "transformers", "architecture": str(place), "weights": weights,
        "options": options, "preprocess": {},
    }  # fmt: skip


def assets(model: dict, place: Path) -> Path:
    """Manifest of a model's assets."""
    manifest = place / "manifest.json"
    download_assets(model, place / "files", manifest, Fetcher([]))
    return manifest


def weights(place: Path, kind: str = "bert", seed: int = 7) -> Path:
    """Writes weights into a model's folder as a release has them, with the head of its pretraining."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(place)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = getattr(transformers, config.architectures[0])(config)
    made.save_pretrained(place, safe_serialization=True)
    return place / "model.safetensors"


def provider(place: Path, tmp_path: Path, weights: str = "none", **options) -> Transformers:
    """The provider of a model's folder, with its assets below ``tmp_path``."""
    model = entry(place, weights, **options)
    return Transformers(model, assets(model, tmp_path / "assets"))


def converted(place: Path, tmp_path: Path, **options) -> tuple[Transformers, Path]:
    """A provider, and the file that ``download_weights`` makes for it."""
    made, target = provider(place, tmp_path, "pretrained", **options), tmp_path / "weights.safetensors"
    download_weights(made.model, target, tmp_path / "weights.json", Fetcher([]), (), made.assets)
    return made, target
