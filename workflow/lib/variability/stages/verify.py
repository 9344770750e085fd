"""Stage ``verify``: is a finished study still what was computed, and does computing it again give the same."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from variability import advice, provenance
from variability.advice import agree, plural
from variability.errors import UserError
from variability.io import artefacts, job_records
from variability.io.files import digest, read_json
from variability.results.predictions import read_table
from variability.stages._recomputed import Jobs, differences
from variability.stages._records import CHECKPOINT, DROPPED, RECORD, SETTINGS
from variability.stages._study_files import Recorded, downloaded, recorded, run_records
from variability.stages.finetune import finetune
from variability.stages.predict import predict
from variability.stages.record import CHECKSUM, CRATE, DOWNLOAD
from variability.training.input_files import InputFiles
from variability.training.workplace import Workplace

_log = logging.getLogger(__name__)

NO_JOBS = Jobs()
#: Records of runs with all that training them again requires; those of earlier versions may lack some of it.
_REPEATABLE = artefacts.RUN_RECORD._replace(
    shape=artefacts.RUN_RECORD.shape
    | {"recipe": dict, "versions": dict, "hardware": dict, "reductions": list, "micro_batch": int, "gpus_per_run": int}
    | {SETTINGS: {"model": dict, "task": dict, "method": dict, "threads": int, "trained_from": dict}}
)
#: Columns of predictions that are compared, those that a task has.
_COMPARED = ("example_id", "y_true", "y_pred", "probabilities")


def verify(study: Path, runs: int, seed: int, jobs: Jobs = NO_JOBS) -> None:
    """Compare the files of a study with their checksums, and compute tables and a sample of runs again.

    study: its folder. runs: size of the sample, at most one run of each (model, task, method) before there is a second
    of any. seed: of the sample. jobs: of the study; tables and pages of those that have run are computed again. Trained
    tensors, predictions after training, and values of tables must be equal bit for bit.

    Raises UserError that lists all differences, and those of the environment, which may explain them.
    """
    problems = _damaged(study, jobs)
    if problems:
        raise _problem(study, problems)
    problems = list(differences(study, jobs))
    _log.info("computed again from predictions: tables and pages, %d differ", len(problems))
    for record in _sample(run_records(study), runs, seed, problems):
        label = " / ".join(record[key] for key in ("model", "task", "method")) + f" / seed {record['seed']}"
        try:
            unequal, notes = _train_again(study, record)
        except UserError as error:
            problems.append(f"{label}: {error}")
            continue
        for note in notes:
            _log.info("%s: %s", label, note)
        _log.info("%s: trained again, %s", label, "; ".join(unequal) or "equal bit for bit")
        if unequal:
            explained = notes or ["versions, CPU and code are those of the time"]
            problems.append(f"{label}: {'; '.join([*unequal, *explained])}")
    if problems:
        raise _problem(study, problems)
    _log.info("nothing differs: %s is what was computed", study)


def _problem(study: Path, problems: Sequence[str]) -> UserError:
    listed = "\n".join(f"  - {problem}" for problem in problems)
    return UserError(f"{study} is not what was computed ({len(problems)} differ):\n{listed}")


def _damaged(study: Path, jobs: Jobs) -> list[str]:
    """Return a sentence for each file that is not what its checksum, or the record of a job that read it, says."""
    problems: list[str] = []
    files = [*recorded(study, problems), *_in_crate(study, problems)]
    with ThreadPoolExecutor() as pool:
        problems += [problem for problem in pool.map(_compare, files) if problem]
    made = []
    for spec in jobs.specs:
        try:
            made.append(job_records.made(spec))
        except UserError as error:
            problems.append(str(error))
    # After a change of the config, jobs may have other inputs. A damaged file is not the one that jobs read, either.
    current = [job for job in made if job is not None and job.current]
    problems = problems or list(job_records.replaced_inputs(current, study))
    # The crate and a record may list the same file.
    problems = list(dict.fromkeys(problems))
    _log.info("compared with their checksums: %d files, %d differ", len(files), len(problems))
    return problems


def _in_crate(study: Path, problems: list[str]) -> Iterator[Recorded]:
    try:
        checksum = artefacts.read_record(study / CHECKSUM, artefacts.Kind("record", {"sha256": str}))["sha256"]
        crate = read_json(artefacts.require(study / CRATE, checksum, "record"))
    except UserError as error:
        problems.append(str(error))
        return
    for entity in crate["@graph"]:
        if entity.get("@type") == "File" and "sha256" in entity:
            path = study / entity["@id"]
            yield Recorded(path, entity["sha256"], _rule_of(path.relative_to(study)))
        elif entity.get("@id", "").startswith(DOWNLOAD):
            yield from downloaded(study.absolute().parents[1] / entity["description"], problems)


def _rule_of(path: Path) -> str:
    """Return the rule that makes a file; path: in the folder of a study."""
    if path.parts[0] != "report":
        return path.parts[0]
    return "page" if path.name == "index.html" else "summarise"


def _compare(file: Recorded) -> str | None:
    try:
        artefacts.require(*file)
    except UserError as error:
        return str(error)
    return None


def _sample(paths: Sequence[Path], count: int, seed: int, problems: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the records of a sample of runs, a run of each cell before a second of any.

    A record that does not say how its run was trained is added to ``problems``. The order of the runs is that of a
    hash: any sample would do, as long as it is always the same.
    """
    order = sorted(paths, key=lambda path: digest([seed, *path.parts[-5:]]))
    rounds: dict[Path, int] = {}
    keyed = []
    for path in order:
        cell = path.parents[1]
        rounds[cell] = rounds.get(cell, 0) + 1
        keyed.append((rounds[cell], path))
    chosen = [path for _, path in sorted(keyed, key=lambda pair: pair[0])][:count]
    for path in chosen:
        try:
            yield artefacts.read_record(path, _REPEATABLE)
        except UserError as error:
            problems.append(str(error))


