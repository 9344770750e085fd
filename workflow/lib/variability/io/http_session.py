"""The HTTP session of downloads, and readable messages for its errors."""

import ssl
from functools import cache
from typing import Any

import requests
from requests.adapters import HTTPAdapter


@cache
def _certificates() -> ssl.SSLContext:
    """Return the settings of all connections of this process: reading the system's certificates takes 40 ms."""
    return ssl.create_default_context()


class _SystemCertificates(HTTPAdapter):
    """Trusts the certificates of the operating system (such as a company's), in addition to those of certifi."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_certificates(), **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=_certificates(), **kwargs)


def new_session() -> requests.Session:
    """Return a session that asks for uncompressed files and sends no credentials."""
    session = requests.Session()
    session.headers.update({"User-Agent": "finetune-variability", "Accept-Encoding": "identity"})
    session.mount("https://", _SystemCertificates())
    # Otherwise requests would send passwords from ~/.netrc.
    session.auth = lambda request: request
    return session


def root_cause(error: BaseException) -> str:
    """Return the message of the error that requests and urllib3 wrapped, such as "Connection refused"."""
    while type(error).__module__.startswith(("requests.", "urllib3.")) and (
        cause := error.__cause__ or error.__context__
    ):
        error = cause
    return str(error) or type(error).__name__
