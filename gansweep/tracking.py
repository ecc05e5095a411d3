"""Reaching a tracking store: its URI, its password, its creation, and what it says where it cannot be used."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy import Engine


class TrackingUnreachable(ValueError):
    """The tracking server, or the store of its files, does not answer."""


def quiet_mlflow() -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # a request repeated blindly may create a run twice; the recorder looks before it repeats one
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"


def masked(text: str) -> str:
    """The text without the user names and passwords that stand in its URIs."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


def check_reachable(uri: str) -> None:
    """Raise `TrackingUnreachable` in a few seconds if nothing listens where a server's URI points.

    `ValueError` for a URI of another kind, and where a database refuses the user, the password or its own name.
    """
    parts = urllib.parse.urlsplit(uri)
    ports = {"http": 80, "https": 443, "postgresql": 5432}
    if parts.scheme == "sqlite":
        return
    if parts.scheme not in ports:
        raise ValueError(f"tracking URI {masked(uri)!r} must start with sqlite:///, http://, https:// or postgresql://")
    if parts.hostname or parts.scheme != "postgresql":  # PostgreSQL without a host: a socket in the file system
        try:
            socket.create_connection((parts.hostname or "", parts.port or ports[parts.scheme]), 5).close()
        except OSError as error:
            raise TrackingUnreachable(f"tracking server {masked(uri)} does not answer: {error}") from error
    if parts.scheme == "postgresql":
        _check_database(uri)


def _check_database(uri: str) -> None:
    import sqlalchemy

    try:
        database = sqlalchemy.create_engine(_postgresql(uri), connect_args={"connect_timeout": 5})
    except ModuleNotFoundError as error:
        raise ValueError(f"a postgresql:// store needs {error.name}: pip install 'gansweep[cluster]'") from error
    try:
        database.connect().close()
    except sqlalchemy.exc.OperationalError as error:
        why = str(error.orig).splitlines()[0]
        # what a server says for a moment, while it starts, stops or has its hands full
        passing = ("starting up", "shutting down", "recovery mode", "too many", "timeout")
        kind = TrackingUnreachable if any(words in str(error.orig) for words in passing) else ValueError
        raise kind(f"tracking store {masked(uri)} does not let us in: {why}") from error
    finally:
        database.dispose()


def _postgresql(uri: str) -> str:
    """With the driver that `gansweep[cluster]` installs: which one is the default depends on SQLAlchemy's version."""
    return re.sub(r"^postgresql:", "postgresql+psycopg:", uri)


def check_usable(uri: str) -> None:
    """Raise what `connect` would raise, but create nothing."""
    if uri.startswith(("http://", "https://")):
        connect(uri)
    else:
        check_reachable(uri)


def address(uri: str) -> str:
    """The URI that MLflow is given: a name and a password in a server's URI go where MLflow takes them from.

    So they are in no error message, and in no other file that MLflow writes.
    """
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme in ("http", "https") and parts.username is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"] = urllib.parse.unquote(parts.username)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = urllib.parse.unquote(parts.password or "")
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return _postgresql(uri)


def connect(uri: str) -> MlflowClient:
    """A client of the store, which is created first where it is a database that is not there yet.

    Raises:
        TrackingUnreachable: nothing answers, or not as an MLflow store.
        ValueError: the user or the password is refused.
    """
    quiet_mlflow()
    check_reachable(uri)
    from mlflow import MlflowClient

    with told_plainly(uri), _alone(uri):
        client = MlflowClient(tracking_uri=address(uri))
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def told_plainly(uri: str) -> Iterator[None]:
    """Turn what an MLflow store raises into one line: `ValueError` for a refusal, else `TrackingUnreachable`."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        why = masked((str(error).splitlines() or [""])[0])
        if error.get_http_status_code() == 401:
            given = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            raise ValueError(
                f"tracking server {masked(uri)} refuses the user name or the password: set {given}"
            ) from error
        if error.get_http_status_code() == 403:
            raise ValueError(f"tracking server {masked(uri)} does not allow that to this user: {why}") from error
        raise TrackingUnreachable(f"{masked(uri)} does not answer as an MLflow store: {why}") from error


@contextlib.contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Hold off other launches that would create the tables of the same database at the same time."""
    if uri.startswith("sqlite:///"):
        from filelock import FileLock

        path = Path(uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            yield
    elif uri.startswith("postgresql:"):
        import sqlalchemy

        with engine(uri).connect() as connection:  # which holds the lock until it is closed
            connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(hashtext('gansweep'))"))
            yield
    else:
        yield


def check_artifacts(uri: str, artifacts: str | None) -> None:
    """`ValueError` if a new study's files cannot be kept in `artifacts`, such as s3://bucket/prefix.

    A server keeps files by its own settings, SQLite in the home unless told otherwise, PostgreSQL where it is told to.
    """
    if artifacts is None:
        if uri.startswith("postgresql:"):
            raise ValueError("a postgresql:// store needs a place for files: give --artifacts s3://BUCKET/PREFIX")
        return
    if uri.startswith(("http://", "https://")):
        raise ValueError(f"--artifacts {artifacts}: a tracking server keeps files by its own settings; leave it out")
    if not re.fullmatch(r"s3://[^/]+(/.*)?", artifacts):
        raise ValueError(f"--artifacts {artifacts!r} must be s3://BUCKET or s3://BUCKET/PREFIX")
    try:
        import boto3
    except ModuleNotFoundError as error:
        raise ValueError("--artifacts s3://... needs boto3: pip install 'gansweep[cluster]'") from error
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, prefix = artifacts.removeprefix("s3://").partition("/")
    try:
        client = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"))
        # as a probe, what a launch will do, and no more: it need not be allowed to list or to delete
        client.put_object(Bucket=bucket, Key=f"{prefix.rstrip('/')}/gansweep".lstrip("/"), Body=b"")
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise TrackingUnreachable(f"--artifacts {artifacts} cannot be written: {str(error).splitlines()[0]}") from error


def engine(uri: str) -> Engine:
    """For SQL of our own. Without a pool: a file that was replaced is not read on as it was."""
    import sqlalchemy

    return sqlalchemy.create_engine(_postgresql(uri), poolclass=sqlalchemy.NullPool)
