"""Check of a config before the first job: the schema, then everything that a schema cannot express."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability import advice, registry
from variability.advice import agree
from variability.config import (
    command_line,
    entry_checks,
    figure_settings,
    import_checks,
    key_advice,
    margin_checks,
    name_checks,
    nearby_files,
    option_checks,
    plain_values,
    plugin_folders,
    run_checks,
    scale_checks,
    schema_messages,
    trials,
    yaml_files,
)
from variability.config.outputs import Outputs
from variability.config.schema import config_schema
from variability.config.study import Study, complete_task
from variability.errors import ConfigError, Problem, UserError
from variability.results import pairing
from variability.results.metrics import scalars
from variability.results.run_selection import as_list, matches_name

#: Sections of the config whose entries are the axes of the grid.
AXES = ("models", "tasks", "methods")


def check(
    config: Any, mirrors: Sequence[Path] = (), files: Sequence[Path] = (), options: Mapping[str, Any] | None = None
) -> Study:
    """Return the study that a config describes. Quick, offline and without importing torch.

    files: those that the config was read from. options: those of ``--config``, which are part of the config. Raises
    ConfigError with all problems, and with the lines of their keys. Entries that the schema refuses are left out of the
    other checks.
    """
    try:
        return _checked(config, mirrors, files, options or {})
    except ConfigError as error:
        problems = error.problems
    except UserError as error:
        problems = [_problem_of_value(config, str(error), str(error))]
    except OSError as error:
        name = str(error.filename or "")
        message = f"{advice.shortened(name)} cannot be used: {error.strerror or error}"
        problems = [_problem_of_value(config, name, message)]
    stated = command_line.keys(options or {})
    later = yaml_files.lines(files[1:]) | dict.fromkeys(stated, "from --config")
    problems = nearby_files.with_advice(config, _of_causes(config, problems, later), files)
    # A list of an option replaces that of a file, with all its entries.
    of_files = {
        key: line for key, line in yaml_files.lines(files).items() if not key.startswith(tuple(f"{k}." for k in stated))
    }
    raise ConfigError(_located(problems, of_files | later))


def _of_causes(config: Any, problems: list[Problem], later: Mapping[str, str]) -> list[Problem]:
    """Return the problems without those of the first file that follow from unknown sections of the others.

    A config whose section of models or imports has a misspelt name is merged into the embedded study, and contradicts
    entries that its author never wrote. later: lines of all files but the first, by key.
    """
    unknown = set(config) - set(config_schema()["properties"]) if isinstance(config, Mapping) else set()
    if unknown.isdisjoint(later):
        return problems
    sections = {key.partition(".")[0] for key in later}
    return [problem for problem in problems if not problem.key or problem.key.partition(".")[0] in sections]


def _problem_of_value(config: Any, text: str, message: str) -> Problem:
    """Return the problem of the value that a text contains: a file, for example, whose name the system refuses."""
    values = [(value, key) for key, value in plain_values.texts(plain_values.plain(config)[0]) if value in text]
    return Problem(max(values, key=lambda pair: len(pair[0]), default=("", ""))[1], message)


def _located(problems: Iterable[Problem], lines: Mapping[str, str]) -> Iterator[Problem]:
    """Yield problems with the file and the line of their keys, or of the nearest key above."""
    # jsonschema reports a mapping once for each key that it lacks.
    for problem in dict.fromkeys(problems):
        parts = problem.key.split(".")
        keys = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        line = next((lines[key] for key in keys if key and key in lines), None)
        known = line is None or ", line " in problem.message.partition(":")[0]
        yield problem if known else Problem(problem.key, f"{problem.message} ({line})")


def _checked(config: Any, mirrors: Sequence[Path], files: Sequence[Path], options: Mapping[str, Any]) -> Study:
    # Before anything else: names that were changed when they were read would be reported as other mistakes.
    if problems := list(yaml_files.check(files)):
        raise ConfigError(problems)
    # Then whatever is not a plain value, on which all other checks rely.
    config, problems = plain_values.plain(config)
    if problems:
        raise ConfigError(problems)
    # First, because they decide which names are known, also to the schema.
    if problems := plugin_folders.use(plugin_folders.of_config(config)):
        raise ConfigError(problems)
    schema = config_schema()
    config = command_line.typed(config, options, schema)
    problems = list(schema_messages.problems(config, schema))
    sound = schema_messages.without_errors(config, schema) if problems else config
    study = Study(sound)
    if not problems or not any(schema_messages.problems(sound, schema)):
        refused = _refused(config, sound)
        sound, of_options = option_checks.without_refused_options(sound)
        # Options that are missing are among the problems of the entries, too.
        of_entries = _cross_check(Study(sound), mirrors, refused)
        problems = list(dict.fromkeys([*problems, *of_options, *of_entries]))
    # The last, because trials take seconds, and need a config that is correct otherwise.
    if problems := problems or list(trials.check(study)):
        raise ConfigError(problems)
    return study


def _refused(config: Mapping[str, Any], sound: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the names of the entries that the schema refuses, in part or entirely, by section.

    What refers to them is not a mistake of its own, nor is what a study without them would lack.
    """
    refused = {}
    for section in (*AXES, "pretraining", "imports"):
        entries = config.get(section)
        if isinstance(entries, Mapping):
            remaining = sound.get(section, {})
            refused[section] = {
                name for name, entry in entries.items() if name not in remaining or remaining[name] != entry
            }
    # Entries of a section whose name is misspelt.
    for key in config.keys() - sound.keys():
        section = key_advice.meant(key, config, config_schema())
        if section in (*AXES, "pretraining", "imports") and isinstance(config[key], Mapping):
            refused.setdefault(section, set()).update(config[key])
    seeds = {} if config.get("seeds") == sound.get("seeds") and "seed" not in config else {"seeds": set()}
    return {section: names for section, names in refused.items() if names} | seeds


