# The package as a wheel, with what uv.lock names, and nothing to build with: docs/operating.md.
FROM python:3.12.11-slim-trixie AS build

WORKDIR /build
COPY scripts/setup-requirements.txt pyproject.toml uv.lock README.md LICENSE ./
RUN pip install --no-cache-dir --require-hashes --requirement setup-requirements.txt
RUN uv export --frozen --no-default-groups --no-emit-project --format requirements-txt --output-file locked.txt \
        --extra gateway --extra index --extra postgres --extra evidence
RUN python -m venv /opt/medproof \
    && /opt/medproof/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement locked.txt
COPY medproof medproof
RUN uv build --wheel --out-dir dist \
    && /opt/medproof/bin/pip install --no-cache-dir --no-deps --no-index dist/*.whl

FROM python:3.12.11-slim-trixie

LABEL org.opencontainers.image.title="MedProof" org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/medproof/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client-17 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/medproof /opt/medproof
COPY --chmod=755 scripts/compose/healthy.py /usr/local/bin/medproof-healthy
USER 1000:1000
WORKDIR /tmp
ENTRYPOINT ["medproof"]
CMD ["--help"]
