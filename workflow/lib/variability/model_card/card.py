"""A model card: Markdown with the metadata that model hubs read (model-index), and escaped names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from variability.advice import listed, plural, separable
from variability.model_card.run_facts import RunFacts
from variability.reporting import text_format
from variability.reporting.claims import evidence
from variability.reporting.display_names import candidate, markdown
from variability.reporting.text_format import number

#: Names of tasks that hubs know, by modality and kind.
_TASK_TYPES = {
    ("image", "classification"): "image-classification",
    ("text", "classification"): "text-classification",
    ("image", "regression"): "image-regression",
    ("text", "regression"): "text-regression",
}
#: Libraries that hubs know; all other networks are PyTorch's.
_LIBRARIES = {"transformers": "transformers", "clip": "transformers", "timm": "timm", "keras": "keras"}
#: Parts of the network that the methods of this project train.
_TRAINED = {
    "linear_probe": "only the head trained",
    "partial": "the last blocks and the head trained",
    "full": "all weights trained",
    "lora": "low-rank adapters and the head trained",
    "bitfit": "the biases and the head trained",
}
#: Examples of predictions, by modality.
_EXAMPLES = {"image": '"a.png"', "text": '"a text"', "interactions": '["an item", "the next item"]'}
#: Largest number of classes whose names are listed.
CLASSES = 20
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def render(facts: RunFacts) -> str:
    """Return the text of the card."""
    header = yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True, width=1000)
    sections = [f"---\n{header}---", _title(facts), _variability(facts), _results(facts), _data(facts), _recipe(facts)]
    return "\n\n".join([*sections, _use(facts), _limits(facts)]) + "\n"


def metadata(facts: RunFacts) -> dict[str, Any]:
    """Return the metadata of the card: ``model-index`` with the values of this run, and what identifies the model."""
    record, model = facts.record, _model(facts)
    kind = str(_TASK_TYPES.get((facts.task["modality"], facts.task["kind"]), facts.task["kind"]))
    after = facts.values[(facts.values["phase"] == "after") & facts.values["value"].notna()]
    metrics = [
        {"type": str(row["metric"]), "name": str(row["label"]), "value": float(row["value"])}
        for _, row in after.sort_values("primary", ascending=False, kind="stable").iterrows()
    ]
    dataset = {"name": record["task"], "type": str(facts.data.get("dataset", record["task"])), "split": "test"}
    result = {"task": {"type": kind, "name": record["task"]}, "dataset": dataset, "metrics": metrics}
    provider = model.get("provider")
    content: dict[str, Any] = {"library_name": _LIBRARIES.get(str(provider), "pytorch")}
    if kind in _TASK_TYPES.values() and kind.endswith("classification"):
        content["pipeline_tag"] = kind
    if (
        _LIBRARIES.get(str(provider)) == "transformers"
        and _HUB_ID.fullmatch(str(model["architecture"]))
        and model["weights"] != "none"
    ):
        content["base_model"] = model["architecture"]
    content |= {"tags": ["finetune-variability", _method(facts)["kind"]], "metrics": [str(facts.primary["metric"])]}
    return content | {"model-index": [{"name": _name(record), "results": [result]}]}


def _name(record: Mapping[str, Any]) -> str:
    return f"{candidate(record['model'], record['method'])} on {record['task']}, seed {record['seed']}"


def _title(facts: RunFacts) -> str:
    record, n = facts.record, int(facts.spread["n"])
    network = markdown(str(_model(facts).get("architecture", record["model"])))
    kind = _method(facts)["kind"]
    trained = f" ({_TRAINED[kind]})" if kind in _TRAINED else ""
    return (
        f"# {markdown(_name(record))}\n\n"
        f"{network}, trained on {markdown(record['task'])} by the method {markdown(kind)}{trained} from "
        f"{_start(facts)}. It is one of {plural(n, 'completed run')} that differ in nothing but the seed: "
        "a result of this model is one sample of the distribution below."
    )


def _start(facts: RunFacts) -> str:
    """Return the weights that the training started from, in words."""
    weights = str(_model(facts).get("weights", "unknown"))
    origin, _, name = weights.partition(":")
    if origin == "pretrain" and name:
        return f"weights that the study pretrained ({markdown(name)})"
    words = {"none": "random weights", "pretrained": "its published weights"}
    return words.get(weights, f"the weights {markdown(weights)}")


def _variability(facts: RunFacts) -> str:
    spread, mean, best, primary = facts.spread, facts.mean, facts.best, facts.primary
    n = int(spread["n"])
    digits = text_format.decimals(spread["sd"])
    show = {key: number(spread[key], digits=digits) for key in ("mean", "sd", "min", "max")}
    rows = [
        ("this run", number(primary["value"], digits=digits)),
        ("its position among the seeds", f"{facts.rank} of {n}, 1 is the best{_ties(facts)}"),
        (f"mean of {plural(n, 'seed')}", show["mean"]),
    ]
    if n > 1:
        rows += [
            (_named("interval of the mean", mean), text_format.interval(mean["low"], mean["high"], digits=digits)),
            ("SD between seeds", show["sd"]),
            (_named("where one more run is to be expected", facts.next_run),
             text_format.interval(facts.next_run["low"], facts.next_run["high"], digits=digits)),
            ("smallest and largest value", f"{show['min']} to {show['max']}"),
        ]  # fmt: skip
    if best is not None and n > 1:
        label = f"what reporting the best of {n} would add to the mean"
        rows.append((label, number(best["optimism"], digits=digits)))
    rows.append(("runs that failed or diverged", str(int(spread["n_failed"]))))
    direction = "higher" if primary["higher_is_better"] else "lower"
    head = [f"{markdown(str(primary['label']))} on the test split ({direction} is better)", "value"]
    return (
        "## How much the seed matters\n\n"
        + text_format.aligned(head, rows)
        + f"\n\nScope: {markdown(str(spread['scope']))}."
    )


def _ties(facts: RunFacts) -> str:
    return f"; equal to {plural(facts.tied, 'other run')}" if facts.tied else ""


def _named(text: str, row: Any) -> str:
    return f"{text} ({text_format.percent(row['level'])} {row['interval']})"


def _results(facts: RunFacts) -> str:
    values = facts.values.pivot_table(index=["metric", "label"], columns="phase", values="value", sort=False)
    rows = [
        [markdown(str(label)), *(number(row[phase]) if phase in row else "" for phase in ("before", "after"))]
        for (_, label), row in values.iterrows()
    ]
    table = text_format.aligned(["metric", "before fine-tuning", "after"], rows)
    lines = [f"## Results of this run\n\n{table}"]
    if len(facts.sentences):
        told = "\n".join(
            f"- {markdown(row['sentence'])} ({markdown(evidence(row))})" for _, row in facts.sentences.iterrows()
        )
        lines.append(f"What the study supports about this model with this method:\n\n{told}")
    return "\n\n".join(lines)


def _data(facts: RunFacts) -> str:
    record, task, data = facts.record, facts.task, facts.data
    counts = f"{record['n_train']} for training, {record['n_validation']} for validation"
    counts += f", {task['counts']['test']} for testing"
    lines = [f"- Examples: {counts} ({markdown(task['modality'])}, {markdown(task['kind'])})"]
    if data:
        options = f" with {_code(data['options'])}" if data["options"] else ""
        lines.insert(0, f"- Data set: {markdown(data['dataset'])}{options}")
        lines.append(f"- Split: {_code(data['split'])}")
    if task["class_names"]:
        names = task["class_names"]
        shown = listed(map(markdown, separable(names)), CLASSES)
        lines.append(f"- {plural(len(names), 'class', 'classes')}: {shown}")
    lines += [f"- {markdown(remark)}" for remark in task.get("remarks", [])]
    return "## Data\n\n" + "\n".join(lines)


def _recipe(facts: RunFacts) -> str:
    record = facts.record
    rows = [(name, _code(value)) for name, value in sorted(record.get("recipe", {}).items())]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items()))
    hardware = record["hardware"]
    lines = [
        f"- Device: {markdown(hardware.get('device_name') or hardware['device'])}",
        f"- Software: {markdown(versions)}",
        f"- Training took {number(record['seconds'])} seconds, {plural(record['epochs'], 'epoch')}. "
        f"The weights are those of epoch {record['best_epoch']}.",
        f"- Preprocessing: {_code(record['preprocess'])}",
        f"- Random streams: {_code(record['streams'])}",
    ]
    return "## Recipe and environment\n\n" + text_format.aligned(["option", "value"], rows) + "\n\n" + "\n".join(lines)


def _use(facts: RunFacts) -> str:
    path = "/".join(facts.folder.parts[-7:])
    example = _EXAMPLES.get(facts.task["modality"], "...")
    if facts.task["facts"].get("pairs"):
        example = f"({example}, {example})"
    return (
        "## Use\n\nWith the library of finetune-variability, in the checkout that trained it:\n\n```python\n"
        f"import variability\n\nvariability.load_run({json.dumps(path)}).predict([{example}])\n```"
    )


def _limits(facts: RunFacts) -> str:
    n = int(facts.spread["n"])
    lines = [
        "- The numbers hold for this recipe, these test examples and what the scope above names; other data and other "
        "software may change them.",
        "- Values of a single seed are not a property of the architecture. Compare the mean and the SD with those of "
        "others, and say how many seeds there were.",
    ]
    if facts.rank == 1 and facts.tied + 1 < n:
        lines.append(
            f"- This run is the best of {n}. If it was chosen for that, its value overstates what training again gives."
        )
    if n == 1:
        lines.append("- There is one run: how far the seed moves this result is not known.")
    return "## Limits\n\n" + "\n".join(lines)


def _model(facts: RunFacts) -> Mapping[str, Any]:
    return facts.record.get("settings", {}).get("model", {})


def _method(facts: RunFacts) -> Mapping[str, Any]:
    return facts.record.get("settings", {}).get("method", {"kind": facts.record["method"]})


def _code(value: Any) -> str:
    """Return a plain value as code in a line of Markdown, in a table too."""
    text = json.dumps(value, ensure_ascii=False).replace("|", "\\u007c").replace("`", "\\u0060")
    return f"`{text}`"
