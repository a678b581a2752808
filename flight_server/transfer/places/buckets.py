"""What goes to S3. An object is there whole or not at all; the manifest comes last.

Who finds a manifest finds every file that it names.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flight_server.errors import AlreadyExists, InvalidRequest, Unavailable
from flight_server.settings import Settings
from flight_server.transfer.manifests import MANIFEST, written
from flight_server.transfer.object_stores import SCHEME, s3_client
from flight_server.transfer.places.base import Check, Result

# An upload has so many parts at most, and is held in memory a part at a time.
PART_BYTES = 16 * 2**20
PARTS_MAX = 9_000
# What is asked for and is not there, and what will not be otherwise another time.
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_REFUSED_FROM, _REFUSED_TO = 400, 499


class BucketPlace:
    """A prefix, or one object."""

    def __init__(
        self, settings: Settings, job_id: str, path: str, is_folder: bool, overwrite: bool
    ) -> None:
        self._settings = settings
        self._job_id = job_id
        self._bucket, _, self._key = path.rstrip("/").partition("/")
        self._is_folder = is_folder
        self._overwrite = overwrite
        self._store: Any = None

    @property
    def url(self) -> str:
        """The URL."""
        name = f"{SCHEME}{self._bucket}/{self._key}"
        return f"{name}/" if self._is_folder and self._key else name

    @property
    def _manifest(self) -> str:
        return self._within(MANIFEST) if self._is_folder else f"{self._key}.{MANIFEST}"

    def refuse(self) -> None:
        """AlreadyExists; InvalidRequest; Unavailable."""
        with self._translated():
            if not self._overwrite and self._is_taken():
                raise AlreadyExists(
                    f"'{self.url}' is there already. Say overwrite, or choose another destination."
                )

    def clean(self, names: tuple[str, ...]) -> None:
        """Removes the objects of these names, unless the manifest says that they are whole."""
        with self._translated():
            self._abort(names)
            if (self._loaded() or {}).get("job_id") == self._job_id:
                return
            for name in names:
                self._delete(self._object(name))

    def holds(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the manifest is there."""
        with self._translated():
            return bool(self._loaded() == manifest)

    def attest(self, manifest: Mapping[str, Any]) -> None:
        """The manifest is what says that a result is there."""

    def publish(self, result: Result, check: Check) -> None:
        """Puts the files there, and then the manifest."""
        with self._translated():
            before = self._loaded() or {}
            self._delete(self._manifest)
            for file in before.get("files", []):
                self._delete(self._object(file["name"]))
            for name in result.names:
                self._put(result.folder / name, self._object(name), check)
            text = written(result.manifest)
            self._call("put_object", Key=self._manifest, Body=text, ContentType="application/json")

    def _object(self, name: str) -> str:
        return self._within(name) if self._is_folder else self._key

    def _within(self, name: str) -> str:
        return f"{self._key}/{name}" if self._key else name

    def _is_taken(self) -> bool:
        if self._is_folder:
            found = self._call("list_objects_v2", Prefix=self._within(""), MaxKeys=1)
            return bool(found.get("KeyCount"))
        return self._exists(self._key)

    def _exists(self, key: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            self._call("head_object", Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True

    def _put(self, source: Path, key: str, check: Check) -> None:
        """Uploads a file; what is cut short is undone."""
        size = source.stat().st_size
        each = max(PART_BYTES, -(-size // PARTS_MAX))
        with source.open("rb") as reading:
            check()
            if size <= each:
                self._call("put_object", Key=key, Body=reading.read())
                return
            upload = {
                "Key": key,
                "UploadId": self._call("create_multipart_upload", Key=key)["UploadId"],
            }
            try:
                parts: list[dict[str, Any]] = []
                while piece := reading.read(each):
                    check()
                    number = len(parts) + 1
                    sent = self._call("upload_part", **upload, PartNumber=number, Body=piece)
                    parts.append({"PartNumber": number, "ETag": sent["ETag"]})
                self._call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
            except BaseException:
                self._call("abort_multipart_upload", **upload)
                raise

    def _abort(self, names: tuple[str, ...]) -> None:
        """Ends uploads in parts that a killed process has begun: they would be paid for."""
        ours = {self._object(name) for name in names}
        prefix = self._within("") if self._is_folder else self._key
        pages = self._client().get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for one in page.get("Uploads", []):
                if one["Key"] in ours:
                    self._call("abort_multipart_upload", Key=one["Key"], UploadId=one["UploadId"])

    def _delete(self, key: str) -> None:
        self._call("delete_object", Key=key)

    def _loaded(self) -> Any:
        from botocore.exceptions import ClientError

        try:
            return json.loads(self._call("get_object", Key=self._manifest)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        except ValueError:
            return None

    def _call(self, name: str, **given: Any) -> Any:
        return getattr(self._client(), name)(Bucket=self._bucket, **given)

    def _client(self) -> Any:
        if self._store is None:
            self._store = s3_client(self._settings)
        return self._store

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except NoCredentialsError:
            raise InvalidRequest(
                f"'{self.url}' cannot be written: the server has no credentials of S3. The "
                "operator sets s3_access_key_id and s3_secret_access_key."
            ) from None
        except (ClientError, BotoCoreError) as error:
            raise self._cannot(error) from None

    def _cannot(self, error: Exception) -> InvalidRequest | Unavailable:
        """What S3 says. What may be otherwise later can be tried again."""
        response: Any = getattr(error, "response", {})
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        reason = " ".join(str(error).split())[:300].rstrip(".")
        if _REFUSED_FROM <= status <= _REFUSED_TO:
            return InvalidRequest(f"'{self.url}' cannot be written: {reason}.")
        return Unavailable(f"'{self.url}' cannot be written now: {reason}.")
