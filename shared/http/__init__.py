"""What both services share over HTTP: the Flask base, problem details, OpenAPI, metrics."""
