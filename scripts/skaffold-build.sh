#!/usr/bin/env bash
# How skaffold builds with buildah, where no Docker daemon runs: skaffold gives IMAGE, BUILD_CONTEXT and PUSH_IMAGE in the
# environment. The argument is the target in the Dockerfile: image (by default) or dev.
# BUILDAH_ARGS may hold more arguments, as `--build-arg NODE_IMAGE=…`.
set -euo pipefail

target=${1:-image}
revision=$(git -C "$BUILD_CONTEXT" rev-parse HEAD 2> /dev/null || echo unknown)

# An image of the OCI format would lose the HEALTHCHECK.
# shellcheck disable=SC2086
buildah bud --layers --format docker --pull=missing --target "$target" --build-arg "REVISION=$revision" \
  ${BUILDAH_ARGS:-} -t "$IMAGE" "$BUILD_CONTEXT"

if [ "${PUSH_IMAGE:-false}" = true ]; then
  # Only a registry of this machine may do without TLS.
  case "$IMAGE" in
    localhost:* | 127.0.0.1:*) buildah push --tls-verify=false "$IMAGE" ;;
    *) buildah push "$IMAGE" ;;
  esac
fi
