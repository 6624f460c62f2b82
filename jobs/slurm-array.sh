#!/usr/bin/env bash
# A sweep as a SLURM job array, without dask: each task computes its share of the blocks.
#
#     id=$(sbatch --parsable --array=1-64 jobs/slurm-array.sh recipe.toml out/spectra.h5)
#     sbatch --dependency=afterok:"$id" --wrap 'ntkspec merge out/spectra.h5.parts -o out/spectra.h5'
#
# The array counts from 1.  A task whose time runs out goes back to the queue by itself; after
# anything else (scancel, a node that failed) submit the same two lines again: blocks that are
# done are not computed again.  Submit whole arrays only, as the share depends on their length.
#
# Partition, account, --time and --mem may be given to sbatch, before the name of this script.
# NTKSPEC is the command, if it is not on the PATH.
#
#SBATCH --job-name=ntkspec
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --output=ntkspec-%A_%a.out
set -euo pipefail

if [[ $# -ne 2 ]]; then
    echo "usage: sbatch --array=1-N slurm-array.sh RECIPE OUT" >&2
    exit 2
fi
shard="${SLURM_ARRAY_TASK_ID:?submit this with --array=1-N}/$SLURM_ARRAY_TASK_COUNT"

"${NTKSPEC:-ntkspec}" sweep "$1" -o "$2" --shard "$shard" &
sweep=$!
# USR1 warns that the time is nearly over.  The limit ends a task that never finishes.
again() {
    kill "$sweep" || true
    if [[ ${SLURM_RESTART_COUNT:-0} -lt 50 ]]; then
        scontrol requeue "$SLURM_JOB_ID"
    fi
}
trap again USR1
wait "$sweep"
