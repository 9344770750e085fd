"""Stage ``download_weights``: fetch or copy pretrained weights, check them, and store them as safetensors."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from variability import registry
from variability.errors import UserError
from variability.io import artefacts, content_hash, files, temporary_names
from variability.io.mirrors import get_file
from variability.models.weight_files import holds_exactly, write_tensors
from variability.models.weights_source import weights_kind


def download_weights(
    model: dict[str, Any],
    target: Path,
    manifest: Path,
    fetcher: Any,
    mirrors: Sequence[Path] = (),
    assets: Path | None = None,
    hashes: Path | None = None,
) -> None:
    """Write the tensors of the whole pretrained network, its old head included, and a manifest of their origin.

    model: provider, architecture, options, weights (a named release or a file) and, for a file, optionally sha256.
    target: a .safetensors file. manifest: a .json file: ``{sha256, source, architecture, ...}``. mirrors: folders
    searched for files before the network. assets: manifest of ``download_assets``, for a provider with ASSETS. hashes:
    folder of checksums that the start of Snakemake computed. Raises UserError if the weights cannot be fetched, are not
    the expected bytes, or are of another architecture.
    """
    provider = registry.find("providers", model["provider"])(model, assets)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary_names.remove_abandoned(target)
    with tempfile.TemporaryDirectory(prefix=temporary_names.prefix(target), dir=target.parent) as folder:
        if weights_kind(model["weights"]) == "file":
            source, facts = _local(model, mirrors), {"source": model["weights"]}
        else:
            source, facts = provider.fetch_weights(fetcher, Path(folder))
        facts["source_sha256"] = _checksum(model, source, hashes)
        checksum = _store(source, facts["source_sha256"], provider.convert(source), target)
    entry = {key: model[key] for key in ("provider", "architecture", "options", "weights") if key in model}
    artefacts.write_record(manifest, entry | facts | {"sha256": checksum})


def _local(model: dict[str, Any], mirrors: Sequence[Path]) -> Path:
    checksum = f"sha256:{model['sha256']}" if model.get("sha256") else None
    try:
        return get_file(model["weights"], mirrors, checksum)
    except UserError as error:
        raise UserError(f"weights of {model['architecture']}: {error}") from error


def _store(source: Path, checksum: str, tensors: dict[str, Any], target: Path) -> str:
    """Write the tensors that were read from a file with this checksum, and return the checksum of the new file.

    A file that holds these tensors is copied as it is: comparing it with them takes a third of the time of a checksum.
    """
    copied = holds_exactly(source, tensors)
    with files.replacing(target) as aside:
        if copied:
            shutil.copyfile(source, aside)
        else:
            write_tensors(aside, tensors)
    return checksum if copied else files.sha256(target)


def _checksum(model: dict[str, Any], source: Path, hashes: Path | None) -> str:
    """Return the SHA-256 of the source, without reading a large file again that was read just before."""
    configured = model.get("sha256", "")
    if weights_kind(model["weights"]) == "file" and len(configured) == 64:
        return configured.lower()  # ``_local`` has compared the file with it
    recent = content_hash.recent_checksum(source, hashes) if hashes else None
    return recent or files.sha256(source)
