"""Make the files of this folder with the Trainer of Hugging Face's transformers: folders of runs with predictions.

    python -m venv venv && venv/bin/pip install transformers==5.24.0 accelerate
    cd studies/data/hf_trainer && ../../../venv/bin/python make.py ../../../docs

Two sizes of a BERT are trained from scratch, with five seeds each, to say which page of this project's documentation a
sentence is from. Sentences of a paragraph are in one split, and a group. It takes some minutes on two CPU cores.
"""

import random
import re
import sys
from pathlib import Path

import numpy as np

PAGES = ("data", "models", "performance", "statistics")
SIZES = {"tiny": {"hidden_size": 32, "num_hidden_layers": 1}, "small": {"hidden_size": 96, "num_hidden_layers": 2}}
SEEDS = range(5)
#: Paragraphs of each page by split, the most sentences of a page to train on, and examples of the test.
VALIDATION, TEST, TRAINED, TESTED = 4, 8, 60, 120
#: Words of a sentence that are read.
LENGTH = 24


def paragraphs(page: Path) -> list[list[str]]:
    """Return the sentences of each paragraph of a page, without code, tables and links."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    blocks = [block.replace("\n", " ") for block in text.split("\n\n") if block and block[0] not in "|# "]
    sentences = [re.split(r"(?<=[.!?])\s+", re.sub(r"[`*_]", "", block)) for block in blocks]
    return [[each for each in block if len(each.split()) >= 6] for block in sentences]


def splits(docs: Path) -> dict[str, list[tuple[str, int, int]]]:
    """Return (sentence, label, number of its paragraph) of each split."""
    rng, rows = random.Random(0), {"train": [], "validation": [], "test": []}
    number = 0
    for label, page in enumerate(PAGES):
        blocks = [block for block in paragraphs(docs / f"{page}.md") if block]
        rng.shuffle(blocks)
        for index, block in enumerate(blocks):
            split = "test" if index < TEST else "validation" if index < TEST + VALIDATION else "train"
            full = split == "train" and sum(row[1] == label for row in rows["train"]) >= TRAINED
            rows[split] += [] if full else [(sentence, label, number) for sentence in block]
            number += 1
    rng.shuffle(rows["test"])
    rows["test"] = rows["test"][:TESTED]
    return rows


class Rows:
    """Sentences as ids of words, for the Trainer."""

    def __init__(self, rows: list[tuple[str, int, int]], vocabulary: dict[str, int]):
        self.rows = [(self._ids(sentence, vocabulary), label) for sentence, label, _ in rows]

    @staticmethod
    def _ids(sentence: str, vocabulary: dict[str, int]) -> list[int]:
        ids = [vocabulary.get(word.strip(".,:;()").lower(), 1) for word in sentence.split()[:LENGTH]]
        return ids + [0] * (LENGTH - len(ids))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        ids, label = self.rows[index]
        return {"input_ids": ids, "attention_mask": [int(each > 0) for each in ids], "labels": label}


def accuracy(outputs) -> dict[str, float]:
    """Return the metrics of predictions."""
    return {"accuracy": float((outputs.predictions.argmax(axis=1) == outputs.label_ids).mean())}


def train(rows: dict[str, list[tuple[str, int, int]]], vocabulary: dict[str, int], size: str, seed: int) -> None:
    """Train a model, evaluate it, and save what the Trainer reports and predicts."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

    torch.set_num_threads(1)
    set_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary) + 2,
        num_attention_heads=2,
        intermediate_size=128,
        num_labels=len(PAGES),
        **SIZES[size],
    )
    folder = f"{size}-seed{seed}"
    arguments = TrainingArguments(
        folder,
        seed=seed,
        num_train_epochs=12,
        per_device_train_batch_size=32,
        learning_rate=1e-3,
        eval_strategy="epoch",
        save_strategy="no",
        logging_strategy="epoch",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    data = {split: Rows(of_split, vocabulary) for split, of_split in rows.items()}
    trainer = Trainer(
        BertForSequenceClassification(config),
        arguments,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        compute_metrics=accuracy,
    )
    trainer.save_metrics("train", trainer.train().metrics)
    trainer.save_metrics("eval", trainer.evaluate())
    predicted = trainer.predict(data["test"], metric_key_prefix="predict")
    trainer.save_metrics("predict", predicted.metrics)
    trainer.save_state()
    groups = np.array([number for _, _, number in rows["test"]])
    arrays = {
        "predictions": predicted.predictions.astype(np.float32),
        "label_ids": predicted.label_ids,
        "group": groups,
    }
    np.savez_compressed(f"{folder}/predictions.npz", **arrays)


def main(docs: Path) -> None:
    """Make everything. docs: folder of the documentation."""
    rows = splits(docs)
    words = sorted({word.strip(".,:;()").lower() for sentence, _, _ in rows["train"] for word in sentence.split()})
    vocabulary = {word: index + 2 for index, word in enumerate(words)}
    for size in SIZES:
        for seed in SEEDS:
            train(rows, vocabulary, size, seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
