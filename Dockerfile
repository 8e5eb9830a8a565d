# Inkling as a container: docker build -t inkling . && docker run --rm -p 8000:8000 inkling
# No TensorFlow and no compiler: only what serves. deploy/compose.yaml runs it with nothing that it does not need.
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /build
COPY requirements-serve.txt ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --no-compile -r requirements-serve.txt \
 && /opt/venv/bin/python -m pip uninstall --yes pip setuptools
# What a server without a graphics card, for two languages, never opens: 100 MB.
RUN cd /opt/venv/lib/python3.11/site-packages \
 && find openvino/libs -name 'libopenvino_intel_[gn]pu_plugin.so' -delete \
 && find openvino/libs -name 'libopenvino_*_frontend.so*' ! -name '*_onnx_*' ! -name '*_ir_*' -delete \
 && find openvino/libs -name cache.json -delete \
 && find babel/locale-data -name '*.dat' ! -name root.dat ! -name 'en*.dat' ! -name 'ru*.dat' -delete \
 && find . -type d '(' -name tests -o -name include ')' -prune -exec rm -r {} + \
 && find . -name '*.py[ix]' -delete -o -name '*.pxd' -delete

FROM python:3.11.13-slim-bookworm
LABEL org.opencontainers.image.title="Inkling" \
      org.opencontainers.image.description="Says what is in a photo or a drawing, and how sure it is"
RUN groupadd --gid 10001 inkling \
 && useradd --uid 10001 --gid inkling --no-create-home --home-dir /nonexistent inkling \
 && install --directory --owner inkling --group inkling /srv/inkling/pictures
WORKDIR /app
COPY --from=build /opt/venv /opt/venv
COPY app.py gunicorn.conf.py ./
COPY inkling inkling
COPY templates templates
COPY static static
COPY models /srv/inkling/models
# Compiled now, for its user may write nowhere but to the pictures.
RUN /opt/venv/bin/python -m compileall -q /app /opt/venv
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
CMD ["gunicorn", "app:app"]
