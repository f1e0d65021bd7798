"""The read API: Flask blueprints, query parameters, limits per caller, readiness."""
