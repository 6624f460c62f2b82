"""SLURM on this machine alone: munged, slurmctld and slurmd on loopback, in a folder of their own.

``python tests/sweeps/local_slurm.py`` starts it, says how to reach it, and stops it at Ctrl-C.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]
PROGRAMS = ["slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel", "scontrol", "sinfo"]
START_SECONDS = 60
STOP_SECONDS = 30

# Two processors whatever the machine has (config_overrides), one job on each of them; it
# keeps to processes without control groups and to a munge of its own, so it runs in containers.
CONFIG = """
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
MaxArraySize=1001
KillWait=5
MailProg=/bin/true
MinJobAge=3600
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=short Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class NoSlurmError(Exception):
    """Why there is no SLURM here, in a message."""


@contextmanager
def local_slurm():
    """Start SLURM, give the environment in which its commands reach it, and stop it."""
    if os.getuid() != 0:
        raise NoSlurmError("the tests of SLURM start its daemons and must run as root")
    _install()
    host = socket.gethostname().split(".")[0]
    with ExitStack() as stack:
        # munged works as its own user and must be able to go there.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        folder.chmod(0o755)
        _start_munged(stack, folder)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        config = folder / "slurm.conf"
        config.write_text(CONFIG.format(host=host, ports=_free_ports(2), folder=folder))
        environment = {**os.environ, "SLURM_CONF": str(config)}
        for daemon in ("slurmctld", "slurmd"):
            _start(stack, folder, [daemon, "-D", "-f", str(config)], environment=environment)
        stack.callback(_cancel_all, environment)
        idle = ["sinfo", "--noheader", "--states=idle", "--format=%D"]
        _wait(folder, lambda: _answer(environment, *idle) == "1", "SLURM does not start")
        yield environment


def _install():
    if all(shutil.which(program) for program in PROGRAMS):
        return
    if not shutil.which("apt-get"):
        raise NoSlurmError(
            f"SLURM is not installed ({', '.join(PROGRAMS)}) and there is no apt-get"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
    for command in (["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise NoSlurmError(f"'{' '.join(command)}' failed: {done.stderr.strip()[-500:]}")


def _start_munged(stack, folder):
    mine = folder / "munge"
    mine.mkdir()
    key = mine / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    for path in (mine, key):
        shutil.chown(path, "munge", "munge")
    options = [
        "--foreground",
        f"--key-file={key}",
        f"--socket={mine / 'socket'}",
        f"--pid-file={mine / 'pid'}",
        f"--seed-file={mine / 'seed'}",
        f"--log-file={mine / 'log'}",
    ]
    as_munge = ["--reuid=munge", "--regid=munge", "--clear-groups"]
    _start(stack, folder, ["munged", *options], as_munge)
    _wait(folder, (mine / "socket").exists, "munged does not start")


def _start(stack, folder, command, privileges=(), environment=None):
    """Start a daemon that goes when the tests go, however they end."""
    with (folder / f"{command[0]}.out").open("w") as out:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=TERM", *privileges, *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment,
        )
    stack.callback(_stop, process)


def _stop(process):
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait(folder, condition, message):
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            logs = "".join(
                f"\n--- {path.name}\n{path.read_text(errors='replace')[-2000:]}"
                for path in sorted([*folder.glob("*.out"), *folder.glob("*.log")])
            )
            raise NoSlurmError(message + logs)
        time.sleep(0.1)


def _answer(environment, *command):
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _cancel_all(environment):
    """End all jobs, so that none outlives its daemons."""
    _answer(environment, "scancel", "--quiet", "--user=root")
    deadline = time.monotonic() + STOP_SECONDS
    while _answer(environment, "squeue", "--noheader") and time.monotonic() < deadline:
        time.sleep(0.2)


def main():
    """Start it and wait for Ctrl-C."""
    try:
        with local_slurm() as environment:
            print(f"export SLURM_CONF={environment['SLURM_CONF']}", flush=True)
            signal.pause()
    except NoSlurmError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