def _cross_check(study: Study, mirrors: Sequence[Path], refused: Mapping[str, set[str]]) -> Iterator[Problem]:
    """Yield what the schema cannot find. refused: names of entries with problems, by section."""
    problems = list(_check_entries(study, mirrors, refused))
    yield from problems
    # References to entries that have problems already are not reported, too: often their names are the mistake.
    suspects = {section: set(names) for section, names in refused.items()}
    for section, name in (problem.key.split(".")[:2] for problem in problems if "." in problem.key):
        suspects.setdefault(section, set()).add(name)
    if any(problem.key == "seeds" for problem in problems):
        suspects["seeds"] = set()
    selections = [*_check_overrides(study.config, suspects), *_check_imports_and_grid(study, mirrors, suspects)]
    yield from merged(selections)
    if not refused:
        yield from run_checks.check(study)


def _check_entries(study: Study, mirrors: Sequence[Path], refused: Mapping[str, set[str]]) -> Iterator[Problem]:
    config = study.config
    yield from _check_seeds(config.get("seeds", []))
    yield from name_checks.check_folders(config)
    models, tasks, methods, pretraining = (
        {name: entry for name, entry in config.get(section, {}).items() if name not in refused.get(section, ())}
        for section in (*AXES, "pretraining")
    )
    of_models = [
        problem
        for name in models
        for problem in entry_checks.check_model(study, name, mirrors, refused.get("pretraining", ()))
    ]
    yield from merged(of_models)
    for name, task in tasks.items():
        yield from entry_checks.check_task(f"tasks.{name}", task, mirrors)
    for name in methods:
        yield from entry_checks.check_method(study, name)
    for name, entry in pretraining.items():
        yield from entry_checks.check_task(f"pretraining.{name}.task", entry["task"], mirrors)
        if name in config.get("tasks", {}):
            yield Problem(f"pretraining.{name}", "a task has the same name; rename one of them")
    yield from _check_metrics(config, complete="tasks" not in refused)
    outputs = Outputs(study)
    for family in ("analyses", "plots", "claims"):
        yield from entry_checks.check_plugins(outputs, family, complete=not refused)


