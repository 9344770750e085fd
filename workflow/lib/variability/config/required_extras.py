"""Optional parts of the environment that studies need.

python -m variability.config.required_extras study.yaml ...     prints their names, one per line
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from variability import registry
from variability.config import plugin_folders
from variability.config.sections import Model
from variability.errors import UserError
from variability.io.mirrors import missing_file
from variability.results import readers


def extras_of(config: Any) -> Iterator[str]:
    """Yield the names of the extras that a config needs. Wrong entries are left to ``validate.check``."""
    config = _mapping(config)
    plugin_folders.use(plugin_folders.of_config(config))
    models, tasks, methods = (_mapping(config.get(section)) for section in ("models", "tasks", "methods"))
    pretraining = [_mapping(entry).get("task") for entry in _mapping(config.get("pretraining")).values()]
    plugins = [("providers", Model.defaults() | _mapping(entry), "provider", None) for entry in models.values()]
    plugins += [("datasets", _mapping(entry), "dataset", None) for entry in [*tasks.values(), *pretraining]]
    plugins += [("methods", _mapping(entry), "kind", name) for name, entry in methods.items()]
    imports = _mapping(config.get("imports")).values()
    plugins += [("readers", _mapping(entry), "format", readers.DEFAULT) for entry in imports]
    for family, entry, key, default in plugins:
        if (name := entry.get(key, default)) in registry.names(family):
            yield from registry.find(family, name).extras(entry)


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def main() -> None:
    """Print the extras of all studies named on the command line."""
    import yaml

    from variability.config import plain_values, yaml_files

    extras: set[str] = set()
    for path in sys.argv[1:]:
        try:
            config = yaml_files.read(Path(path))
            if problems := plain_values.unending(config):
                raise UserError("; ".join(map(str, problems)))
            extras.update(extras_of(plain_values.plain(config)[0]))
        except yaml.YAMLError as error:
            sys.exit(f"{path} cannot be read as a study: {yaml_files.explain(error, Path(path))}")
        except FileNotFoundError:
            sys.exit(f"{path} cannot be read as a study: {missing_file(path, [])}")
        except (OSError, UnicodeDecodeError, UserError) as error:
            sys.exit(f"{path} cannot be read as a study: {error}")
    print("\n".join(sorted(extras)))


if __name__ == "__main__":
    main()
