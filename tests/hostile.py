"""Hostile files: structures that no sweep and no training writes, with valid seals.

As a script it tries commands on such files, each in a process of its own with bounds on time and
memory, and prints what became of them as lines of JSON.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import zlib
from pathlib import Path

import h5py
import numpy as np
from table_numbers import altered

SECONDS, MEMORY = 5, 300 * 2**20
NASTY = (
    "nothing", "array", "not UTF-8", "empty", "huge", "nan", "negative", "reference", "long",
    "control", "list", "other",
)  # fmt: skip
SHAPES = (
    "gone", "group", "scalar", "float", "strings", "rank 3", "short", "zero", "terabytes",
    "terabytes in chunks", "sparse chunks", "bomb", "itself", "virtual", "virtual elsewhere",
    "raw file", "soft", "dangling", "loop", "external", "external pipe", "alias", "committed",
    "nan", "negative", "reversed", "big endian", "unlimited", "unknown filter", "compound", "large",
    "reference",
)  # fmt: skip


def spoil_attribute(item, name, how):
    """Replace an attribute, or delete it."""
    del item.attrs[name]
    if how == "nothing":
        return
    item.attrs[name] = {
        "array": np.arange(12.0).reshape(3, 4),
        "not UTF-8": np.bytes_(b"\xff\xfe\x80relu"),
        "empty": h5py.Empty("f8"),
        "huge": np.uint64(2**64 - 1),
        "nan": np.nan,
        "negative": -1,
        "reference": item.ref,
        "long": "x" * 60_000,
        "control": "\x1b]0;evil\x07=HYPERLINK(1)\n",
        "list": ["relu", "tanh"],
        "other": "gelu",
    }[how]


def spoil_dataset(file, name, how, folder):
    """Replace an array, or delete it."""
    old = file[name]
    data, scales = old[...], file[name].shape
    group, last = file[name.rpartition("/")[0] or "/"], name.rpartition("/")[2]
    if how in ("nan", "negative", "reversed"):
        if data.dtype.kind in "if" and data.size:
            old[...] = {
                "nan": np.full_like(data, np.nan if data.dtype.kind == "f" else -(2**60)),
                "negative": -np.abs(data) - 1,
                "reversed": data[::-1],
            }[how]
        return
    if how == "alias":
        other = next(one for one in group if one != last)
        del group[last]
        group[last] = group[other]
        return
    del group[last]
    numbers = np.arange(max(data.size, 1), dtype="f8")
    if how == "group":
        group.create_group(last)
    elif how == "scalar":
        group[last] = 3
    elif how == "float":
        group[last] = numbers.astype("f4" if data.dtype.kind == "f" else "f8")
    elif how == "strings":
        group[last] = ["=1+1", "\x1b[2J"]
    elif how == "rank 3":
        group[last] = np.ones((2, 2, 2))
    elif how == "short":
        group[last] = data[:-1] if data.ndim and data.size > 1 else numbers
    elif how == "zero":
        group.create_dataset(last, (0, *scales[1:]), data.dtype)
    elif how == "terabytes":
        group.create_dataset(last, (2**36, *scales[1:]), data.dtype)
    elif how == "terabytes in chunks":
        group.create_dataset(last, (2**36, *scales[1:]), data.dtype, chunks=(1024, *scales[1:]))
    elif how == "sparse chunks":
        group.create_dataset(last, scales, data.dtype, chunks=True if scales else None)
    elif how == "bomb":
        shape, chunk = (2**14, 2**13), (2**10, 2**10)
        if len(scales) == 1:
            shape, chunk = (2**27,), (2**20,)
        made = group.create_dataset(last, shape, "f8", chunks=chunk, compression="gzip")
        zeros = zlib.compress(bytes(8 * 2**20), 9)
        for place in np.ndindex(*(a // b for a, b in zip(shape, chunk, strict=True))):
            made.id.write_direct_chunk(tuple(np.multiply(place, chunk).tolist()), zeros)
    elif how in ("itself", "virtual", "virtual elsewhere"):
        layout = h5py.VirtualLayout(scales or (1,), "f8")
        source = {"itself": ".", "virtual": "other.h5", "virtual elsewhere": "/etc/passwd"}[how]
        layout[...] = h5py.VirtualSource(source, name, scales or (1,), "f8")
        group.create_virtual_dataset(last, layout, fillvalue=0.5)
    elif how == "raw file":
        group.create_dataset(
            last, (4,), "f8", external=[(str(folder / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
        )
    elif how == "soft":
        group[last] = h5py.SoftLink(f"/{next(iter(file))}")
    elif how == "dangling":
        group[last] = h5py.SoftLink("/nowhere")
    elif how == "loop":
        group[last] = h5py.SoftLink(f"/{name}")
    elif how == "external":
        group[last] = h5py.ExternalLink(str(folder / "other.h5"), f"/{name}")
    elif how == "external pipe":
        group[last] = h5py.ExternalLink(str(folder / "pipe"), "/x")
    elif how == "committed":
        file["/type"] = np.dtype("f8")
        group.create_dataset(last, data=numbers, dtype=file["/type"])
    elif how == "big endian":
        group.create_dataset(last, data=data.astype(data.dtype.newbyteorder(">")))
    elif how == "unlimited":
        group.create_dataset(last, data=numbers, maxshape=(None,), chunks=(1,))
    elif how == "unknown filter":
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk(scales or (1,))
        plist.set_filter(30_000, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple(scales or (1,))
        h5py.h5d.create(group.id, last.encode(), h5py.h5t.IEEE_F64LE, space, plist)
    elif how == "compound":
        group[last] = np.zeros(3, [("dim", "i8"), ("what", "f4")])
    elif how == "large":
        group[last] = np.arange(2.0**22)
    elif how == "reference":
        group.create_dataset(last, data=[file.ref], dtype=h5py.ref_dtype)


def spoil(path, chance):
    """Make a file hostile in one way; return a description."""
    with altered(path) as file:
        items = [file]
        file.visititems(lambda _, item: items.append(item))
        groups = [one for one in items if isinstance(one, h5py.Group) and len(one.attrs)]
        arrays = [one.name for one in items if isinstance(one, h5py.Dataset)]
        kind = chance.choice(["attribute", "array", "array", "group"])
        if kind == "attribute":
            item = chance.choice(groups)
            name, how = chance.choice(sorted(item.attrs)), chance.choice(NASTY)
            done = f"attribute {name} of {item.name}: {how}"
            spoil_attribute(item, name, how)
        elif kind == "array" or len(groups) < 2:
            name, how = chance.choice(arrays), chance.choice(SHAPES)
            done = f"array {name}: {how}"
            spoil_dataset(file, name, how, path.parent)
        else:
            item = chance.choice(groups[1:])
            how = chance.choice(
                ["soft", "rename", "extra", "nested", "cycle", "type", "extra link"]
            )
            done = f"group {item.name}: {how}"
            spoil_group(file, item, how)
    return done


def spoil_group(file, item, how):
    name = item.name
    if how == "soft":
        del file[name]
        file[name] = h5py.SoftLink("/")
    elif how == "rename":
        file.move(name, "\x1b[31m=evil()")
    elif how == "extra":
        item["more"] = np.arange(3)
    elif how == "nested":
        item.create_group("deep/deeper")
    elif how == "cycle":
        item["again"] = file["/"]
    elif how == "type":
        del file[name]
        file[name] = np.dtype("f8")
    elif how == "extra link":
        file["/more"] = h5py.ExternalLink("pipe", "/")


def surroundings(folder):
    """Make the targets of hostile files: a pipe without a writer, and other files' numbers."""
    os.mkfifo(folder / "pipe")
    (folder / "raw.bin").write_bytes(bytes(4096))
    with h5py.File(folder / "other.h5", "w") as file:
        file["dim"] = np.arange(2, 9)