def merged(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield problems, of which those with the same message are one, with all their keys."""
    keys: dict[str, list[str]] = {}
    for problem in problems:
        keys.setdefault(problem.message, []).append(problem.key)
    for message, of_message in keys.items():
        yield Problem(advice.listed(of_message, 4), message)


def _check_seeds(seeds: list[int]) -> Iterator[Problem]:
    for seed, count in sorted(Counter(seeds).items()):
        if count > 1:
            message = f"seed {seed} is listed {entry_checks.times(count)}; a repeated seed does not add a run"
            yield Problem("seeds", message)


def _check_metrics(config: Mapping[str, Any], complete: bool) -> Iterator[Problem]:
    """Yield unknown metrics, and those that no task has. complete: whether all tasks are known."""
    kinds = {complete_task(task)["kind"] for task in config.get("tasks", {}).values()}
    for name in config.get("metrics", []):
        if name not in registry.names("metrics"):
            yield Problem(f"metrics.{name}", registry.unknown("metrics", name))
        elif (kind := registry.find("metrics", name).KIND) not in kinds and complete:
            yield Problem(f"metrics.{name}", f"is a metric of {kind}, and the study has no such task; remove it")


def _check_overrides(config: Mapping[str, Any], suspects: Mapping[str, set[str]]) -> Iterator[Problem]:
    names = [list(config.get(axis, {})) for axis in AXES]
    for index, entry in enumerate(config.get("overrides", [])):
        yield from _check_selection(f"overrides.{index}", entry, names, [], suspects)


def _check_imports_and_grid(
    study: Study, mirrors: Sequence[Path], suspects: Mapping[str, set[str]]
) -> Iterator[Problem]:
    config = study.config
    entries = config.get("imports", {})
    tasks = {name: {"metric": complete_task(task)["metric"]} for name, task in config.get("tasks", {}).items()}
    problems, contents = import_checks.check(entries, mirrors, tasks, config.get("grid", {}))
    for name, of_import in problems.items():
        # Without the keys that the schema refuses, the rows of a file would have other problems.
        doubtful = name in suspects.get("imports", ())
        yield from entry_checks.below(
            f"imports.{name}", [each for each in of_import if not doubtful or "." in each.key]
        )
    # If a file was not read, the runs that the grid may select are not known.
    every = contents.keys() == entries.keys() and "imports" not in suspects
    yield from figure_settings.check(config) if "figures" not in suspects else ()
    yield from scale_checks.check(config, contents if every else None)
    yield from scale_checks.check_groups(config, contents if every else None)
    yield from margin_checks.check(config, contents if every else None)
    if every:
        yield from name_checks.check_imports(config, contents) if entries else ()
        yield from margin_checks.check_claims(config, study.seeds, contents)
        yield from _check_grid(study, contents, suspects)


def _check_grid(
    study: Study, imports: Mapping[str, import_checks.Contents], suspects: Mapping[str, set[str]]
) -> Iterator[Problem]:
    """Selections that match neither a trained nor an imported run, and runs with two sources."""
    config = study.config
    grid, runs = config.get("grid", {}), {run for contents in imports.values() for run in contents.runs}
    names = [sorted({*config.get(axis, {}), *(str(run[index]) for run in runs)}) for index, axis in enumerate(AXES)]
    seeds = sorted({*config.get("seeds", []), *(run[3] for run in runs)})
    selections = {f"grid.{key}.{index}": entry for key in grid for index, entry in enumerate(grid[key])}
    problems = [
        problem for key, entry in selections.items() for problem in _check_selection(key, entry, names, seeds, suspects)
    ]
    yield from problems
    trained = {(*cell, seed) for cell, of_cell in study.seeds.items() for seed in of_cell}
    if not problems and not suspects and not trained and not any(contents.values for contents in imports.values()):
        yield Problem("grid", "include and exclude leave no run")
    yield from _check_sources(trained, imports)
    yield from _check_pairing(study, trained, imports)


def _check_sources(
    trained: set[tuple[str, str, str, int]], imports: Mapping[str, import_checks.Contents]
) -> Iterator[Problem]:
    """Values of a run that come from two files, or from a file of a run that is also trained."""
    source_of: dict[tuple, str] = {}
    for name, contents in imports.items():
        second = {value[:4]: f"also comes from {source_of[value]!r}" for value in contents.values if value in source_of}
        second |= {
            value[:4]: "is also trained by this study"
            for value in contents.values
            if value[:4] in trained and value[6] in scalars()
        }
        source_of |= dict.fromkeys(contents.values, name)
        if second:
            run = min(second)
            example = f"{'/'.join(map(str, run))} {second[run]}"
            message = f"{len(second)} of its runs have two sources: {example}; give one of them another method or model"
            yield Problem(f"imports.{name}", f"{message} name")


def _check_pairing(
    study: Study, trained: set[tuple[str, str, str, int]], imports: Mapping[str, import_checks.Contents]
) -> Iterator[Problem]:
    """Runs that cannot be paired although the config says so."""
    if study.pairing != pairing.BY_SEED:
        return
    if study.config.get("pairing") == pairing.AUTO:
        yield Problem("analyses.pairwise.paired", "true contradicts `pairing: auto`; set `pairing: seed` alone")
    runs = trained.union(*({value[:4] for value in contents.values} for contents in imports.values()))
    labelled = [name for name, contents in imports.items() if contents.labelled_seeds]
    if message := pairing.problem_of_labels(labelled, len(imports) + bool(trained)) or pairing.problem(sorted(runs)):
        yield Problem("pairing", message)


def _check_selection(
    key: str,
    selection: Mapping[str, Any],
    names: Sequence[list[str]],
    seeds: Sequence[int],
    suspects: Mapping[str, set[str]],
) -> Iterator[Problem]:
    """Yield the parts of a selection that match nothing.

    names: known models, tasks and methods. suspects: names of entries that have problems, by section; a selection that
    matches such an entry, or nearly, has no problem of its own.
    """
    for part, axis, known in zip(("model", "task", "method"), AXES, names, strict=True):
        doubtful = sorted(suspects.get(axis, ()))
        for pattern in as_list(selection.get(part, [])):
            if any(matches_name(name, pattern) for name in (*known, *doubtful)) or advice.similar(pattern, doubtful):
                continue
            yield Problem(f"{key}.{part}", f"{pattern!r} matches nothing; {advice.suggest(pattern, known)}")
    known_seeds = set(seeds)
    unknown = [seed for seed in as_list(selection.get("seed", [])) if seed not in known_seeds]
    if unknown and "seeds" not in suspects:
        are = f"{advice.listed(unknown)} {agree(len(unknown), 'is', 'are')}"
        yield Problem(f"{key}.seed", f"{are} not among the seeds [{advice.listed(seeds)}]")
