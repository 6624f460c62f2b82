"""Where tasks run: schedulers that others started, with TLS, and the scripts of batch systems."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from paths import JOBS
from sweeping import listening

from ntkspec.errors import NtkspecError
from ntkspec.sweeps import clusters
from ntkspec.sweeps.batch import KINDS, Batch
from ntkspec.sweeps.clusters import External, Local, dask_client, job_script


@contextmanager
def running(*command, **options):
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **options,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def test_a_scheduler_is_named_once(tmp_path):
    with pytest.raises(NtkspecError, match=r"scheduler_file = .*none\.json.* does not exist"):
        External(file=tmp_path / "none.json")
    (tmp_path / "some.json").write_text("{}")
    for where in (
        {},
        dict(address=""),
        dict(address="tcp://127.0.0.1:1", file=tmp_path / "some.json"),
    ):
        with pytest.raises(NtkspecError, match="either the address"):
            External(**where)


def test_nobody_there(monkeypatch, tmp_path):
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    file = tmp_path / "scheduler.json"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        quiet = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for text in (json.dumps({"address": quiet}), "{}", "[]", "not JSON"):
            file.write_text(text)
            refused(External(file=file), f"scheduler_file = {str(file)!r}")
        for address in ("tcp://127.0.0.1:9", quiet, "nonsense", "ftp://127.0.0.1:9"):
            refused(External(address), f"scheduler = {address!r}")


def refused(where, word):
    with pytest.raises(NtkspecError) as caught, dask_client(where):
        pass
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def hosts(where, workers):
    """Hosts at which scheduler, workers and dashboard of a client listen, as the system says."""
    before = listening()
    with dask_client(where) as client:
        client.wait_for_workers(workers, timeout=60)
        found = {host for _, host, _ in listening() - before}
        assert client.submit(pow, 7, 2).result(timeout=20) == 49
    return found


@pytest.mark.slow
def test_the_dashboard_is_opened_on_request():
    assert hosts(Local(1, dashboard="0.0.0.0:0"), 1) == {"127.0.0.1", "0.0.0.0"}


@pytest.mark.parametrize(
    "wish", [pytest.param({"host": "127.0.0.1"}, marks=pytest.mark.slow), {"interface": "lo"}, {}]
)
def test_the_scheduler_of_jobs_is_at_one_address(monkeypatch, wish):
    """The jobs are processes of this machine, by a cluster class of dask-jobqueue for tests."""
    from dask_jobqueue.local import LocalCluster
    from distributed.utils import get_ip

    options = clusters._options
    # That class starts the worker itself, without a shell for the prologue.
    unknown = ("walltime", "queue", "account", "job_script_prologue")
    monkeypatch.setattr(clusters, "_cluster_class", lambda batch: LocalCluster)
    monkeypatch.setattr(
        clusters, "_options",
        lambda batch: {k: v for k, v in options(batch).items() if k not in unknown},
    )  # fmt: skip
    monkeypatch.setattr(clusters, "_in_queue", lambda kind, job: asyncio.sleep(0, True))
    before = listening()
    with dask_client(Batch(**wish)) as client:
        client.wait_for_workers(1, timeout=60)
        found = listening() - before
        mine = {host for pid, host, _ in found if pid == os.getpid()}
        assert mine == {"127.0.0.1", "127.0.0.1" if wish else get_ip()}
        if wish.get("interface"):
            assert {host for _, host, _ in found} == {"127.0.0.1"}
        (pages,) = client.run(lambda dask_worker: dask_worker.http_server.address).values()
        assert pages == "127.0.0.1"


@pytest.mark.parametrize(
    "address", ["", ":8787", "8787", "a:b", "h:65536", "h:-1", "a b:1", 80, None]
)
def test_wrong_addresses_of_the_dashboard(address):
    for make in (Local, Batch):
        with pytest.raises(NtkspecError, match=r"dashboard = .* write HOST:PORT"):
            make(dashboard=address)


def test_the_script_of_a_dask_job_listens_on_its_node_alone():
    script = (JOBS / "slurm-dask.sh").read_text()
    assert "--dashboard-address :0" not in script and "--host 127.0.0.1" in script


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "2"])
def test_wrong_numbers_of_local_workers(workers):
    with pytest.raises(NtkspecError, match=f"workers = {workers!r}"):
        Local(workers)


ASKED = Batch(
    jobs=3,
    workers=2,
    memory="6GB",
    walltime="1-02:00:30",
    partition="long",
    account="physics",
    prologue=("module load python", "export OMP_NUM_THREADS=1"),
    directives=("--qos=low",),
    interface="lo",
)
# Directives of each batch system; SGE and OAR have no name for memory that holds everywhere.
DIRECTIVES = {
    "slurm": ["-p long", "-A physics", "-t 26:00:30", "--mem=6G", "--cpus-per-task=2"],
    "pbs": ["-q long", "-A physics", "-l walltime=26:00:30", "-l select=1:ncpus=2:mem=5723MB"],
    "moab": ["-q long", "-A physics", "-l walltime=26:00:30", "-l select=1:ncpus=2:mem=5723MB"],
    "sge": ["-q long", "-P physics", "-l h_rt=26:00:30"],
    "lsf": ["-q long", '-P "physics"', "-W 26:01", "-n 2", "-M 6000000"],
    "oar": ["-q long", "--project physics", "-l /nodes=1/core=2,walltime=26:00:30"],
}
MARKS = {"slurm": "#SBATCH", "pbs": "#PBS", "moab": "#PBS", "sge": "#$", "lsf": "#BSUB"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("error")
def test_the_job_script(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = job_script(replace(ASKED, kind=kind))
    lines = script.splitlines()
    for directive in [*DIRECTIVES[kind], "--qos=low"]:
        assert f"{MARKS.get(kind, '#OAR')} {directive}" in lines
    quick, first, second, command = lines[-4:]
    assert quick == "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False"
    assert (first, second) == ASKED.prologue
    assert command.startswith(f"{sys.executable} -m distributed.cli.dask_worker ")
    for option in ["--nthreads 1", "--nworkers 2", "--memory-limit 2.79GiB", "--interface lo"]:
        assert option in command
    # A tenth of the walltime before its end, more or less half of that.
    assert "--lifetime 84267s --lifetime-stagger 4681s" in command
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "walltime,seconds",
    [("01:00:00", 3600), ("90:00", 5400), ("100:00:00", 360000), ("2-00:00:00", 172800)],
)
def test_walltimes(walltime, seconds):
    assert Batch(walltime=walltime).seconds == seconds


@pytest.mark.parametrize("seconds", [20, 60, 120, 600, 3600, 86400])
def test_workers_retire_before_the_walltime(seconds):
    batch = Batch(walltime=f"{seconds // 60}:{seconds % 60:02d}")
    words = job_script(batch).split()
    lifetime, stagger = (
        int(words[words.index(option) + 1].rstrip("s"))
        for option in ("--lifetime", "--lifetime-stagger")
    )
    assert 0 < lifetime - stagger < lifetime + stagger < seconds
    if seconds >= 600:
        assert seconds - lifetime >= max(60, seconds / 10)


def test_the_job_script_of_a_batch_without_wishes():
    script = job_script(Batch())
    for absent in ("-p ", "-A ", "None", "--interface"):
        assert absent not in script


@pytest.mark.parametrize(
    "key,value,allowed",
    [
        ("kind", "slrum", "slurm"),
        ("kind", None, "slurm"),
        ("kind", ["slurm"], "slurm"),
        *((key, n, ">= 1") for key in ("jobs", "workers") for n in (0, -2, True, 1.5, "2", None)),
        ("memory", "much", "4GB"),
        ("memory", "", "4GB"),
        ("memory", 4000000000, "4GB"),
        ("memory", "4", "100MB"),
        ("memory", "-4GB", "4GB"),
        ("memory", "90MB", "100MB"),
        *(
            ("walltime", text, "HH:MM:SS")
            for text in ("", "1h", "00:00:00", "01:60:00", "00:60", "60", "1-00:30", "-1:00", 3600)
        ),
        *((key, "a b", "string") for key in ("partition", "account", "interface", "host")),
        *((key, 5, "string") for key in ("partition", "account", "interface", "host")),
        ("partition", "a\n#SBATCH --qos=high", "string"),
        *((key, "export A=1", "list") for key in ("prologue", "directives")),
        *((key, ["export A=1", 2], "list") for key in ("prologue", "directives")),
        ("directives", ["--qos=low\n--exclusive"], "single-line"),
        ("prologue", [""], "single-line"),
        ("dashboard", ":8787", "HOST:PORT"),
    ],
)
def test_wrong_settings_get_a_message(key, value, allowed):
    with pytest.raises(NtkspecError) as caught:
        Batch(**{key: value})
    message = str(caught.value)
    assert message.startswith(f"{key} = {value!r} is not allowed; ")
    assert allowed in message
    assert "\n" not in message


def test_lists_become_tuples():
    batch = Batch(prologue=["a", "b"], directives=[])
    assert (batch.prologue, batch.directives) == (("a", "b"), ())
    assert hash(batch) == hash(Batch(prologue=("a", "b")))


def test_no_batch_system_here(monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    refused(Batch(), "cluster = 'slurm': no job could be submitted ([Errno 2]")


# Last, so that the scheduler is idle for no other test.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, a certificate by it, and one by another authority that nobody trusts."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ours", "strange"):
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]  # made at once
        new = [*curve, "-nodes", "-days", "2"]
        authority = ["-keyout", f"{name}-ca-key.pem", "-out", f"{name}-ca.pem"]
        openssl("req", "-x509", *new, "-subj", f"/CN={name}-ca", *authority)
        request = ["-keyout", f"{name}-key.pem", "-out", f"{name}.csr"]
        openssl("req", *curve, "-nodes", "-subj", f"/CN={name}", *request)
        by = ["-CA", f"{name}-ca.pem", "-CAkey", f"{name}-ca-key.pem", "-CAcreateserial"]
        openssl("x509", "-req", "-in", f"{name}.csr", *by, "-days", "2", "-out", f"{name}.pem")
    return folder


def tls(folder, name="ours"):
    return dict(
        tls_ca=folder / f"{name}-ca.pem",
        tls_cert=folder / f"{name}.pem",
        tls_key=folder / f"{name}-key.pem",
    )


@pytest.fixture(scope="module")
def tls_scheduler(certificates, tmp_path_factory):
    """A scheduler and a worker that talk TLS only, as the commands of dask start them."""
    file = tmp_path_factory.mktemp("scheduler") / "scheduler.json"
    options = [
        *("--tls-ca-file", str(certificates / "ours-ca.pem")),
        *("--tls-cert", str(certificates / "ours.pem")),
        *("--tls-key", str(certificates / "ours-key.pem")),
        *("--scheduler-file", str(file)),
    ]
    here = ["--protocol", "tls", "--host", "127.0.0.1"]
    with running("dask", "scheduler", *here, "--port", "0", "--dashboard-address", ":0", *options):
        deadline = time.monotonic() + 20
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with running("dask", "worker", "--nthreads", "1", "--no-dashboard", *here, *options):
            yield file


@pytest.mark.parametrize("how", ["address", "file"])
def test_a_scheduler_with_tls(tls_scheduler, certificates, how):
    address = json.loads(tls_scheduler.read_text())["address"]
    assert address.startswith("tls://")
    where = dict(address=address) if how == "address" else dict(file=tls_scheduler)
    for _ in range(2):  # the first client leaves it running
        with dask_client(External(**where, **tls(certificates))) as client:
            assert client.submit(pow, 7, 2).result(timeout=20) == 49


def test_a_scheduler_with_tls_refuses_others(tls_scheduler, certificates, monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 2)
    address = json.loads(tls_scheduler.read_text())["address"]
    ours = tls(certificates)
    not_ours = tls(certificates, "strange")
    for where, word in [
        (External(address), "tls_ca"),
        (External(file=tls_scheduler), "tls_ca"),
        (External(address, **not_ours), address),
        (External(address.replace("tls:", "tcp:"), **ours), "begin with tls://"),
        (External(address, **{**ours, "tls_key": not_ours["tls_key"]}), "tls_key"),
        (External(address, **{**ours, "tls_ca": ours["tls_key"]}), "tls_ca"),
        (External(address, **{**ours, "tls_cert": tls_scheduler}), "tls_cert"),
    ]:
        refused(where, word)


def test_certificates_are_given_together_and_are_there(certificates, tmp_path):
    with pytest.raises(NtkspecError, match="not given: tls_cert, tls_key"):
        External("tls://127.0.0.1:1", tls_ca=certificates / "ours-ca.pem")
    with pytest.raises(NtkspecError, match=r"tls_key = .*none.pem.* does not exist"):
        External("tls://127.0.0.1:1", **{**tls(certificates), "tls_key": tmp_path / "none.pem"})
