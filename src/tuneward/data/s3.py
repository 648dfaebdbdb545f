"""Buckets of S3 and of what speaks like it, through boto3 with its usual settings and credentials."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuneward.data.s3_errors import explained, is_broken_stream

PIECE_BYTES = 1 << 20
PART_BYTES = 16 << 20
"""What is larger goes in parts of this size, some at a time."""

PARALLEL_PARTS = 4
LISTED_KEYS = 1000
"""Keys in one answer of a list; S3 gives no more."""

ATTEMPTS = 5
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60


class S3Buckets:
    """`Buckets` behind boto3, connected when first used.

    Args:
        endpoint_url: None: as boto3 finds it (`AWS_ENDPOINT_URL_S3`, profile), else AWS.
    """

    def __init__(self, endpoint_url: str | None):
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._made: Any = None

    def download(self, bucket: str, key: str, target: Path) -> None:
        with explained(self._connect, bucket, key, "GetObject"):
            # boto3 writes aside and renames.
            self._connect().download_file(bucket, key, str(target), Config=_transfer())

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        with explained(self._connect, bucket, key, "GetObject"):
            place = {"Bucket": bucket, "Key": key}
            offset = tries = 0
            rest: dict[str, str] = {}
            while True:
                answer = self._connect().get_object(**place, **rest)
                try:
                    for piece in answer["Body"].iter_chunks(PIECE_BYTES):
                        offset += len(piece)
                        tries = 0
                        yield piece
                    return
                except Exception as error:
                    tries += 1
                    if not is_broken_stream(error) or tries >= ATTEMPTS:
                        raise
                time.sleep(random.uniform(0.05, 0.2) * 2**tries)
                rest = {"Range": f"bytes={offset}-", "IfMatch": answer["ETag"]} if offset else {}

    def upload(self, source: Path | bytes, bucket: str, key: str) -> None:
        with explained(self._connect, bucket, key, "PutObject"):
            if isinstance(source, bytes):
                self._connect().put_object(Bucket=bucket, Key=key, Body=source)
            else:
                self._connect().upload_file(str(source), bucket, key, Config=_transfer())

    def list(self, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
        with explained(self._connect, bucket, prefix, "ListBucket"):
            client = self._connect()
            if prefix and not prefix.endswith("/"):
                # The object itself would be the first of all that begin alike.
                first = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents", [])
                yield from ((item["Key"], item["Size"]) for item in first if item["Key"] == prefix)
                prefix += "/"
            pages = client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": LISTED_KEYS}):
                for item in page.get("Contents", ()):
                    if not item["Key"].endswith("/"):
                        yield item["Key"], item["Size"]

    def delete(self, bucket: str, key: str) -> None:
        with explained(self._connect, bucket, key, "DeleteObject"):
            self._connect().delete_object(Bucket=bucket, Key=key)

    def _connect(self) -> Any:
        import boto3
        from botocore.config import Config

        with self._lock:
            if self._made is None:
                settings: dict[str, Any] = {
                    "connect_timeout": CONNECT_TIMEOUT_S,
                    "read_timeout": READ_TIMEOUT_S,
                    "max_pool_connections": 4 * PARALLEL_PARTS,
                    "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
                }
                if self._endpoint_url is not None:
                    # Stores beside AWS's seldom have a host name for each bucket, or its newer checksums.
                    settings["s3"] = {"addressing_style": "path"}
                    settings["request_checksum_calculation"] = "when_required"
                    settings["response_checksum_validation"] = "when_required"
                # A session of its own: the default one is not made for threads.
                session = boto3.session.Session()
                self._made = session.client("s3", endpoint_url=self._endpoint_url, config=Config(**settings))
            return self._made


def _transfer() -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(
        multipart_threshold=PART_BYTES,
        multipart_chunksize=PART_BYTES,
        max_concurrency=PARALLEL_PARTS,
        num_download_attempts=ATTEMPTS,
    )
