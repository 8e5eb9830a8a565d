# docker build -t inkling . && docker run --rm -p 127.0.0.1:8000:8000 inkling
# Published for this machine only: put a proxy with TLS in front for others (docs/operate/deploy.md).
# The image holds only what serves: no TensorFlow, no compiler, no pip. deploy/compose.yaml runs it with few privileges.
FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1 AS build
WORKDIR /build
# requirements-fleet.txt has the packages for PostgreSQL, S3 and Ray too: deploy/compose.fleet.yaml
ARG REQUIREMENTS=requirements-serve.txt
COPY requirements-serve.txt requirements-fleet.txt requirements-build.txt ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --no-compile --require-hashes -r $REQUIREMENTS \
 && python -m venv /build/venv \
 && /build/venv/bin/python -m pip install --no-cache-dir --no-compile --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY inkling inkling
COPY templates templates
COPY static static
COPY models models
RUN /build/venv/bin/python -m pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /build . \
 && /opt/venv/bin/python -m pip install --no-cache-dir --no-compile --no-index --no-deps /build/inkling-*.whl \
 && mv /opt/venv/lib/python3.11/site-packages/inkling/models /build/starters \
 && INKLING_MODELS=/build/starters /opt/venv/bin/inkling models build \
 && /opt/venv/bin/python -m pip uninstall --yes pip setuptools
# Removes 100 MB: plugins for graphics cards, readers of other model formats, other languages, tests and headers.
RUN cd /opt/venv/lib/python3.11/site-packages \
 && find openvino/libs -name 'libopenvino_intel_[gn]pu_plugin.so' -delete \
 && find openvino/libs -name 'libopenvino_*_frontend.so*' ! -name '*_onnx_*' ! -name '*_ir_*' -delete \
 && find openvino/libs -name cache.json -delete \
 && find babel/locale-data -name '*.dat' ! -name root.dat ! -name 'en*.dat' ! -name 'ru*.dat' -delete \
 && find . -type d '(' -name tests -o -name include ')' -prune -exec rm -r {} + \
 && find . -name '*.py[ix]' -delete -o -name '*.pxd' -delete
# Compiled now: the server's user may write only to the pictures.
RUN /opt/venv/bin/python -m compileall -q /opt/venv

FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1
LABEL org.opencontainers.image.title="Inkling" \
      org.opencontainers.image.description="Says what is in a photo or a drawing, and how sure it is" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 inkling \
 && useradd --uid 10001 --gid inkling --no-create-home --home-dir /nonexistent inkling \
 && install --directory --owner inkling --group inkling /srv/inkling/pictures
WORKDIR /srv/inkling
COPY --from=build /opt/venv /opt/venv
COPY --from=build /build/starters /srv/inkling/models
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PORT=8000 \
    INKLING_MODELS=/srv/inkling/models \
    INKLING_PICTURES=/srv/inkling/pictures
USER 10001:10001
VOLUME ["/srv/inkling/pictures", "/srv/inkling/models"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["inkling", "serve"]
