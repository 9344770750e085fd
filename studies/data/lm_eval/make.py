"""Make the files of this folder with lm-evaluation-harness: sample logs of tiny language models, trained here.

    python -m venv venv && venv/bin/pip install "lm-eval[hf]==0.4.13" datasets accelerate
    cd studies/data/lm_eval && ../../../venv/bin/python make.py ../../../docs

Two architectures are trained from scratch on pages of this project's documentation, with four seeds each. One task asks
for the end of sentences of other pages, from four choices; the other one for the last word of sentences of the training
pages. It takes some minutes on two CPU cores. The models, the tokenizer and the tasks' data are written to a folder
``work`` and are not part of the repository; neither is the description of the machine in the results.
"""

import gzip
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

ARCHITECTURES = {"narrow": {"n_embd": 32, "n_layer": 1}, "wide": {"n_embd": 96, "n_layer": 2}}
SEEDS = range(4)
HELD_OUT = ("clusters", "frameworks", "models", "recommenders", "reliability", "running", "text", "vision")
EXAMPLES = {"docs_choice": 48, "docs_recall": 32}
WORK = Path("work")


def sentences(page: Path) -> list[str]:
    """Return the sentences of a page in ASCII, without code, tables and links."""
    text = re.sub(r"```.*?```", " ", page.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    lines = [line for line in text.splitlines() if line and line[0] not in "|#-*" and not line.startswith("    ")]
    found = re.split(r"(?<=[.!?])\s+", re.sub(r"[`*_]", "", " ".join(lines)))
    return [sentence for sentence in found if sentence.isascii() and 6 <= len(sentence.split()) <= 14]


def shuffled(pages: dict[str, list[str]], rng: random.Random) -> list[tuple[str, str]]:
    """Return the sentences of pages, each with its page, in random order."""
    every = [(page, sentence) for page, of_page in pages.items() for sentence in of_page]
    rng.shuffle(every)
    return every


def write_tasks(held_out: dict[str, list[str]], trained: dict[str, list[str]]) -> None:
    """Write a task of four choices and one of the last word, and their descriptions."""
    rng = random.Random(0)
    every = shuffled(held_out, rng)
    endings = [" ".join(sentence.split()[-3:]) for _, sentence in every]
    choice, recall = [], []
    for (page, sentence), ending in zip(every[: EXAMPLES["docs_choice"]], endings, strict=False):
        start = " ".join(sentence.split()[:-3])
        options = [ending, *rng.sample([other for other in endings if other != ending], 3)]
        rng.shuffle(options)
        choice.append({"page": page, "start": start, "options": options, "gold": options.index(ending)})
    for page, sentence in shuffled(trained, rng)[: EXAMPLES["docs_recall"]]:
        *start, word = sentence.split()
        recall.append({"page": page, "start": " ".join(start), "word": f" {word}"})
    for name, rows in {"docs_choice": choice, "docs_recall": recall}.items():
        (WORK / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = "dataset_path: json\ndataset_kwargs: {data_files: {test: work/%s.jsonl}}\ntest_split: test\n"
    mean = "  - {metric: %s, aggregation: mean, higher_is_better: true}\n"
    (WORK / "docs_choice.yaml").write_text(
        "task: docs_choice\n" + data % "docs_choice" + "output_type: multiple_choice\ndoc_to_text: '{{start}}'\n"
        "doc_to_choice: '{{options}}'\ndoc_to_target: gold\nmetric_list:\n" + mean % "acc" + mean % "acc_norm"
    )
    (WORK / "docs_recall.yaml").write_text(
        "task: docs_recall\n" + data % "docs_recall" + "output_type: loglikelihood\ndoc_to_text: '{{start}}'\n"
        "doc_to_target: '{{word}}'\nmetric_list:\n"
        + mean
        % "acc"
        + "  - {metric: perplexity, aggregation: perplexity, "
        "higher_is_better: false}\n"
    )


def tokenizer_of(texts: list[str]):
    """Return a byte-level BPE tokenizer of a thousand tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=["<end>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")


def train(texts: list[str], tokenizer, architecture: str, seed: int) -> None:
    """Train a model from scratch and save it."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    shape = ARCHITECTURES[architecture]
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=128, n_head=2, bos_token_id=end, eos_token_id=end, **shape
    )
    model = GPT2LMHeadModel(config)
    ids = torch.tensor(tokenizer("<end>".join(texts))["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(400):
        starts = torch.randint(len(ids) - 64, (16,))
        batch = torch.stack([ids[start : start + 64] for start in starts])
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = WORK / f"{architecture}-seed{seed}"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(docs: Path) -> None:
    """Make everything. docs: folder of the documentation."""
    WORK.mkdir(exist_ok=True)
    pages = {page.stem: sentences(page) for page in sorted(docs.glob("*.md"))}
    trained = {page: of_page for page, of_page in pages.items() if page not in HELD_OUT}
    write_tasks({page: pages[page] for page in HELD_OUT}, trained)
    texts = [sentence for of_page in trained.values() for sentence in of_page]
    tokenizer = tokenizer_of(texts)
    # Without the network, and with few threads.
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": "work/cache", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    for architecture in ARCHITECTURES:
        for seed in SEEDS:
            train(texts, tokenizer, architecture, seed)
            model = f"pretrained=work/{architecture}-seed{seed},dtype=float32"
            command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", model, "--device", "cpu"]
            command += ["--tasks", ",".join(EXAMPLES), "--include_path", "work", "--batch_size", "8"]
            command += ["--output_path", ".", "--log_samples"]
            subprocess.run(command, check=True, env=os.environ | environment)
    for path in Path().glob("work__*/results_*.json"):
        results = json.loads(path.read_text(encoding="utf-8"))
        results.pop("pretty_env_info", None)
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    for path in Path().glob("work__*/samples_*.jsonl"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
