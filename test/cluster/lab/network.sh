#!/usr/bin/env bash
# The node's address on a bridge of its own, the route to the services, and the pods' network.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if ! ip link show "$NODE_BRIDGE" >/dev/null 2>&1; then
  ip link add "$NODE_BRIDGE" type bridge
  ip addr add "$NODE_IP/24" dev "$NODE_BRIDGE"
  ip link set "$NODE_BRIDGE" up
fi
# Without it a service's address would leave this machine before kube-proxy's rules see it.
ip route replace "$SERVICE_CIDR" dev "$NODE_BRIDGE" src "$NODE_IP"

modprobe br_netfilter 2>/dev/null || true
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1

# Pods reach this machine alone. What they send further out is refused at once, where it would hang otherwise.
for device in $(ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p'); do
  iptables -C FORWARD -o "$device" -s "$POD_CIDR" -j REJECT 2>/dev/null ||
    iptables -I FORWARD -o "$device" -s "$POD_CIDR" -j REJECT
done

# The kubelet mounts volumes that containers must see.
mount --make-rshared /

mkdir -p "$LAB/run/cni"
cat >"$LAB/run/cni/10-lab.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "$CNI_NETWORK",
  "plugins": [
    {
      "type": "bridge", "bridge": "$POD_BRIDGE", "isGateway": true, "isDefaultGateway": true,
      "ipMasq": false, "hairpinMode": true, "mtu": 1400,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "$POD_CIDR"}]], "dataDir": "$IPAM_DIR"}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
