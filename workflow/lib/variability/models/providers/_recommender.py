"""A transformer whose tokens are the items of a catalogue."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from variability import seeding
from variability.data.item_sequences import MASKED_ITEM, NO_ITEM, NO_TARGET

#: SD of the drawn vectors of items, as of the words of BERT and GPT-2.
SD = 0.02


class Catalogue(nn.Module):
    """All that belongs to one catalogue: a vector for each item, by which it is both read and scored.

    ranks: whether items are scored, else rated. carried: whether the vectors come with weights, and are never drawn.
    """

    def __init__(self, items: int, hidden: int, ranks: bool, carried: bool):
        super().__init__()
        self._carried = carried
        self.weight = nn.Parameter(torch.empty(items, hidden))
        self.bias = nn.Parameter(torch.empty(items)) if ranks else None
        #: How far a rating moves the vector of the item that it is of, and the way from a position to a rating.
        self.rated = None if ranks else nn.Parameter(torch.empty(hidden))
        self.rating = None if ranks else nn.utils.skip_init(nn.Linear, hidden, 1)

    def forward(self, said: torch.Tensor) -> torch.Tensor:
        """(k, hidden) -> (k, items) scores, or (k, 1) ratings."""
        return functional.linear(said, self.weight, self.bias) if self.rating is None else self.rating(said)

    @torch.no_grad()
    def sample(self, seed: int) -> None:
        """Draws the vectors, and sets what is added to 0."""
        generator = seeding.head(seed).torch_generator()
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif name != "weight" or not self._carried:
                parameter.copy_(torch.empty(parameter.shape).normal_(0, SD, generator=generator))


class Body(nn.Module):
    """(B, width, hidden) vectors, (B, width) which of them there are -> (B, width, hidden).

    model: of transformers. project: what follows it. length: of the longest sequence.
    """

    def __init__(self, model: nn.Module, project: nn.Module, length: int):
        super().__init__()
        self.model, self.project, self._length = model, project, length

    def forward(self, vectors: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        # Counted from the end, so that the width of a batch makes no difference.
        places = torch.arange(self._length - vectors.shape[1], self._length, device=vectors.device)[None]
        said = self.model(inputs_embeds=vectors, attention_mask=there.long(), position_ids=places)
        return self.project(said.last_hidden_state)


class Recommender(nn.Module):
    """int32 (B, width, 2 or 3) batches of ``_sequences.Sequences`` -> (asked, units). masks: whether it hides items."""

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
        said = self.body(vectors, items != NO_ITEM)
        return self.catalogue(said[answers != NO_TARGET])


def bert(options: dict, length: int) -> tuple[Body, list[str], list[str]]:
    """A bidirectional body (Sun et al. 2019, with the projection of its equation 7), its blocks and all its parts."""
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
    # Vectors come from the catalogue.
    model.embeddings.word_embeddings = None
    layers = [f"model.encoder.layer.{at}" for at in range(options["layers"])]
    blocks = ["model.embeddings", *layers]
    return Body(model, BertPredictionHeadTransform(config), length), blocks, [*blocks, "project"]


def gpt(options: dict, length: int) -> tuple[Body, list[str], list[str]]:
    """A causal body (Kang and McAuley 2018), its blocks and all its parts."""
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(
        vocab_size=1, n_positions=length, n_embd=options["hidden_size"], n_layer=options["layers"],
        n_head=options["heads"], resid_pdrop=options["dropout"], embd_pdrop=options["dropout"],
        attn_pdrop=options["dropout"], bos_token_id=0, eos_token_id=0, use_cache=False, attn_implementation="eager",
    )  # fmt: skip
    model = GPT2Model(config)
    model.wte = None
    blocks = ["model.wpe", *(f"model.h.{at}" for at in range(options["layers"]))]
    return Body(model, nn.Identity(), length), blocks, [*blocks, "model.ln_f"]
