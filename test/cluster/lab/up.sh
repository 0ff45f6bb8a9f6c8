#!/usr/bin/env bash
# A real single-node Kubernetes on this machine, as root: containerd, a registry, etcd, the control plane, kubelet,
# kube-proxy and CoreDNS. What runs already is left alone, so it can be called at any time.
#   HPA_SYNC=5s   how often the autoscaler looks (Kubernetes' own default: 15s)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
PKI=$LAB/pki
STARTED=$(date +%s)

mkdir -p "$(dirname "$OWNER_FILE")"
echo "$LAB" >"$OWNER_FILE"
"$LAB_SCRIPTS/network.sh"
"$LAB_SCRIPTS/certificates.sh"

start_containerd() {
  mkdir -p "$CONTAINERD_STATE" "$LAB/containerd"
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE the negative score of a sandbox is refused, and every pod fails.
  cat >"$LAB/run/containerd.toml" <<TOML
version = 2
root = "$LAB/containerd"
state = "$CONTAINERD_STATE"
[grpc]
  address = "$CONTAINERD_SOCKET"
[plugins."io.containerd.internal.v1.opt"]
  path = "$LAB/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$REGISTRY/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$LAB/run/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
TOML
  start containerd nice -n 5 containerd -c "$LAB/run/containerd.toml"
}

start_registry() {
  cat >"$LAB/run/registry.yml" <<YAML
version: 0.1
storage: {cache: {blobdescriptor: inmemory}, filesystem: {rootdirectory: $LAB/registry}, delete: {enabled: true}}
http: {addr: "127.0.0.1:5000"}
YAML
  start registry docker-registry serve "$LAB/run/registry.yml"
}

start_etcd() {
  # No fsync: the state is worth nothing after a power failure, and disks may be slow.
  start etcd etcd --name lab --data-dir "$LAB/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster lab=http://127.0.0.1:2380
}

start_api_server() {
  # Port-forwards and the metrics adapter go by the front proxy's certificate.
  start kube-apiserver kube-apiserver \
    --bind-address="$NODE_IP" --advertise-address="$NODE_IP" --secure-port=6443 \
    --etcd-servers=http://127.0.0.1:2379 --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" \
    --kubelet-client-key="$PKI/apiserver-kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
    --service-cluster-ip-range="$SERVICE_CIDR" --allow-privileged=true \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User \
    --proxy-client-cert-file="$PKI/front-proxy-client.crt" --proxy-client-key-file="$PKI/front-proxy-client.key" \
    --enable-aggregator-routing=false --event-ttl=30m --profiling=false
}

start_controllers() {
  local config=$PKI/controller-manager.conf
  start kube-controller-manager kube-controller-manager --kubeconfig="$config" \
    --authentication-kubeconfig="$config" --authorization-kubeconfig="$config" --bind-address=127.0.0.1 \
    --leader-elect=false --use-service-account-credentials=true --profiling=false \
    --service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" \
    --client-ca-file="$PKI/ca.crt" --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --horizontal-pod-autoscaler-sync-period="${HPA_SYNC:-5s}"
}

start_scheduler() {
  local config=$PKI/scheduler.conf
  start kube-scheduler kube-scheduler --kubeconfig="$config" --authentication-kubeconfig="$config" \
    --authorization-kubeconfig="$config" --bind-address=127.0.0.1 --leader-elect=false --profiling=false
}

start_kubelet() {
  echo "nameserver $DNS_SERVICE_IP" >"$LAB/run/resolv.conf"
  mkdir -p "$LAB/kubelet"
  cat >"$LAB/run/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
healthzBindAddress: 127.0.0.1
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet-serving.crt
tlsPrivateKeyFile: $PKI/kubelet-serving.key
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: ["$DNS_SERVICE_IP"]
resolvConf: $LAB/run/resolv.conf
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
staticPodPath: ""
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
maxPods: 110
YAML
  start kubelet kubelet --config="$LAB/run/kubelet.yaml" --kubeconfig="$PKI/kubelet.conf" --node-ip="$NODE_IP" \
    --hostname-override="$NODE_NAME" --root-dir="$LAB/kubelet"
}

start_proxy() {
  cat >"$LAB/run/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: $NODE_IP
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: $PKI/kube-proxy.conf}
mode: iptables
clusterCIDR: $POD_CIDR
hostnameOverride: $NODE_NAME
nodePortAddresses: ["$NODE_IP/32"]
conntrack: {maxPerCore: 0}
YAML
  start kube-proxy kube-proxy --config="$LAB/run/kube-proxy.yaml"
}

# Configuration is written only for what starts: kube-proxy ends when its file is touched.
pid_of containerd >/dev/null || start_containerd
pid_of registry docker-registry >/dev/null || start_registry
pid_of etcd >/dev/null || start_etcd
pid_of kube-apiserver >/dev/null || start_api_server
wait_for 60 kubectl get --raw /readyz
pid_of kube-controller-manager >/dev/null || start_controllers
pid_of kube-scheduler >/dev/null || start_scheduler
"$LAB_SCRIPTS/images.sh"
pid_of kubelet >/dev/null || start_kubelet
pid_of kube-proxy >/dev/null || start_proxy

wait_for 60 kubectl get node "$NODE_NAME"
sed "s#@REGISTRY@#$REGISTRY#; s#@VERSION@#$COREDNS_VERSION#" "$LAB_SCRIPTS/manifests/coredns.yaml" |
  kubectl apply -f - >/dev/null
kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=120s >/dev/null
kubectl -n kube-system rollout status deployment/coredns --timeout=120s >/dev/null
echo "Kubernetes is up after $(($(date +%s) - STARTED)) s"
