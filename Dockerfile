# syntax=docker/dockerfile:1
# nftlab with torch (its CUDA libraries come as wheels; the host brings the driver).  docker build -t nftlab .
FROM python:3.12-slim

WORKDIR /nftlab

# The dependencies in a layer of their own: code changes every day, torch does not.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY nftlab/__init__.py nftlab/
COPY sweeps sweeps
COPY reports/nft reports/nft
COPY db db
RUN pip install --no-cache-dir -c constraints.txt '.[postgres]'
COPY . .
RUN pip install --no-cache-dir --no-deps .

# A password that is mounted as a file, as Docker's secrets are, becomes what Postgres' own library reads; it never stands in an image, a
# command line or a URL.
COPY --chmod=755 <<'ENTRYPOINT' /usr/local/bin/nftlab-entrypoint
#!/bin/sh
set -eu
if [ -n "${PGPASSWORD_FILE:-}" ]; then
  PGPASSWORD=$(cat "$PGPASSWORD_FILE")
  export PGPASSWORD
fi
exec nftlab "$@"
ENTRYPOINT

WORKDIR /lab
ENTRYPOINT ["nftlab-entrypoint"]
CMD ["--help"]
