"""A storage plug-in for Snakemake that copies files to a folder. The plug-in ``fs`` does more, and needs rsync."""

import shutil
from pathlib import Path

from snakemake_interface_storage_plugins.storage_object import StorageObjectRead, StorageObjectWrite
from snakemake_interface_storage_plugins.storage_provider import StorageProviderBase, StorageQueryValidationResult


class StorageProvider(StorageProviderBase):
    @classmethod
    def example_queries(cls):
        return []

    @classmethod
    def is_valid_query(cls, query):
        return StorageQueryValidationResult(query=query, valid=query.startswith("/"))

    def use_rate_limiter(self):
        return False

    def rate_limiter_key(self, query, operation):
        return None

    def default_max_requests_per_second(self):
        return None


class StorageObject(StorageObjectRead, StorageObjectWrite):
    async def inventory(self, cache):
        pass

    def get_inventory_parent(self):
        return None

    def local_suffix(self):
        return self.query.removeprefix("/")

    def cleanup(self):
        pass

    def exists(self):
        return Path(self.query).exists()

    def mtime(self):
        return Path(self.query).stat().st_mtime

    def size(self):
        return Path(self.query).stat().st_size

    def retrieve_object(self):
        shutil.copy2(self.query, self.local_path())

    def store_object(self):
        # As in S3, the time is that of the upload.
        Path(self.query).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.local_path(), self.query)

    def remove(self):
        Path(self.query).unlink()
