"""Transformers whose tokens are the items of a catalogue."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from variability import seeding
from variability.data.item_sequences import MASKED_ITEM, NO_ITEM, NO_TARGET
from variability.models import networks

#: SD of the sampled vectors of items; BERT and GPT-2 have it for words.
SD = 0.02


class Catalogue(nn.Module):
    """All parameters of one catalogue: a vector for each item, which is both its embedding and its output weights.

    ranks: items get scores; False: they get ratings. keeps_vectors: the vectors are those of a file and not sampled.
    """

    def __init__(self, items: int, hidden: int, ranks: bool, keeps_vectors: bool):
        super().__init__()
        self._keeps_vectors = keeps_vectors
        self.weight = nn.Parameter(torch.empty(items, hidden))
        self.bias = nn.Parameter(torch.empty(items)) if ranks else None
        #: The vector by which a rating moves its item's vector, and the layer from hidden states to a rating.
        self.rated = None if ranks else nn.Parameter(torch.empty(hidden))
        self.rating = None if ranks else networks.undefined_layer(nn.Linear, hidden, 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Turn (k, hidden) states into (k, items) scores, or into (k, 1) ratings."""
        return functional.linear(hidden, self.weight, self.bias) if self.rating is None else self.rating(hidden)

    @torch.no_grad()
    def sample(self, seed: int) -> None:
        """Sample the vectors and the rating layer, in place; biases are 0."""
        generator = seeding.head(seed).torch_generator()
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif name != "weight" or not self._keeps_vectors:
                parameter.copy_(torch.empty(parameter.shape).normal_(0, SD, generator=generator))


class Body(nn.Module):
    """(B, width, hidden) vectors, (B, width) True where there is an item -> (B, width, hidden).

    model: of Transformers. project: the module after it. length: of the longest sequence.
    """

    def __init__(self, model: nn.Module, project: nn.Module, length: int):
        super().__init__()
        self.model, self.project, self._length = model, project, length

    def forward(self, vectors: torch.Tensor, is_item: torch.Tensor) -> torch.Tensor:
        # Positions count from the end, so that the width of a batch makes no difference.
        positions = torch.arange(self._length - vectors.shape[1], self._length, device=vectors.device)[None]
        outputs = self.model(inputs_embeds=vectors, attention_mask=is_item.long(), position_ids=positions)
        return self.project(outputs.last_hidden_state)


class Recommender(nn.Module):
    """int32 (B, width, 2 or 3) batches of ``_sequences.Sequences`` -> (positions with an answer, outputs).

    masks: training hides items.
    """

    def __init__(self, body: Body, catalogue: Catalogue, masks: bool):
        super().__init__()
        self.hidden = nn.Parameter(torch.empty(catalogue.weight.shape[1]).normal_(0, SD)) if masks else None
        self.body = body
        self.catalogue = catalogue

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        items, answers = batch[..., 0], batch[..., 1]
        vectors = functional.embedding(items.clamp(min=0), self.catalogue.weight)
        if self.hidden is not None:
            vectors = torch.where((items == MASKED_ITEM)[..., None], self.hidden, vectors)
        if self.catalogue.rated is not None:
            vectors = vectors + batch[..., 2].view(torch.float32)[..., None] * self.catalogue.rated
        hidden = self.body(vectors, items != NO_ITEM)
        return self.catalogue(hidden[answers != NO_TARGET])


def bert(options: dict, length: int) -> tuple[Body, list[str], list[str]]:
    """Return a bidirectional body (Sun et al. 2019, with the projection of equation 7), its blocks and its parts."""
    from transformers import BertConfig, BertModel
    from transformers.models.bert.modeling_bert import BertPredictionHeadTransform

    config = BertConfig(
        vocab_size=1, type_vocab_size=1, pad_token_id=0, hidden_size=options["hidden_size"],
        num_hidden_layers=options["layers"], num_attention_heads=options["heads"],
        intermediate_size=4 * options["hidden_size"], max_position_embeddings=length,
        hidden_dropout_prob=options["dropout"], attention_probs_dropout_prob=options["dropout"],
        attn_implementation="eager",
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False)
    # The catalogue has the vectors.
    model.embeddings.word_embeddings = None
    layers = [f"model.encoder.layer.{index}" for index in range(options["layers"])]
    blocks = ["model.embeddings", *layers]
    return Body(model, BertPredictionHeadTransform(config), length), blocks, [*blocks, "project"]


def gpt(options: dict, length: int) -> tuple[Body, list[str], list[str]]:
    """Return a causal body (Kang and McAuley 2018), its blocks and its parts."""
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(
        vocab_size=1, n_positions=length, n_embd=options["hidden_size"], n_layer=options["layers"],
        n_head=options["heads"], resid_pdrop=options["dropout"], embd_pdrop=options["dropout"],
        attn_pdrop=options["dropout"], bos_token_id=0, eos_token_id=0, use_cache=False, attn_implementation="eager",
    )  # fmt: skip
    model = GPT2Model(config)
    model.wte = None
    blocks = ["model.wpe", *(f"model.h.{index}" for index in range(options["layers"]))]
    return Body(model, nn.Identity(), length), blocks, [*blocks, "model.ln_f"]
