#!/usr/bin/env bash
# Node's official slim image, made here where no registry can be reached: Debian by debootstrap, the Node binary of the npm
# package, npm of this machine, and the machine's own certificates, which npm inside of a build needs.
# It stands under the official names, so that an ordinary Dockerfile builds with `buildah bud --pull=never`.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
IMAGE=docker.io/library/node
ROOT=$LAB/node-image/root
PACKAGE=$LAB/node-image/package

if buildah inspect --type image "$IMAGE:24-bookworm-slim" >/dev/null 2>&1 && [ "${1:-}" != --again ]; then
  echo "$IMAGE:24-bookworm-slim is there"
  exit 0
fi

if [ ! -x "$ROOT/bin/bash" ]; then
  mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | head -1)
  debootstrap --variant=minbase --include=ca-certificates bookworm "$ROOT" "$mirror"
fi
rm -rf "$ROOT"/var/cache/apt/archives/*.deb "$ROOT"/var/lib/apt/lists/*
rm -rf "$ROOT"/usr/share/doc/* "$ROOT"/usr/share/man/* "$ROOT"/usr/share/locale/*
if ! chroot "$ROOT" id node >/dev/null 2>&1; then
  chroot "$ROOT" groupadd -g 1000 node
  chroot "$ROOT" useradd -u 1000 -g node -s /bin/bash -m node
fi

if [ ! -x "$PACKAGE/node_modules/node/bin/node" ]; then
  mkdir -p "$PACKAGE"
  (cd "$PACKAGE" && npm init -y >/dev/null && npm install --no-audit --no-fund node@24 >/dev/null)
fi
cp -f "$(readlink -f "$PACKAGE/node_modules/.bin/node")" "$ROOT/usr/local/bin/node"

mkdir -p "$ROOT/usr/local/lib/node_modules" "$ROOT/usr/local/etc"
cp -rf "$(npm root -g)"/npm "$ROOT/usr/local/lib/node_modules/"
ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$ROOT/usr/local/bin/npm"
ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$ROOT/usr/local/bin/npx"
cp -f /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/ca-certificates.crt"
echo 'cafile=/etc/ssl/certs/ca-certificates.crt' >"$ROOT/usr/local/etc/npmrc"

# As in the official image: what is no program is an argument of node.
cat >"$ROOT/usr/local/bin/docker-entrypoint.sh" <<'SH'
#!/bin/sh
set -e
if [ "${1#-}" != "${1}" ] || [ -z "$(command -v "${1}")" ] || { [ -f "${1}" ] && ! [ -x "${1}" ]; }; then
  set -- node "$@"
fi
exec "$@"
SH
chmod +x "$ROOT/usr/local/bin/docker-entrypoint.sh"

version=$("$ROOT/usr/local/bin/node" --version)
container=$(buildah from scratch)
buildah add -q "$container" "$ROOT" / >/dev/null
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env "NODE_VERSION=${version#v}" --entrypoint '["docker-entrypoint.sh"]' --cmd node "$container"
buildah commit -q --rm "$container" "$IMAGE:24-bookworm-slim" >/dev/null
for tag in 24-slim 24; do buildah tag "$IMAGE:24-bookworm-slim" "$IMAGE:$tag"; done
echo "$IMAGE:24-bookworm-slim is Node ${version#v}"
