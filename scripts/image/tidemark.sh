#!/bin/sh
# Tidemark in the image. As in package.json: V8 lets its young generation grow with the machine's memory, to 128 MiB where 8 do.
exec node --max-semi-space-size=8 /app/dist/main.js "$@"
