#!/usr/bin/env bash
# Ends all that up.sh has started: processes by their recorded ids, pods, mounts, bridges, rules. The cluster's state and
# its images stay for the next time; with --wipe they are removed, too. Programs that were built stay in any case.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ "$(id -u)" != 0 ]; then
  echo 'only root can take the cluster down' >&2
  exit 1
fi

in_containerd() { ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }

# The kubelet goes first: it would start again what is ended here.
for name in kubelet kube-proxy kube-scheduler kube-controller-manager; do stop "$name"; done

if pid_of containerd >/dev/null; then
  for task in $(in_containerd tasks ls -q 2>/dev/null); do
    in_containerd tasks kill -s KILL "$task" 2>/dev/null || true
  done
  for _ in $(seq 20); do
    in_containerd tasks ls 2>/dev/null | grep -q RUNNING || break
    sleep 0.25
  done
  for task in $(in_containerd tasks ls -q 2>/dev/null); do
    in_containerd tasks rm -f "$task" >/dev/null 2>&1 || true
  done
  if [ "${1:-}" = --wipe ]; then
    for container in $(in_containerd containers ls -q); do in_containerd containers rm "$container" || true; done
  fi
fi
for name in kube-apiserver etcd; do stop "$name"; done
stop registry docker-registry
stop containerd

# Shims outlive containerd on purpose; without tasks they have nothing to do.
for shim in /proc/[0-9]*; do
  command=$({ tr '\0' ' ' <"$shim/cmdline"; } 2>/dev/null) || continue
  if [[ $command == *containerd-shim*"-address $CONTAINERD_SOCKET"* ]]; then kill -9 "${shim#/proc/}" 2>/dev/null || true; fi
done

# Pods' networks: what the CNI plugins remember of ours names the namespaces. Their cables go with them.
for record in "/var/lib/cni/results/$CNI_NETWORK-"*-eth0; do
  [ -f "$record" ] || continue
  for namespace in $(jq -r '.result.interfaces[]?.sandbox // empty' "$record" | sort -u); do
    umount "$namespace" 2>/dev/null || true
    rm -f "$namespace"
  done
  loopback=/var/lib/cni/results/cni-loopback-$(jq -r .containerId "$record")-lo
  rm -f "$record" "$loopback"
done
awk '{print $2}' /proc/mounts | grep -E "^($LAB/kubelet|$LAB/containerd|/run/tidemark-cluster)/" | sort -r |
  while read -r mount; do umount "$mount" || umount -l "$mount"; done
rm -rf /run/tidemark-cluster
for bridge in "$POD_BRIDGE" "$NODE_BRIDGE"; do ip link del "$bridge" 2>/dev/null || true; done

kube-proxy --cleanup >/dev/null 2>&1 || true
while rule=$(iptables -S FORWARD | grep -m1 -e "-s $POD_CIDR .*-j REJECT"); do
  # shellcheck disable=SC2086 # a rule is several words
  iptables -D FORWARD ${rule#-A FORWARD }
done
# The kubelet leaves its own rules behind.
for chain in INPUT OUTPUT; do iptables -D "$chain" -j KUBE-FIREWALL 2>/dev/null || true; done
for table in filter nat mangle; do
  for chain in KUBE-FIREWALL KUBE-KUBELET-CANARY KUBE-IPTABLES-HINT; do
    iptables -t "$table" -F "$chain" 2>/dev/null && iptables -t "$table" -X "$chain" 2>/dev/null || true
  done
done

if [ "${1:-}" = --wipe ]; then
  (cd "$LAB" && rm -rf etcd pki containerd kubelet registry run log node-image)
fi
echo 'the cluster is down'
