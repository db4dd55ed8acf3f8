# The gateway, with the console in the browser:
#
#   docker build --file images/gateway.Dockerfile --tag sagaproof/gateway:dev .
#
# Made as images/services.Dockerfile is, which says why.
ARG PYTHON_IMAGE=python:3.13-slim
ARG NODE_IMAGE=node:24-slim

FROM ${PYTHON_IMAGE} AS packages
ENV PIP_CACHE_DIR=/var/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /out/opt/venv
COPY requirements/gateway.txt /lock/
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /out/opt/venv/bin/python install \
        --require-hashes --no-deps --only-binary :all: --no-compile -r /lock/gateway.txt
RUN python -m compileall -q -s /out --invalidation-mode unchecked-hash /out/opt/venv/lib
ARG SOURCE_DATE_EPOCH=0
RUN find /out -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

FROM packages AS code
COPY requirements/build.txt /lock/
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /out/opt/venv/bin/python install \
        --require-hashes --no-deps --only-binary :all: -r /lock/build.txt
WORKDIR /from
COPY proto proto
COPY sagaproof/__init__.py sagaproof/protoc.py sagaproof/
RUN /out/opt/venv/bin/python -m sagaproof.protoc /gen

# The console's files; what builds them stays behind. By `install`, as `ci` also wants the entries of other platforms'
# tools, which a registry may not have; what the lock names is checked by its hash all the same.
FROM ${NODE_IMAGE} AS console
WORKDIR /web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN --mount=type=cache,target=/var/cache/npm \
    npm install --cache /var/cache/npm --no-save --omit=dev --ignore-scripts
COPY web .
RUN npm run build

FROM ${PYTHON_IMAGE} AS app
WORKDIR /out/app
COPY LICENSE images/probe.py ./
COPY --from=code /gen gen
COPY --from=console /web/dist web/dist
COPY gateway gateway
RUN python -m compileall -q -s /out --invalidation-mode unchecked-hash /out/app
ARG SOURCE_DATE_EPOCH=0
RUN find /out -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

FROM ${PYTHON_IMAGE}
COPY --from=packages /out/ /
COPY --from=app /out/ /
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app:/app/gen PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PORT=8080
WORKDIR /app
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["python", "-m", "gateway"]
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 CMD ["python", "-IS", "/app/probe.py", "PORT"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sagaproof gateway" \
      org.opencontainers.image.description="HTTP, WebSocket and Server-Sent Events in front of the services" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