def sources(folder):
    """Make the tables, runs and unfinished work to be altered."""
    from ntkspec.sweeps import run_shard
    from ntkspec.sweeps.merge import merge
    from ntkspec.trainer.runs import run, train_run

    (folder / "sweep.toml").write_text(SWEEP)
    (folder / "run.toml").write_text(RUN)
    run_shard(folder / "sweep.toml", folder / "sweep.h5", "1/1")
    for name, layout in (("single.h5", "single"), ("virtual.h5", "virtual")):
        shutil.copytree(folder / "sweep.h5.parts", folder / f"{name}.parts")
        merge([folder / f"{name}.parts"], folder / name, layout=layout)
    train_run(folder / "run.toml", folder / "run.h5", threads=1)
    keep = run.assemble
    run.assemble = lambda *_: 1 / 0  # killed just before it is complete
    with contextlib.suppress(ZeroDivisionError):
        train_run(folder / "run.toml", folder / "training.h5", threads=1)
    run.assemble = keep


SWEEP = """
dims = [2, 3, 5, 8]
degrees = "0:40"
block_eigenvalues = 60
checks = {samples = 1, digits = 20, max_dim = 3, max_degree = 5}
networks = [{activation = "relu"}, {activation = "tanh"}]
"""
RUN = """
steps = 20
network = {activation = "relu", width = 64, seeds = 2}
data = {kind = "circle", points = 16}
target = {kind = "sine", degrees = [1, 2]}
loss = {s = ["l2", 1]}
"""
#: The altered outputs, each with the file that is altered.
VICTIMS = {
    "single.h5": ["single.h5"],
    "virtual.h5": ["virtual.h5", "virtual.h5.parts/n0*.h5"],
    "run.h5": ["run.h5"],
    "sweep.h5": ["sweep.h5.parts/n0*.h5"],
    "training.h5": ["training.h5.parts/*.h5"],
}


