# Studies in a storage: Snakemake's plug-ins (S3, a mounted folder, ...) carry the files of jobs between machines that do
# not share a file system. See "Without a shared file system" in docs/clusters.md.
import json

from snakemake.settings.types import SharedFSUsage

from variability.io import bundles, job_records
from variability.io.files import digest

STORED = workflow.storage_settings.default_storage_provider is not None
# What this process has put into the storage before the first job: {path: checksum}. In the storage, too.
UPLOADED = "results/code/uploaded.json"


def check_storage():
    """Refuse what cannot work where jobs do not share a file system.

    At parse for what the user has chosen; before the first job for what follows from the executor.
    """
    if not STORED and SharedFSUsage.INPUT_OUTPUT not in workflow.storage_settings.shared_fs_usage:
        raise WorkflowError(
            "jobs that do not share a file system need a storage for their files: add --default-storage-provider and "
            "--default-storage-prefix, or run on a volume that all of them mount (docs/clusters.md)"
        )
    if STORED and study.checkpoints != "all":
        raise WorkflowError(
            f"checkpoints: {study.checkpoints} needs a file system that jobs share: set checkpoints: all; when the study "
            "is finished, files *.tensors.tar may be removed from the storage (docs/clusters.md)"
        )


if not workflow.remote_exec:
    check_storage()


def stored_object(path):
    """Return the object of the storage in which a file of the study is."""
    settings = workflow.storage_settings
    prefix = settings.default_storage_prefix or ""
    parts = [prefix.rstrip("/"), path] if prefix else [path]
    return workflow.storage_registry.default_storage_provider.object("/".join(parts))


def in_storage(*paths):
    """Return files that rules declare only where files are in a storage."""
    return list(paths) if STORED else []


def bundles_of(*records):
    """Return the bundles of the files that records list, see ``in_storage``."""
    return in_storage(*(f"{os.path.splitext(record)[0]}{bundles.SUFFIX}" for record in records))


def tensors_of(record):
    """Return the bundle of the trained tensors that a record of ``finetune`` lists, see ``in_storage``."""
    return in_storage(f"{os.path.splitext(record)[0]}.tensors{bundles.SUFFIX}")


def local_root():
    """Return the folder of this machine in which the storage's ``results/`` is."""
    return stored_object("results").local_path().parent


def made_of(spec):
    """Return the record of what a job was made from, see ``in_storage``. spec: path of that of the job."""
    return in_storage(spec.replace(job_records.SPECS.as_posix(), job_records.RECORDS.as_posix()))


def stay_here():
    """Return an input that keeps a job on the machine where Snakemake runs, because it reads the user's own files."""
    return [ancient(local(path)) for path in in_storage(str(ROOT / "Snakefile"))]


def upload(files):
    """Put small files into the storage, those that changed since this was done last. files: (path, text) of each."""
    texts = dict(files)
    checksums = {path: digest(text) for path, text in texts.items()}
    present = read_uploaded()
    for path, checksum in checksums.items():
        if present.get(path) != checksum:
            put(path, texts[path])
    if not checksums.items() <= present.items():
        put(UPLOADED, json.dumps(present | checksums, indent=1, sort_keys=True))


def read_uploaded():
    item = stored_object(UPLOADED)
    if not workflow.async_run(item.managed_exists()):
        return {}
    workflow.async_run(item.managed_retrieve())
    return json.loads(item.local_path().read_text(encoding="utf-8"))


def put(path, text):
    item = stored_object(path)
    item.local_path().parent.mkdir(parents=True, exist_ok=True)
    item.local_path().write_text(text, encoding="utf-8")
    workflow.async_run(item.managed_store())


def fetched(*names):
    """Fetch files of the report, those that the storage has, and return their folder on this machine."""
    items = [stored_object(f"{RESULTS}/report/{name}") for name in names]
    for item in items:
        if workflow.async_run(item.managed_exists()):
            workflow.async_run(item.managed_retrieve())
            modified = workflow.async_run(item.managed_mtime())
            os.utime(item.local_path(), (modified, modified))
    return items[0].local_path().parent


def storage_options():
    """Return the options with which another Snakemake finds the files of this one."""
    if not STORED:
        return []
    settings, jobs = workflow.storage_settings, workflow.spawned_job_args_factory
    options = ["--default-storage-provider", settings.default_storage_provider]
    options += ["--default-storage-prefix", settings.default_storage_prefix or ""]
    options += ["--local-storage-prefix", str(settings.local_storage_prefix)]
    return [*options, *shlex.split(" ".join(jobs.get_storage_provider_args()))]


if STORED:
    # For scripts, which are children of this process: records name files as they would be without a storage.
    os.environ[bundles.ROOT] = str(local_root())
    # Credentials of the storage: options of the command line are not passed to the second Snakemake of `report`.
    os.environ.update(workflow.spawned_job_args_factory.get_storage_provider_envvars())
