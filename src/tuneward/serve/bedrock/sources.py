"""Rows of a job in Bedrock's words. Source: Bedrock RFT contract, 3.7 and 8.1."""

from __future__ import annotations

from typing import Any

from tuneward.jobs.spec import JobSpec, LogsSource, MetadataFilters, Source, UriSource

_FILTERS = {"equals": "equals", "not_equals": "notEquals", "and_all": "andAll", "or_all": "orAll"}


def training_data(source: Source) -> dict[str, Any]:
    """`trainingDataConfig`; empty for an uploaded file, for which there is no word."""
    if isinstance(source, UriSource):
        return {"s3Uri": source.uri}
    if not isinstance(source, LogsSource):
        return {}
    logs: dict[str, Any] = {
        "usePromptResponse": source.use_prompt_response,
        "invocationLogSource": {"s3Uri": source.uri},
    }
    if source.filters is not None:
        logs["requestMetadataFilters"] = _filters(source.filters)
    return {"invocationLogsConfig": logs}


def data_of(spec: JobSpec) -> dict[str, Any]:
    """Where a job's rows come from and its results go, whichever API it was made through."""
    validators = [{"s3Uri": source.uri} for source in spec.validation if isinstance(source, UriSource)]
    return {
        "trainingDataConfig": training_data(spec.training),
        "validationDataConfig": {"validators": validators},
        "outputDataConfig": {"s3Uri": spec.output_uri or ""},
    }


def _filters(filters: MetadataFilters) -> dict[str, Any]:
    def renamed(tree: dict[str, Any]) -> dict[str, Any]:
        return {
            _FILTERS[name]: [renamed(one) for one in value] if isinstance(value, list) else value
            for name, value in tree.items()
        }

    return renamed(filters.model_dump(mode="json", exclude_none=True))
