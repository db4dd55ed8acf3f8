# All services in one image; which one runs is the argument:
#
#   docker build --file images/services.Dockerfile --tag sagaproof/services:dev .
#   docker run sagaproof/services:dev services.order
#
# and what has to be done once before they start:
#
#   sagaproof.topics            Kafka's topics
#   sagaproof.databases         databases and roles on one PostgreSQL server, and their tables
#   services.engine.migrate     the tables of one database
#
# and what reads all of a shop and checks it: e2e.live
#
# Two builds of one commit give the same layers, as every file in them has the time SOURCE_DATE_EPOCH.
ARG PYTHON_IMAGE=python:3.13-slim

# Packages, by the hashed lock. Byte code is made here, as nothing may be written where the image runs; it is not
# compared with times (unchecked-hash), so that it is the same in every build.
FROM ${PYTHON_IMAGE} AS packages
ENV PIP_CACHE_DIR=/var/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /out/opt/venv
COPY requirements/services.txt /lock/
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /out/opt/venv/bin/python install \
        --require-hashes --no-deps --only-binary :all: --no-compile -r /lock/services.txt
RUN python -m compileall -q -s /out --invalidation-mode unchecked-hash /out/opt/venv/lib
ARG SOURCE_DATE_EPOCH=0
RUN find /out -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

# gen/ from proto/, with generators that stay behind.
FROM packages AS code
COPY requirements/build.txt /lock/
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /out/opt/venv/bin/python install \
        --require-hashes --no-deps --only-binary :all: -r /lock/build.txt
WORKDIR /from
COPY proto proto
COPY sagaproof/__init__.py sagaproof/protoc.py sagaproof/
RUN /out/opt/venv/bin/python -m sagaproof.protoc /gen

FROM ${PYTHON_IMAGE} AS app
WORKDIR /out/app
COPY LICENSE images/probe.py ./
COPY sagaproof/__init__.py sagaproof/databases.py sagaproof/kafka_admin.py sagaproof/topics.py sagaproof/
# What `sagaproof check` runs inside a cluster.
COPY e2e/__init__.py e2e/explain.py e2e/history.py e2e/live.py e2e/reading.py e2e/recorder.py e2e/
COPY e2e/checks e2e/checks
COPY e2e/large/__init__.py e2e/large/one.py e2e/large/spill.py e2e/large/
COPY --from=code /gen gen
COPY services services
RUN python -m compileall -q -s /out --invalidation-mode unchecked-hash /out/app
ARG SOURCE_DATE_EPOCH=0
RUN find /out -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

FROM ${PYTHON_IMAGE}
COPY --from=packages /out/ /
COPY --from=app /out/ /
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app:/app/gen PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["python", "-m"]
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 CMD ["python", "-IS", "/app/probe.py", "HTTP_PORT"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sagaproof services" \
      org.opencontainers.image.description="Every service of the shop, and the jobs before it opens" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
