#!/usr/bin/env bash
# KEDA from its own manifests and images of its own binaries; its sources come as a Go module.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
STARTED=$(date +%s)
TAG=$KEDA_VERSION-tz

has_image keda "$TAG" || push_binary "keda:$TAG" 65532:65532 "$LAB_TOOLS/keda"
has_image keda-metrics-apiserver "$TAG" || push_binary "keda-metrics-apiserver:$TAG" 65532:65532 "$LAB_TOOLS/keda-adapter"
has_image keda-admission-webhooks "$TAG" ||
  push_binary "keda-admission-webhooks:$TAG" 65532:65532 "$LAB_TOOLS/keda-admission-webhooks"

SOURCES=$(go mod download -json "github.com/kedacore/keda/v2@v$KEDA_VERSION" | jq -r .Dir)
kubectl kustomize "$SOURCES/config/default" | sed -E \
  -e "s#ghcr.io/kedacore/(keda[a-z-]*):[a-z0-9.]+#$REGISTRY/\1:$TAG#" \
  -e 's#imagePullPolicy: Always#imagePullPolicy: IfNotPresent#' >"$LAB/run/keda.yaml"
# Server-side: the definitions are larger than what the client may keep in an annotation.
kubectl apply --server-side --force-conflicts -f "$LAB/run/keda.yaml" >"$LAB/log/keda-apply.log"
for deployment in keda-operator keda-metrics-apiserver keda-admission; do
  kubectl -n keda rollout status "deployment/$deployment" --timeout=180s >/dev/null
done
kubectl wait --for=condition=Available apiservice/v1beta1.external.metrics.k8s.io --timeout=120s >/dev/null
echo "KEDA is up after $(($(date +%s) - STARTED)) s"
