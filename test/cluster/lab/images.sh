#!/usr/bin/env bash
# The images that the cluster itself needs, made here and pushed to the local registry unless it has them.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
wait_for 10 curl -sf -o /dev/null "http://$REGISTRY/v2/"

# The process that holds a pod's namespaces: it ends on request and reaps what is left to it.
push_pause() {
  cat >"$LAB/run/pause.c" <<'C'
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { _exit(0); }
static void reap(int signal) { while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void) {
  signal(SIGTERM, end);
  signal(SIGINT, end);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
C
  gcc -Os -static -s -o "$LAB/run/pause" "$LAB/run/pause.c"
  push_binary pause:1 65535:65535 "$LAB/run/pause"
}

# A shell for init containers and for people.
push_busybox() {
  local container root
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  mkdir -p "$root/bin" "$root/tmp" "$root/etc"
  cp /bin/busybox "$root/bin/"
  chroot "$root" /bin/busybox --install -s /bin
  echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"
  buildah umount "$container" >/dev/null
  buildah config --cmd /bin/sh "$container"
  buildah commit -q --rm "$container" "$REGISTRY/busybox:1" >/dev/null
  buildah push -q --tls-verify=false "$REGISTRY/busybox:1"
}

has_image pause 1 || push_pause
has_image busybox 1 || push_busybox
has_image coredns "$COREDNS_VERSION" || push_binary "coredns:$COREDNS_VERSION" 0 "$LAB_TOOLS/coredns"
