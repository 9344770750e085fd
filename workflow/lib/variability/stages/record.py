"""Stage ``record``: what a study was made from and consists of, as an RO-Crate 1.2 (w3id.org/ro/crate/1.2)."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from variability.advice import plural
from variability.io import artefacts, bundles
from variability.io.files import replacing, sha256, write_json
from variability.stages._study_files import kind_of_download, run_records

_log = logging.getLogger(__name__)

#: Names in the folder of a study. The first is fixed by the standard.
CRATE = "ro-crate-metadata.json"
CONFIG = "record/config.json"
CODE = "record/code.json"
ENVIRONMENTS = "record/environments.json"
#: Checksum of the crate, which cannot hold its own.
CHECKSUM = "record/crate.json"
#: Start of the identifiers of downloads.
DOWNLOAD = "#download-"
#: Records of runs with the software and hardware that they ran on.
_WITH_ENVIRONMENT = artefacts.RUN_RECORD._replace(
    shape=artefacts.RUN_RECORD.shape | {"versions": dict, "hardware": dict}
)
_WHAT = {
    CONFIG: "The config",
    CODE: "Checksums of the code of each stage",
    ENVIRONMENTS: "Software and hardware of runs",
}
_MEDIA = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


def record(
    study: str,
    config: Mapping[str, Any],
    files: Sequence[Path],
    outside: Sequence[Path],
    listings: Iterable[Path],
    folder: Path,
    now: str,
) -> None:
    """Write the crate of a study to its folder, with copies of the config and of the listings of code.

    files: in the folder, the records of stages among them, which hold the checksums of all other files. outside:
    manifests of what was downloaded, for several studies. listings: of the code that each stage depends on. now: date
    and time in ISO 8601.
    """
    environments = _environments(run_records(folder))
    (folder / CONFIG).parent.mkdir(exist_ok=True)
    write_json(folder / CONFIG, config)
    write_json(folder / CODE, {path.stem: sha256(path) for path in sorted(listings)})
    write_json(folder / ENVIRONMENTS, environments)
    crate = _crate(study, now)
    parts = [_add_file(crate, folder, path) for path in [*map(folder.joinpath, _WHAT), *files]]
    sources = [_add_source(crate, path) for path in outside]
    software = _add_software(crate, environments)
    crate.add_action(
        _add_workflow(crate, software),
        identifier="#study",
        object=[crate.get(CONFIG), *sources],
        result=parts[len(_WHAT) :],
        properties={"name": f"Fine-tuning and evaluation of the study {study}", "endTime": now},
    )
    with replacing(folder / CRATE) as partial:
        Path(partial).write_text(json.dumps(crate.metadata.generate(), indent=1, sort_keys=True), encoding="utf-8")
    artefacts.write_record(folder / CHECKSUM, {"sha256": sha256(folder / CRATE)})
    _log.info("recorded %s and %s", plural(len(parts), "file"), plural(len(environments), "environment"))


def _crate(study: str, now: str) -> Any:
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.2")
    crate.name = f"Study {study}: variability of fine-tuning results"
    crate.description = (
        "Runs, metrics, tables and figures of one study. Checksums are SHA-256. Files that are not listed here are "
        "listed, with their checksums, in the records of stages, which are."
    )
    crate.root_dataset["datePublished"] = now
    crate.license = "Not declared. The licences of data sets and pretrained weights apply to what was made from them."
    return crate


def _add_file(crate: Any, folder: Path, path: Path) -> Any:
    name = path.relative_to(folder).as_posix()
    properties = {"name": _WHAT.get(name, name), "contentSize": str(path.stat().st_size)}
    properties |= {"sha256": artefacts.checksum_of(path)}
    properties |= {"encodingFormat": _MEDIA[path.suffix]} if path.suffix in _MEDIA else {}
    return crate.add_file(dest_path=name, properties=properties)


def _add_source(crate: Any, manifest: Path) -> Any:
    """Describe a download by its manifest, which is outside the folder."""
    from rocrate.model.contextentity import ContextEntity

    content = artefacts.read_record(manifest, kind_of_download(manifest))
    checksum = content.get("sha256") or sha256(manifest)
    name = manifest.parent.name if manifest.stem == "manifest" else manifest.stem
    path = bundles.in_checkout(manifest.as_posix())
    properties = {"@type": "CreativeWork", "name": name, "sha256": checksum, "description": path}
    return crate.add(ContextEntity(crate, f"{DOWNLOAD}{name}", properties=properties))


def _add_software(crate: Any, environments: Sequence[Mapping[str, Any]]) -> list[Any]:
    from rocrate.model.softwareapplication import SoftwareApplication

    versions = {(name, version) for environment in environments for name, version in environment["versions"].items()}
    return [
        crate.add(
            SoftwareApplication(
                crate, f"#{name}-{version}", properties={"name": name, "version": version, "softwareVersion": version}
            )
        )
        for name, version in sorted(versions)
    ]


def _add_workflow(crate: Any, software: Sequence[Any]) -> Any:
    from rocrate.model.softwareapplication import SoftwareApplication

    properties = {"name": "finetune-variability", "softwareRequirements": [part for part in software]}
    return crate.add(SoftwareApplication(crate, "#finetune-variability", properties=properties))


def _environments(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the distinct environments of runs, each with its number of runs."""
    counts: dict[str, int] = {}
    for path in paths:
        run = artefacts.read_record(path, _WITH_ENVIRONMENT)
        key = json.dumps({name: run[name] for name in ("versions", "hardware")}, sort_keys=True)
        counts[key] = counts.get(key, 0) + 1
    return [{**json.loads(key), "runs": counts[key]} for key in sorted(counts)]