def commands(victim, folder):
    """Commands that read an altered output, by name."""
    name, out = str(folder / victim), folder / "out"
    if victim == "sweep.h5":
        return {
            "info": ["info", name],
            "merge": ["merge", f"{name}.parts", "-o", f"{out}.h5"],
            "sweep": ["sweep", str(folder / "sweep.toml"), "-o", name, "--shard", "1/1"],
        }
    both = {
        "info": ["info", name],
        "plot": ["plot", name, "-o", f"{out}.svg"],
    }
    if victim in ("run.h5", "training.h5"):
        return both | {
            "compare": ["compare", name, "--no-finite"],
            "train": ["train", str(folder / "run.toml"), "-o", name],
        }
    return both | {
        "fit": ["fit", name],
        "verify": ["verify", name, "--samples", "1", "--digits", "15", "--workers", "1",
                   "--max-dim", "3", "--max-degree", "3"],
        "csv": ["export", name, "-o", f"{out}.csv"],
        "json": ["export", name, "-o", f"{out}.json", "--format", "json"],
        "netcdf": ["export", name, "-o", f"{out}.nc", "--format", "netcdf"],
        "parquet": ["export", name, "-o", f"{out}.parquet", "--format", "parquet"],
        "merge": ["merge", name, "-o", f"{out}.h5"],
        "explore": ["explore", name, "-o", f"{out}.html"],
        "compare": ["compare", str(folder / "run.h5"), "--no-finite", "--table", name],
    }  # fmt: skip


def tried(arguments, folder):
    """Run a command in a new process; return its outcome."""
    log = folder / "log"
    child = os.fork()
    if child == 0:
        limited(arguments, log)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "log": log.read_text(errors="replace"), "seconds": usage.ru_utime}


def limited(arguments, log):
    """In the child: bounds on time and memory, the command, and the exit."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(handle, stream)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Processor time; much more wall-clock time, for commands that wait.
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(12 * SECONDS)
    from ntkspec.cli import main

    code = 99
    try:
        main(args=arguments, prog_name="ntkspec", standalone_mode=True)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 98
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def is_well(name, found):
    """Whether a command ended as required: with an error message, or normally."""
    allowed = (0, 1, 2, 3) if name in ("verify", "compare") else (0, 2, 3)
    return found["code"] in allowed and "Traceback" not in found["log"]


def warm(folder):
    """Load and compile everything that commands need, before processes are limited."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot

    import ntkspec
    import ntkspec.compare
    import ntkspec.explorer
    import ntkspec.laws.fit
    import ntkspec.plots
    import ntkspec.sweeps.merge
    import ntkspec.trainer.runs
    import ntkspec.verification

    with ntkspec.open_table(folder / "single.h5") as table:
        table.select("tanh")


def main(count, each, seed):
    """Run commands on hostile files, all or a sample; print failures as JSON."""
    chance = random.Random(int(seed))
    codes, tries = {}, 0
    with tempfile.TemporaryDirectory() as there:
        whole = Path(there) / "whole"
        whole.mkdir()
        sources(whole)
        warm(whole)
        for number in range(int(count)):
            here = Path(there) / f"{number}"
            shutil.copytree(whole, here)
            surroundings(here)
            victim = chance.choice(sorted(VICTIMS))
            pattern = chance.choice(VICTIMS[victim])
            path = chance.choice(sorted(here.glob(pattern)))
            done = f"{path.relative_to(here)}: {spoil(path, chance)}"
            possible = commands(victim, here)
            some = len(possible) if each == "all" else min(len(possible), int(each))
            for name in chance.sample(sorted(possible), some):
                found = tried(possible[name], here)
                tries += 1
                codes[found["code"]] = codes.get(found["code"], 0) + 1
                if not is_well(name, found):
                    print(json.dumps({"what": done, "command": name, **found}), flush=True)
            shutil.rmtree(here)
    print(json.dumps({"structures": int(count), "tries": tries, "codes": codes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
