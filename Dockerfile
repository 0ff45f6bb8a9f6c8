# Tidemark's image: one program, its command as the arguments (`docker run tidemark aggregate`).
#
#   docker build -t tidemark .                                            (BuildKit: Docker 23 or later)
#   buildah bud --format docker --pull=missing -t tidemark .              (OCI images know no HEALTHCHECK)
#
# The base image is a build argument. For a build that can be repeated, pin its digest; this prints it:
#   docker buildx imagetools inspect docker.io/library/node:24-bookworm-slim --format '{{.Manifest.Digest}}'
#   docker build --build-arg NODE_IMAGE=docker.io/library/node:24-bookworm-slim@sha256:<digest> .
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

FROM ${NODE_IMAGE} AS base
WORKDIR /app
# Only these decide what is installed, so a change of the source keeps those layers.
COPY package.json package-lock.json .npmrc ./

# Node as process 1 ignores SIGTERM until a role has installed its handler, and in commands without one for ever; tini
# hands on every signal, and reaps what `kubectl exec` leaves behind.
FROM ${NODE_IMAGE} AS init
# hadolint ignore=DL3008,DL3009
RUN apt-get update && apt-get install -y --no-install-recommends tini

FROM base AS all-packages
# Without install scripts: the package `node` would fetch a second Node, and the base image has it.
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts

FROM all-packages AS build
# Here and not beside the production packages: npm sbom fails where packages of the lock are missing, even those to omit.
RUN npm sbom --sbom-format cyclonedx --sbom-type application --omit dev | sed 's/"name": "app"/"name": "tidemark"/' > sbom.cdx.json
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/
COPY src src
RUN node scripts/build.ts

FROM base AS packages
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts
COPY scripts/prune.ts scripts/
RUN node scripts/prune.ts node_modules

# For fast loops (skaffold dev): the source itself, its types stripped by Node. Its user may replace it.
FROM all-packages AS dev
COPY --from=init /usr/bin/tini-static /usr/bin/tini
COPY --chmod=0755 scripts/image/tidemark-dev.sh /usr/local/bin/tidemark
COPY --chown=10001:10001 src src
ENV HOME=/tmp
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["tini", "-s", "--", "tidemark"]
CMD ["--help"]

FROM ${NODE_IMAGE} AS image
WORKDIR /app
ENV NODE_ENV=production HOME=/tmp
COPY --from=init /usr/bin/tini-static /usr/bin/tini
COPY --chmod=0755 scripts/image/tidemark.sh /usr/local/bin/tidemark
COPY LICENSE ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/sbom.cdx.json ./
COPY --from=build /app/dist dist
COPY package.json ./
# Nothing in the image belongs to this user, and nothing has to be written: a read-only root is enough.
USER 10001:10001
EXPOSE 8080
# For Docker; Kubernetes asks by its own probes. Commands that are no role answer on no port: HTTP_PORT=0 says so.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["node", "-e", "\
  const port = process.env.HTTP_PORT || '8080';\
  if (port === '0') process.exit(0);\
  fetch(`http://127.0.0.1:${port}/livez`).then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "-s", "--", "tidemark"]
CMD ["--help"]
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Tidemark" \
  org.opencontainers.image.description="Exact, windowed login statistics on Kafka, native to Kubernetes" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
