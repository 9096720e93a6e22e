"""What /openapi.json says about the paths. The body of a request is read by `requests`."""

from typing import Any, Dict

from .requests import Query

FIND: Dict[str, Any] = {
    "summary": "Find entities",
    "description": "Finds the entities in a text or in a list of texts, with their scores.",
}
HEALTH: Dict[str, Any] = {"summary": "Health", "description": "Whether the server can answer."}
METRICS: Dict[str, Any] = {"summary": "Metrics", "description": "Counts and times, for Prometheus."}
REASONS = {
    400: "Not JSON in UTF-8",
    401: "The token is missing or wrong",
    408: "The request didn't arrive in time",
    413: "Too many bytes, characters or texts",
    415: "Another content type, or compressed",
    421: "Another host",
    422: "Another object",
    500: "An error of the server",
    503: "The queue is full, the texts weren't read in time, or the server was stopped",
}
PROBLEMS: Dict[Any, Dict[str, Any]] = {
    status: {
        "description": reason,
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "value": {"type": "number"},
                        "limit": {"type": "number"},
                    },
                    "required": ["status", "detail"],
                }
            }
        },
    }
    for status, reason in REASONS.items()
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Query.model_json_schema()}},
    }
}
