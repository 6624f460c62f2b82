#!/usr/bin/env bash
# A sweep on dask inside one SLURM job, on as many processors and nodes as it is given: a
# scheduler, a worker for each task of the job, and ntkspec as their client.
#
#     sbatch --ntasks=64 jobs/slurm-dask.sh recipe.toml out/spectra.h5
#
# After the end of its time, or a kill, submit the same line again: it goes on.  Where the queue
# likes small jobs better than one large one, `ntkspec sweep ... --cluster slurm` submits one for
# each worker instead.
#
# Partition, account, --time and --mem-per-cpu may be given to sbatch, before the name of this
# script.  NTKSPEC and DASK are the commands, if they are not on the PATH.  DASHBOARD is where
# dask's dashboard listens, as 0.0.0.0:8787; without it, on a free port of the node alone.
#
#SBATCH --job-name=ntkspec
#SBATCH --ntasks=8
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --output=ntkspec-%j.out
set -euo pipefail

if [[ $# -ne 2 ]]; then
    echo "usage: sbatch --ntasks=N slurm-dask.sh RECIPE OUT" >&2
    exit 2
fi
dask=${DASK:-dask}
# Its workers' profile costs time, and can deadlock a worker on Python 3.11.
export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False
mkdir -p "$(dirname "$2")"
# Beside the table, as every node sees it there.
file="$2.scheduler-$SLURM_JOB_ID.json"

# Whoever reaches the scheduler's port can run what he likes as you: in a job on one node it
# listens on that node alone.  On several nodes INTERFACE names a network of the cluster, as ib0;
# without it all networks of the node are taken.
if [[ ${SLURM_JOB_NUM_NODES:-1} -eq 1 ]]; then
    listen=(--host 127.0.0.1)
elif [[ -n ${INTERFACE:-} ]]; then
    listen=(--interface "$INTERFACE")
else
    listen=(--protocol tcp) # what it is anyway: old shells know no empty lists
fi

"$dask" scheduler --scheduler-file "$file" --port 0 --dashboard-address "${DASHBOARD:-127.0.0.1:0}" \
    "${listen[@]}" &
scheduler=$!
workers=
finish() {
    kill "$scheduler" $workers 2>/dev/null || true
    rm -f "$file"
}
trap finish EXIT
while [[ ! -s $file ]]; do
    kill -0 "$scheduler" # ends this script where the scheduler has ended
    sleep 0.5
done
# A worker that is gone for good must not take the others with it.
srun --kill-on-bad-exit=0 "$dask" worker --scheduler-file "$file" --nthreads 1 \
    --memory-limit "${SLURM_MEM_PER_CPU:-2048}MiB" --no-dashboard --dashboard-address 127.0.0.1:0 --death-timeout 60 \
    "${listen[@]}" &
workers=$!

"${NTKSPEC:-ntkspec}" sweep "$1" -o "$2" --scheduler-file "$file"
