"""Tools that span both services: the supervisor, provisioning, health checks, the doctor."""
