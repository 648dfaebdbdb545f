"""What bodies and answers of `/api` are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ApiModel(BaseModel):
    """The text after a field is its description, in the code as in `/openapi.json` and docs/api.md."""

    model_config = ConfigDict(use_attribute_docstrings=True)
