"""What a client's methods ask for that this server has not: the method by its name, and what to do instead."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote

_CONVERSATIONS = "keep a conversation with /v1/responses and previous_response_id, which needs no other object."
_TEXT_ONLY = "the models of this server read and write text alone."
_AGENTS = "Agents are not offered: let a model call your tools with /v1/responses or /v1/chat/completions."
_ADMINISTRATION = (
    "Organizations are not offered: /api/projects and /api/keys, or `tuneward keys`, make projects and keys."
)
_WEBHOOKS = "Webhooks are not offered: ask for the state of a job, or read its events."
_OPENAI = {
    "embeddings": f"Embeddings are not offered: {_TEXT_ONLY}",
    "images": f"Images are not offered: {_TEXT_ONLY}",
    "audio": f"Audio is not offered: {_TEXT_ONLY}",
    "videos": f"Videos are not offered: {_TEXT_ONLY}",
    "realtime": f"Realtime sessions are not offered: {_TEXT_ONLY}",
    "live": f"Live sessions are not offered: {_TEXT_ONLY}",
    "moderations": "Moderation is not offered: ask a model of this server with /v1/chat/completions and a JSON schema.",
    "batches": "Batches are not offered: send their requests side by side; they share the passes of the model.",
    "evals": "Evals are not offered: a job evaluates itself on its validation file (see its events), and "
    "/v1/fine_tuning/alpha/graders/run grades one answer.",
    "assistants": f"Assistants are not offered: {_CONVERSATIONS}",
    "threads": f"Threads are not offered: {_CONVERSATIONS}",
    "conversations": f"Conversations are not offered: {_CONVERSATIONS}",
    "agents": _AGENTS,
    "vaults": _AGENTS,
    "chatkit": _AGENTS,
    "skills": "Skills are not offered: put instructions into the system message.",
    "vector_stores": "Vector stores are not offered: search in your own code and put what it finds into the messages.",
    "containers": "Containers are not offered: run tools in your own code; this server runs graders and functions.",
    "organization": _ADMINISTRATION,
    "projects": _ADMINISTRATION,
    "webhook_event_types": _WEBHOOKS,
    "webhook_endpoints": _WEBHOOKS,
    "chat/completions": "Stored chat completions are not offered: /v1/responses are kept for 30 days.",
    "responses/*/cancel": "Responses in the background are not offered, so there is nothing to cancel: close the "
    "connection of the one that is under way.",
    "responses/compact": 'Compaction is not offered: truncation "auto" leaves out the oldest messages.',
}
_BEDROCK = {
    "Guardrail": "check texts in your own code, or ask a model with Converse.",
    "ModelInvocationJob": "send the calls side by side with InvokeModel or Converse; they share the model's passes.",
    "AsyncInvoke": "use InvokeModel or Converse.",
    "Bidirectional": "use ConverseStream.",
    "InferenceProfile": "give the name of a model, or the ARN of a deployment, as modelId.",
    "PromptRouter": "give the name of a model, or the ARN of a deployment, as modelId.",
    "MarketplaceModel": "name models in the server's configuration (`models`).",
    "ImportedModel": "name models in the server's configuration (`models`).",
    "Agreement|Availability|UseCase": "models need no agreement here; ListFoundationModels lists them.",
    "ResourcePolicy": "the role and the project of a key say what it may do.",
    "EvaluationJob": "a job evaluates itself on its validation data while it trains.",
}
_LAMBDA = {
    "Layer": "put what a function needs into its archive.",
    "EventSourceMapping": "functions are called with Invoke and by jobs.",
    "FunctionUrl": "functions are called with Invoke and by jobs.",
    "InvokeAsync": "use Invoke with InvocationType Event.",
    "ResponseStream": "use Invoke.",
    "ProvisionedConcurrency|ScalingConfig|CapacityProvider": "PutFunctionConcurrency limits a function's processes, "
    "which stay warm by themselves.",
    "EventInvokeConfig": "a call with InvocationType Event runs once.",
    "ResourcePolicy": "use AddPermission, GetPolicy and RemovePermission.",
}
_SERVICES = {"bedrock": (("bedrock", "bedrock-runtime"), _BEDROCK), "lambda": (("lambda",), _LAMBDA)}


def unanswered(dialect: Literal["openai", "bedrock", "lambda"], method: str, path: str) -> str:
    """What to say of a request that no route takes.

    Args:
        dialect: of the path.
        method: such as GET.
        path: of the request, without its query.
    """
    if dialect == "openai":
        return _of_openai(path) or f"Nothing here answers {method} {path}."
    name = _operation(dialect, method, path)
    if name is None:
        return f"Nothing here answers {method} {path}."
    for words, instead in _SERVICES[dialect][1].items():
        if re.search(words, name):
            return f"{name} is not offered: {instead}"
    return f"Nothing here answers {name} ({method} {path})."


def _of_openai(path: str) -> str | None:
    for known, message in _OPENAI.items():
        if re.match(rf"/v1/{known.replace('*', '[^/]+')}(/|$)", path):
            return message
    return None


def _operation(dialect: str, method: str, path: str) -> str | None:
    """What AWS's clients call a request; two of Lambda's pairs differ in a constant of the query alone."""
    parts = [unquote(part) for part in path.rstrip("/").split("/")]
    names = [
        name
        for name, verb, known in _operations(dialect)
        if verb == method and len(known) == len(parts)
        if all(word is None or word == part for word, part in zip(known, parts, strict=True))
    ]
    return " or ".join(names) or None


@lru_cache(maxsize=2)
def _operations(dialect: str) -> list[tuple[str, str, list[str | None]]]:
    """Name, verb and path of every operation; None in a path stands for a label. Read once: they are large files."""
    from botocore.session import get_session

    found: list[tuple[str, str, list[str | None]]] = []
    for service in _SERVICES[dialect][0]:
        model = get_session().get_service_model(service)
        for name in model.operation_names:
            http = model.operation_model(name).http
            path = http["requestUri"].partition("?")[0].rstrip("/")
            found.append((name, http["method"], [None if part[:1] == "{" else part for part in path.split("/")]))
    return found
