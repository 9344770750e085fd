"""A local store of MLflow."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from variability.errors import UserError
from variability.export.exporters import ExportedRun, Exporter

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DATABASE = "mlflow.db"
#: Tags of a run: its name in the study, and the digest of what was exported, which is set last.
RUN, DIGEST = "variability.run", "variability.digest"
#: Most entries, and longest value of a parameter, that MLflow takes at a time.
_ENTRIES, _LONGEST = 100, 6000


class Mlflow(Exporter):
    """An SQLite store with an experiment per study: params, learning curves, final values, status."""

    EXTRA = "mlflow"
    NEEDS = ("mlflow", "sqlalchemy", "alembic", "cryptography")

    def exported(self, run: ExportedRun) -> str | None:
        return self._known[run.name][1] if run.name in self._known else None

    def remove(self, run: ExportedRun) -> None:
        with _explained(self._store):
            self._client.delete_run(self._known.pop(run.name)[0])

    def write(self, run: ExportedRun) -> None:
        from mlflow.entities import Metric, Param, RunTag

        ended = round(run.ended * 1000)
        started = ended - round((run.seconds or 0) * 1000)
        tags = {RUN: run.name, "status": run.status} | ({"fail_reason": run.fail_reason} if run.fail_reason else {})
        params = [Param(_name(key), str(value)[:_LONGEST]) for key, value in {**run.keys, **run.config}.items()]
        values = [
            Metric(_name(key), value, ended, step)
            for step, row in [*run.history.items(), (run.step, run.metrics)]
            for key, value in row.items()
        ]
        with _explained(self._store):
            created = self._client.create_run(self._experiment, started, tags, run_name=run.name)
            number = created.info.run_id
            for part in _parts(params):
                self._client.log_batch(number, params=part)
            for part in _parts(values):
                self._client.log_batch(number, metrics=part)
            self._client.set_terminated(number, "FINISHED" if run.completed else "FAILED", ended)
            self._client.log_batch(number, tags=[RunTag(DIGEST, run.digest)])
        self._known[run.name] = number, run.digest

    def how_to_open(self) -> str:
        return f"mlflow ui --backend-store-uri {self._store}, in an environment that has the whole package mlflow"

    @property
    def _store(self) -> str:
        return f"sqlite:///{self.folder.resolve() / DATABASE}"

    @cached_property
    def _client(self) -> MlflowClient:
        # Nothing is sent anywhere.
        os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        import mlflow.utils.logging_utils
        from mlflow.tracking import MlflowClient

        mlflow.utils.logging_utils.disable_logging()
        self.folder.mkdir(parents=True, exist_ok=True)
        with _explained(self._store):
            return MlflowClient(tracking_uri=self._store)

    @cached_property
    def _experiment(self) -> str:
        with _explained(self._store):
            known = self._client.get_experiment_by_name(self.study)
            if known is None:
                return self._client.create_experiment(self.study, (self.folder.resolve() / "artifacts").as_uri())
            if known.lifecycle_stage == "deleted":
                self._client.restore_experiment(known.experiment_id)
            return known.experiment_id

    @cached_property
    def _known(self) -> dict[str, tuple[str, str]]:
        """Id and digest of the runs that the store has, by name."""
        with _explained(self._store):
            return {run.data.tags[RUN]: (run.info.run_id, run.data.tags.get(DIGEST, "")) for run in self._runs()}

    def _runs(self) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_runs([self._experiment], f"tags.`{RUN}` != ''", page_token=token)
            yield from page
            if not (token := page.token):
                return


@contextmanager
def _explained(store: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise UserError(f"{store}: MLflow refuses this: {error.message.splitlines()[0]}") from error


def _name(text: str) -> str:
    """Return a name of a parameter or metric with the characters that MLflow accepts."""
    return re.sub(r"[^\w.\- :/]", "_", text)


def _parts(entries: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(entries), _ENTRIES):
        yield entries[start : start + _ENTRIES]
