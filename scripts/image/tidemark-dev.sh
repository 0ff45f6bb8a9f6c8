#!/bin/sh
# Tidemark in the dev image: the source itself. Roles start again when a file of theirs changes, after they have drained;
# a command that ends (the hook that creates the topics) must not wait for changes.
case "${1:-}" in
  aggregate | reduce | sink | serve | generate) set -- --watch --watch-preserve-output --max-semi-space-size=8 /app/src/main.ts "$@" ;;
  *) set -- --max-semi-space-size=8 /app/src/main.ts "$@" ;;
esac
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
exec node "$@"
