#!/usr/bin/env bash
# Certificate authorities, certificates and kubeconfigs; made once.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$LAB/pki"
[ -f admin.conf ] && exit 0

authority() { # NAME COMMON-NAME
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -keyout "$1.key" -out "$1.crt" -subj "/CN=$2" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

certificate() { # NAME AUTHORITY SUBJECT USAGE [ALTERNATIVE-NAMES]
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "$3" 2>/dev/null
  {
    echo 'keyUsage=critical,digitalSignature,keyEncipherment'
    echo "extendedKeyUsage=$4"
    if [ -n "${5:-}" ]; then echo "subjectAltName=$5"; fi
  } >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 3650 -extfile "$1.ext" \
    -out "$1.crt" 2>/dev/null
  rm "$1.csr" "$1.ext"
}

kubeconfig() { # NAME-OF-THE-CERTIFICATE
  local file=$1.conf
  kubectl config --kubeconfig="$file" set-cluster lab --server="https://$NODE_IP:6443" \
    --certificate-authority=ca.crt --embed-certs=true
  kubectl config --kubeconfig="$file" set-credentials "$1" --client-certificate="$1.crt" --client-key="$1.key" \
    --embed-certs=true
  kubectl config --kubeconfig="$file" set-context lab --cluster=lab --user="$1"
  kubectl config --kubeconfig="$file" use-context lab
}

authority ca tidemark-lab-ca
authority front-proxy-ca tidemark-lab-front-proxy-ca
openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null

API_NAMES=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
certificate apiserver ca /CN=kube-apiserver serverAuth \
  "$API_NAMES,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$API_SERVICE_IP"
certificate kubelet-serving ca "/O=system:nodes/CN=system:node:$NODE_NAME" serverAuth \
  "DNS:$NODE_NAME,IP:$NODE_IP,IP:127.0.0.1"
certificate front-proxy-client front-proxy-ca /CN=front-proxy-client clientAuth
certificate apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
certificate admin ca /O=system:masters/CN=admin clientAuth
certificate controller-manager ca /CN=system:kube-controller-manager clientAuth
certificate scheduler ca /CN=system:kube-scheduler clientAuth
certificate kubelet ca "/O=system:nodes/CN=system:node:$NODE_NAME" clientAuth
certificate kube-proxy ca /CN=system:kube-proxy clientAuth

# admin.conf comes last: it says that all is there.
for name in controller-manager scheduler kubelet kube-proxy admin; do kubeconfig "$name" >/dev/null; done
chmod 600 ./*.key ./*.conf
