# Settings and functions of the scripts in this folder, which source this file. Nothing is ever written beside the scripts:
# all state lies under $TIDEMARK_CLUSTER_HOME, and programs come from $TIDEMARK_CLUSTER_TOOLS.
#
#   bin/       programs, unless the tools are elsewhere      pki/      certificates and kubeconfigs (admin.conf is yours)
#   run/       pid files and generated configuration         log/      a log for each process
#   etcd/      the cluster's state                           registry/ pushed images
#   containerd/, kubelet/, node-image/                       what their names say

set -euo pipefail

LAB_SCRIPTS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
LAB="${TIDEMARK_CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/tidemark-cluster}"
LAB_TOOLS="${TIDEMARK_CLUSTER_TOOLS:-$LAB/bin}"

NODE_NAME=lab
NODE_BRIDGE=kube0
NODE_IP=10.250.0.1
POD_BRIDGE=cni0
POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/16
API_SERVICE_IP=10.96.0.1
DNS_SERVICE_IP=10.96.0.10
CNI_NETWORK=tidemark-lab
REGISTRY=localhost:5000

CONTAINERD_STATE=/run/tidemark-cluster/containerd
CONTAINERD_SOCKET=$CONTAINERD_STATE/containerd.sock
IPAM_DIR=/run/tidemark-cluster/ipam

COREDNS_VERSION=1.14.7
KEDA_VERSION=2.20.2

OWNER_FILE=/run/tidemark-cluster/home

# A machine has one such cluster at most: addresses and ports are fixed.
if [ -f "$OWNER_FILE" ] && [ "$(cat "$OWNER_FILE")" != "$LAB" ]; then
  echo "there is a cluster of $(cat "$OWNER_FILE") on this machine; TIDEMARK_CLUSTER_HOME=$(cat "$OWNER_FILE") takes it" >&2
  exit 1
fi

export PATH="$LAB_TOOLS:$PATH"
export KUBECONFIG="$LAB/pki/admin.conf"
mkdir -p "$LAB"/{bin,log,run,pki}

# The process that a pid file names, if it still is that program: pid files outlive their processes.
#   pid_of NAME [WORD-OF-ITS-COMMAND-LINE]
pid_of() {
  local name=$1 word=${2:-$1} pid command
  [ -f "$LAB/run/$name.pid" ] || return 1
  pid=$(cat "$LAB/run/$name.pid")
  command=$({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null) || return 1
  [[ $command == *"$word"* ]] || return 1
  echo "$pid"
}

# Starts a program in the background unless it runs already.
#   start NAME COMMAND...
start() {
  local name=$1
  shift
  setsid nohup "$@" >"$LAB/log/$name.log" 2>&1 </dev/null &
  echo $! >"$LAB/run/$name.pid"
}

# Asks a program to end, and ends it after 10 s.
#   stop NAME [WORD-OF-ITS-COMMAND-LINE]
stop() {
  local name=$1 pid
  if pid=$(pid_of "$@"); then
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 40); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.25
    done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$LAB/run/$name.pid"
}

# Tries a command twice a second until it succeeds.
#   wait_for SECONDS COMMAND...
wait_for() {
  local seconds=$1
  shift
  for _ in $(seq $((seconds * 2))); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.5
  done
  echo "not within $seconds s: $*; logs are in $LAB/log" >&2
  return 1
}

# Whether the local registry has an image.
#   has_image NAME TAG
has_image() {
  curl -sf -o /dev/null -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$REGISTRY/v2/$1/manifests/$2"
}

# Makes an image of one static binary, with time zones and certificates as in distroless, and pushes it.
#   push_binary NAME:TAG USER BINARY
push_binary() {
  local image=$REGISTRY/$1 user=$2 binary entry container
  entry=/$(basename "$3")
  # Programs may be links to where they were built.
  binary=$(readlink -f "$3")
  container=$(buildah from scratch)
  buildah copy -q "$container" "$binary" "$entry" >/dev/null
  buildah copy -q "$container" /usr/share/zoneinfo /usr/share/zoneinfo >/dev/null
  buildah copy -q "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt >/dev/null
  buildah config --entrypoint "[\"$entry\"]" --user "$user" "$container"
  buildah commit -q --rm "$container" "$image" >/dev/null
  buildah push -q --tls-verify=false "$image"
}
