#!/bin/sh
# Writes the time to a file, again and again: heartbeat FILE SECONDS
set -eu
while true; do
    date -u +%Y-%m-%dT%H:%M:%SZ >"$1"
    sleep "$2"
done
