#!/bin/sh
# Tidemark in the image. As in package.json: V8 lets its young generation grow with the machine's memory, to 128 MiB where 8 do,
# and glibc has an arena for each thread, of which none gives back to another what it has no use for.
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
exec node --max-semi-space-size=8 /app/dist/main.js "$@"
