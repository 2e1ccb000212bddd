# One target for each service: docker build --target lockserver -t graphbed/lockserver .
#
#   PYTHON_IMAGE   the system and CPython below everything
#   BUILD_IMAGE    what pip runs in, if not in PYTHON_IMAGE; deploy/offline makes one that holds every wheel
#   TORCH_INDEX    where torch comes from, if not from pip's own index: PyTorch's index of CPU builds, which the compose
#                  file names, makes the trainer's image two gigabytes smaller; one of its CUDA indexes makes a trainer for
#                  that CUDA version
#   EXTRAS         more extras of the project for every image, e.g. "tracing"
#   PIP_FLAGS      more arguments of pip, e.g. "--no-index --find-links /wheels"
#   VERSION, REVISION   what the labels say; the metric graphbed_build_info tells the revision too
#
# Versions are those of constraints.txt. No BuildKit needed.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG BUILD_IMAGE=${PYTHON_IMAGE}

# ---------------------------------------------------------------- the libraries of each service
FROM ${BUILD_IMAGE} AS common
ARG PIP_FLAGS=
ARG EXTRAS=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml constraints.txt deploy/requirements.py deploy/install.sh ./
# EXTRAS and PIP_FLAGS may hold several words.
# hadolint ignore=SC2086
RUN python -m venv --without-pip /opt/graphbed && sh install.sh ${EXTRAS}

FROM common AS lockserver-libraries
ARG PIP_FLAGS=
RUN sh install.sh lockserver

FROM common AS partitionserver-libraries
ARG PIP_FLAGS=
RUN sh install.sh partitionserver

FROM common AS paramserver-libraries
ARG PIP_FLAGS=
RUN sh install.sh paramserver

# torch, numba, SciPy: the trainer and the command line
FROM common AS trainer-libraries
ARG PIP_FLAGS=
ARG TORCH_INDEX=
# Torch alone from an index of its own, which holds other versions of what torch needs: that comes with the rest.
# hadolint ignore=SC2086
RUN python -m pip --python /opt/graphbed/bin/python install --quiet ${PIP_FLAGS} \
       ${TORCH_INDEX:+--no-deps --index-url ${TORCH_INDEX}} -c constraints.txt torch \
    && sh install.sh trainer cli

# ---------------------------------------------------------------- the project: the one layer that a change makes anew
FROM common AS project
ARG PIP_FLAGS=
# hadolint ignore=SC2086
RUN python -m pip install --quiet ${PIP_FLAGS} -c constraints.txt setuptools wheel
COPY README.md ./
COPY graphbed/ graphbed/
COPY services/ services/
RUN python -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir /dist . \
    && python -m pip --python /opt/graphbed/bin/python install --quiet --no-index --no-deps --root /project /dist/*.whl

# ---------------------------------------------------------------- what every image is
FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Graphbed" \
      org.opencontainers.image.description="Embeddings for graphs that are too large for one machine" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Bytecode of the standard library, which nobody may write later: without it a health check takes three times as long.
RUN groupadd --gid 10001 graphbed \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin graphbed \
    && python -m compileall -q -x '/(site-packages|idlelib|lib2to3|test)/' /usr/local/lib/python3.11 \
    && install -d -o 10001 -g 10001 /var/cache/graphbed /var/cache/graphbed/partitions /var/cache/graphbed/kernels \
       /run/graphbed /run/graphbed/redis /run/graphbed/store /run/graphbed/grafana
ENV PATH=/opt/graphbed/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    GRAPHBED_METRICS_LISTEN=0.0.0.0:9100 \
    GRAPHBED_REVISION=${REVISION}
WORKDIR /var/cache/graphbed
USER 10001:10001
EXPOSE 9100

# ---------------------------------------------------------------- the services
FROM runtime AS lockserver
COPY --from=lockserver-libraries /opt/graphbed /opt/graphbed
COPY --from=project /project/opt/graphbed /opt/graphbed
ENV GRAPHBED_LISTEN=0.0.0.0:7101
EXPOSE 7101
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["python", "-m", "graphbed.rpc.healthcheck", "127.0.0.1:7101"]
ENTRYPOINT ["python", "-m", "services.lockserver"]

FROM runtime AS partitionserver
COPY --from=partitionserver-libraries /opt/graphbed /opt/graphbed
COPY --from=project /project/opt/graphbed /opt/graphbed
ENV GRAPHBED_LISTEN=0.0.0.0:7102
EXPOSE 7102
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["python", "-m", "graphbed.rpc.healthcheck", "127.0.0.1:7102"]
ENTRYPOINT ["python", "-m", "services.partitionserver"]

FROM runtime AS paramserver
COPY --from=paramserver-libraries /opt/graphbed /opt/graphbed
COPY --from=project /project/opt/graphbed /opt/graphbed
ENV GRAPHBED_LISTEN=0.0.0.0:7103
EXPOSE 7103
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["python", "-m", "graphbed.rpc.healthcheck", "127.0.0.1:7103"]
ENTRYPOINT ["python", "-m", "services.paramserver"]

FROM runtime AS trainer
COPY --from=trainer-libraries /opt/graphbed /opt/graphbed
COPY --from=project /project/opt/graphbed /opt/graphbed
# The demonstration's kernel, compiled for the processor of whoever builds; on any other one it is compiled once, into
# the volume that belongs on this folder.
ENV GRAPHBED_KERNEL_CACHE=/var/cache/graphbed/kernels
COPY graphbed/datasets/fb15k-237/job.yaml /opt/graphbed/warm/job.yaml
RUN ["python", "-m", "graphbed.model.warm", "/opt/graphbed/warm/job.yaml"]
ENV GRAPHBED_LISTEN=0.0.0.0:7104
EXPOSE 7104
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["python", "-m", "graphbed.rpc.healthcheck", "127.0.0.1:7104"]
ENTRYPOINT ["python", "-m", "services.trainer"]

# The same files with `graphbed` in front: docker compose run --rm cli status
FROM trainer AS cli
HEALTHCHECK NONE
ENTRYPOINT ["graphbed"]
CMD ["--help"]
