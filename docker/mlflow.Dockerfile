# Tracking server and registry, for those who have none.
FROM python:3.11-slim-bookworm AS build
COPY docker/requirements/mlflow.txt /opt/sluicegate/lock.txt
RUN python -m venv /opt/sluicegate \
 && /opt/sluicegate/bin/pip install -q --no-cache-dir --disable-pip-version-check --no-deps --only-binary :all: -r /opt/sluicegate/lock.txt \
 && /opt/sluicegate/bin/pip check \
 && /opt/sluicegate/bin/pip uninstall -qy setuptools pip \
 && find /opt/sluicegate/lib -type d -name tests -prune -exec rm -rf {} + \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/sluicegate/lib

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sluicegate
COPY --from=build /opt/sluicegate /opt/sluicegate
ENV PATH=/opt/sluicegate/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp \
    MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
USER 10001:10001
WORKDIR /tmp
ARG CODE_VERSION=unknown
ARG LOCK_DIGEST=unknown
LABEL org.opencontainers.image.title="sluicegate-mlflow" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${CODE_VERSION}" sluicegate.lock-digest="${LOCK_DIGEST}"
ENTRYPOINT ["mlflow"]
CMD ["--help"]
