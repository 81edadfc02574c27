# Envoy (`envoy`) and the guard beside it that ends leases (`python -m sluicegate gateway`): one image, two containers of a pod.
FROM python:3.11-slim-bookworm AS build
COPY docker/requirements/gateway.txt /opt/sluicegate/lock.txt
RUN python -m venv /opt/sluicegate \
 && /opt/sluicegate/bin/pip install -q --no-cache-dir --disable-pip-version-check --no-deps --only-binary :all: -r /opt/sluicegate/lock.txt \
 && /opt/sluicegate/bin/pip check \
 && /opt/sluicegate/bin/pip uninstall -qy setuptools pip \
 && find /opt/sluicegate/lib -type d -name tests -prune -exec rm -rf {} + \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/sluicegate/lib

FROM build AS code
COPY include/sluicegate /opt/sluicegate/lib/python3.11/site-packages/sluicegate
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/sluicegate/lib/python3.11/site-packages/sluicegate

FROM python:3.11-slim-bookworm
# Written are /var/lib/sluicegate and /tmp alone: mount them, and the root may be read-only.
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sluicegate \
 && mkdir -p /var/lib/sluicegate && chown 10001:10001 /var/lib/sluicegate
COPY --from=build /opt/sluicegate /opt/sluicegate
COPY --from=code /opt/sluicegate/lib/python3.11/site-packages/sluicegate /opt/sluicegate/lib/python3.11/site-packages/sluicegate
ENV PATH=/opt/sluicegate/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp \
    SLUICEGATE_PROJECT=/opt/sluicegate SLUICEGATE_HOME=/var/lib/sluicegate
USER 10001:10001
WORKDIR /var/lib/sluicegate
ARG CODE_VERSION=unknown
ARG LOCK_DIGEST=unknown
ENV SLUICEGATE_CODE_VERSION=${CODE_VERSION} SLUICEGATE_LOCK_DIGEST=${LOCK_DIGEST}
LABEL org.opencontainers.image.title="sluicegate-gateway" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${CODE_VERSION}" sluicegate.lock-digest="${LOCK_DIGEST}"
ENTRYPOINT ["python", "-m", "sluicegate"]
CMD ["--help"]
