"""HTTP code of both services: the Flask base, problem details, OpenAPI, metrics."""
