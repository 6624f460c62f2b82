#!/usr/bin/env bash
# A sweep as a PBS job array, without dask: each task computes its share of the blocks.
#
#     id=$(qsub -J 1-64 -v RECIPE=recipe.toml,OUT=out/spectra.h5,SHARDS=64 jobs/pbs-array.sh)
#     echo 'cd "$PBS_O_WORKDIR" && ntkspec merge out/spectra.h5.parts -o out/spectra.h5' |
#         qsub -W depend=afterok:"$id"
#
# (Torque: -t 1-64, and depend=afterokarray.)  SHARDS is the length of the array, which counts
# from 1.  After a kill, or the end of the time, submit the same lines again: blocks that are done
# are not computed again.
#
# Queue, account and -l may be given to qsub.  NTKSPEC is the command, if it is not on the PATH.
#
#PBS -N ntkspec
#PBS -l select=1:ncpus=1:mem=2gb
#PBS -l walltime=04:00:00
#PBS -r y
#PBS -j oe
set -euo pipefail

: "${RECIPE:?give it with qsub -v}" "${OUT:?give it with qsub -v}" "${SHARDS:?give it with qsub -v}"
# The second name is Torque's.
index=${PBS_ARRAY_INDEX:-${PBS_ARRAYID:?submit this with -J 1-N}}
cd "$PBS_O_WORKDIR"
exec "${NTKSPEC:-ntkspec}" sweep "$RECIPE" -o "$OUT" --shard "$index/$SHARDS"
