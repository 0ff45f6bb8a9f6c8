#!/usr/bin/env bash
# Makes the dev Kafka's image from the jars of src/dev/kafka/pom.xml, and pushes it where it names a registry:
#   k8s/dev/kafka-image/build.sh [localhost:5000/kafka:dev]
# BUILDER (buildah or docker; else the one that is there), BASE_IMAGE (Debian, or made from it) and
# PUSH=false are taken from the environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

image=${1:-localhost:5000/kafka:dev}
builder=${BUILDER:-$(command -v buildah > /dev/null && echo buildah || echo docker)}
base=${BASE_IMAGE:-docker.io/library/debian:bookworm-slim}

jars=$(node -e "import('./src/dev/kafka/jars.ts').then(async jars => console.log(await jars.ensureKafkaJars()))")
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp -r "$jars" "$context/libs"
cp k8s/dev/kafka-image/Dockerfile k8s/dev/kafka-image/entrypoint.sh src/dev/kafka/log4j2.properties "$context"

case "$builder" in
  buildah)
    buildah bud --layers --format docker --pull=missing --build-arg "BASE_IMAGE=$base" -t "$image" "$context"
    [ "${PUSH:-true}" = false ] || buildah push --tls-verify=false "$image"
    ;;
  docker)
    docker build --build-arg "BASE_IMAGE=$base" -t "$image" "$context"
    [ "${PUSH:-true}" = false ] || docker push "$image"
    ;;
  *)
    echo "BUILDER is '$builder'; allowed: buildah, docker" >&2
    exit 2
    ;;
esac