def _train_again(study: Path, record: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Train a run again in a temporary folder; return differences of the result, and of the environment."""
    settings, seed = record[SETTINGS], record["seed"]
    cell = [record[key] for key in ("model", "task", "method")]
    base = study.resolve().parents[1]
    input_files = InputFiles(**{name: base / path for name, path in settings["trained_from"].items()})
    entries = {key: settings[key] for key in ("model", "task", "method")}
    plugins = provenance.plugins_of_cell(*entries.values())
    workplace = Workplace(settings["model"], settings["threads"], gpus_per_run=record["gpus_per_run"])
    with tempfile.TemporaryDirectory() as temporary, workplace:
        folder = Path(temporary)
        spec = {**entries, "recipe": record["recipe"], "seeds": [seed]}
        manifest = folder / "finetune" / "block-0.json"
        finetune(spec, input_files, provenance.code_digest("finetune", *plugins), manifest, workplace)
        again = artefacts.read_record(manifest.parent / str(seed) / RECORD, artefacts.RUN_RECORD)
        predict(spec, input_files, manifest, "", folder / "predict", None, workplace)
        differences = []
        stored = study / "finetune" / Path(*cell) / str(seed)
        if not record.get(DROPPED):
            differences += _tensor_differences(stored / CHECKPOINT, manifest.parent / str(seed) / CHECKPOINT)
        predictions = study / "predict" / Path(*cell) / f"{seed}.parquet"
        differences += _prediction_differences(predictions, folder / "predict" / f"{seed}.parquet")
    return differences, _environment_differences(record, again)


def _tensor_differences(stored: Path, again: Path) -> list[str]:
    old, new = _tensors(stored), _tensors(again)
    unequal = [name for name in old if name not in new or old[name].tobytes() != new[name].tobytes()]
    if set(old) != set(new):
        return ["other tensors were trained"]
    return (
        [f"{len(unequal)} of {plural(len(old), 'trained tensor')} {agree(len(unequal), 'differs', 'differ')}"]
        if unequal
        else []
    )


def _tensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(advice.unreadable(path, error, "finetune")) from error


def _prediction_differences(stored: Path, again: Path) -> list[str]:
    old, new = (_after(read_table(path)) for path in (stored, again))
    if len(old) != len(new):
        return [
            f"{plural(len(old), 'prediction is', 'predictions are')} stored, {len(new)} "
            f"{agree(len(new), 'was', 'were')} made again"
        ]
    unequal = [name for name in old.column_names if not old[name].equals(new[name])]
    if not unequal:
        return []
    changed = len(old) - pc.sum(pc.equal(old["y_pred"], new["y_pred"])).as_py()
    return [f"predictions differ in {', '.join(unequal)} ({changed} of {len(old)} in what is predicted)"]


def _after(table: pa.Table) -> pa.Table:
    table = table.filter(pc.equal(table["phase"].cast(pa.string()), "after"))
    return table.select([name for name in _COMPARED if name in table.column_names]).combine_chunks()


def _environment_differences(record: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    old, new = (run["versions"] | _named_hardware(run["hardware"]) for run in (record, again))
    notes = [f"{name} was {old[name]}, is {new.get(name)}" for name in old if old[name] != new.get(name)]
    if record["reductions"] != again["reductions"]:
        sizes = f"micro-batches had {plural(record['micro_batch'], 'example')} and have {again['micro_batch']}"
        notes.append(f"memory ran out at other steps, so that {sizes} at the end")
    elif record["fingerprint"] != again["fingerprint"]:
        notes.append(f"code or inputs changed since; {advice.rerun('finetune')}")
    return notes


def _named_hardware(hardware: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hardware on which the bits of a run depend. Records of earlier versions have no instructions."""
    names = {"CPU": "cpu", "device": "device_name", "instructions": "instructions"}
    return {name: hardware[key] for name, key in names.items() if key in hardware}
