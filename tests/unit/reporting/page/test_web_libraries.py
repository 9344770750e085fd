"""Tests of the scripts that the report page contains."""

import vl_convert

from variability.reporting.page import web_libraries


def test_the_bundle_is_made_once_or_each_time_if_the_cache_cannot_be_written(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: made.append(1) or "window.vegaEmbed = null")
    monkeypatch.setattr(web_libraries.platformdirs, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    assert [web_libraries.vega(), web_libraries.vega()] == ["window.vegaEmbed = null"] * 2
    assert len(made) == 1
    (tmp_path / "file").touch()
    monkeypatch.setattr(web_libraries.platformdirs, "user_cache_path", lambda *_, **__: tmp_path / "file" / "cache")
    assert web_libraries.vega() == "window.vegaEmbed = null"
    assert len(made) == 2
