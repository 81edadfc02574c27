# Debian's PostgreSQL 15 for the journal and MLflow, for those who have no database server.
FROM python:3.11-slim-bookworm
RUN mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
 && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql-15 \
 && rm -rf /var/lib/apt/lists/* /usr/lib/*/libLLVM-*.so* /usr/lib/postgresql/15/lib/bitcode /usr/lib/postgresql/15/lib/llvmjit.so \
 && mkdir /opt/sluicegate && dpkg-query -W > /opt/sluicegate/lock.txt \
 && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sluicegate
COPY docker/postgresql/start /usr/local/bin/start
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PGDATA=/var/lib/sluicegate/data
RUN mkdir -p /var/lib/sluicegate && chown 10001:10001 /var/lib/sluicegate
USER 10001:10001
WORKDIR /var/lib/sluicegate
ARG CODE_VERSION=unknown
ARG LOCK_DIGEST=unknown
LABEL org.opencontainers.image.title="sluicegate-postgresql" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${CODE_VERSION}"
ENTRYPOINT ["start"]
