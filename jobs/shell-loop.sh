#!/usr/bin/env bash
# A sweep on one machine without dask and without a batch system: N processes side by side, each
# with its share of the blocks, then the table.
#
#     jobs/shell-loop.sh recipe.toml out/spectra.h5 4
#
# Killed and run again, it goes on.  On several machines with a common file system run the line
# of the loop on each with its own I, and `ntkspec merge` at the end.
#
# NTKSPEC is the command, if it is not on the PATH.
set -euo pipefail

if [[ $# -ne 3 ]]; then
    echo "usage: shell-loop.sh RECIPE OUT N" >&2
    exit 2
fi
ntkspec=${NTKSPEC:-ntkspec}

shards=()
# Processes in the background do not receive Ctrl-C.
trap 'kill "${shards[@]}" 2>/dev/null; exit 130' INT TERM
for ((i = 1; i <= $3; i++)); do
    "$ntkspec" sweep "$1" -o "$2" --shard "$i/$3" &
    shards+=("$!")
done
failed=0
for shard in "${shards[@]}"; do
    wait "$shard" || failed=$?
done
if [[ $failed -ne 0 ]]; then
    echo "not all blocks are there; the same command again resumes the work" >&2
    exit "$failed"
fi
"$ntkspec" merge "$2.parts" -o "$2"
