"""Operations on running services: doctor, health checks, provisioning and the local stack."""
