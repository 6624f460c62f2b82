"""Only what was made here is removed from the folder of parts; only our own lock is written."""

import os
import shutil
import stat

import pytest
from problems import SMALL_RUN, SMALL_TABLE

from ntkspec.errors import NtkspecError, TableError
from ntkspec.jobs.parts import is_locked, locked
from ntkspec.sweeps import Local, run_shard, run_sweep
from ntkspec.sweeps.merge import merge
from ntkspec.trainer.runs import train_run

RUN = SMALL_RUN.replace("seeds = 1", "seeds = 2")


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "r.toml").write_text(SMALL_TABLE)
    return tmp_path / "r.toml"


@pytest.fixture
def run_recipe(tmp_path):
    (tmp_path / "run.toml").write_text(RUN)
    return tmp_path / "run.toml"


def strange(parts):
    """Put things of someone else's into a folder of parts and beside it; return what they are."""
    parts.mkdir(exist_ok=True)
    before = set(parts.iterdir())
    out = parts.with_suffix("")
    elsewhere = parts.with_name("elsewhere")
    elsewhere.mkdir()
    texts = [
        *(elsewhere / name for name in ("n000-r0000000-0000001-c000000-000001.h5", "mine.txt")),
        *(
            parts / name
            for name in (
                "notes.txt", ".keep", "notes.h5", "n000.h5", "check-me.json", "member-notes.h5",
                "n900-r0000000-0000001-c000000-000001.h5", "member-00009.h5", "ntkspec-run.h5.bak",
                "notes.part-list", "notes.part-1-0123abcd", f"member-{chr(0x660) * 5}.h5",
                "member-00009.h5.part-1", "ntkspec-recipe.toml.part-a-0123abcd",
            )
        ),
        *(out.with_name(f"{out.name}{end}") for end in (".part-list", ".part-1-", ".parts.bak")),
    ]  # fmt: skip
    (parts / "deep").mkdir()
    (parts / "check-n000-r0000000-c000000.json").mkdir()
    texts += [parts / "deep" / "member-00000.h5"]
    texts += [parts / "check-n000-r0000000-c000000.json" / "mine"]
    for path in texts:
        path.write_text("mine")
    (parts / "linked").symlink_to(elsewhere)
    (parts / "member-00008.h5").symlink_to(elsewhere / "mine.txt")
    (parts / "n901-r0000000-0000001-c000000-000001.h5").symlink_to(elsewhere)
    os.mkfifo(parts / "member-00007.h5")
    found = {*texts, *parts.iterdir(), elsewhere} - before
    return {path: what(path) for path in found}


def what(path):
    about = path.lstat()
    text = path.read_bytes() if stat.S_ISREG(about.st_mode) else None
    return about.st_ino, stat.S_IFMT(about.st_mode), text


def all_there(strangers):
    for path, before in strangers.items():
        assert what(path) == before, path


def left(parts, strangers):
    """What is there beside the strangers."""
    return {path for path in parts.iterdir() if path not in strangers}


@pytest.mark.parametrize("times", ["once", "twice", "restart"])
def test_a_training_removes_its_own(run_recipe, tmp_path, times):
    out, parts = tmp_path / "run.h5", tmp_path / "run.h5.parts"
    if times != "once":
        train_run(run_recipe, out, threads=1)
    strangers = strange(parts)
    dead = [parts / "member-00000.h5.part-7-0123abcd", tmp_path / "run.h5.part-7-0123abcd"]
    for path in dead[: 0 if times == "twice" else 2]:
        path.touch()
    train_run(run_recipe, out, threads=1, restart=times == "restart")
    all_there(strangers)
    assert not left(parts, strangers)
    assert out.is_file() and not any(path.exists() for path in dead)


@pytest.mark.parametrize("times", ["once", "restart"])
def test_a_sweep_of_shards_removes_its_own(recipe, tmp_path, times):
    out, parts = tmp_path / "t.h5", tmp_path / "t.h5.parts"
    strangers = strange(parts)
    run_shard(recipe, out, "1/1")
    if times == "restart":
        recipe.write_text(SMALL_TABLE.replace("0:40", "0:12"))
        with pytest.raises(NtkspecError, match="another recipe"):
            run_shard(recipe, out, "1/1")
        run_shard(recipe, out, "1/1", restart=True)
    all_there(strangers)
    assert len(left(parts, strangers)) == 3  # a block, a check and the recipe
    merge([parts], out)
    all_there(strangers)
    assert not left(parts, strangers) and out.is_file()


def test_shards_of_strange_folders_are_gathered(recipe, tmp_path):
    """What lies beside the blocks of a shard is neither linked nor taken for a block."""
    run_shard(recipe, tmp_path / "a" / "t.h5", "1/1")
    strangers = strange(tmp_path / "a" / "t.h5.parts")
    merge([tmp_path / "a" / "t.h5.parts"], tmp_path / "t.h5")
    all_there(strangers)
    assert not (tmp_path / "t.h5.parts").exists()


@pytest.mark.slow
@pytest.mark.parametrize("times", ["once", "twice", "restart"])
def test_a_sweep_removes_its_own(recipe, tmp_path, times):
    out, parts = tmp_path / "t.h5", tmp_path / "t.h5.parts"
    if times != "once":
        run_sweep(recipe, out, Local(1))
    strangers = strange(parts)
    run_sweep(recipe, out, Local(1), restart=times == "restart")
    all_there(strangers)
    assert not left(parts, strangers) and out.is_file()


def test_restart_removes_no_file_that_is_no_run(run_recipe, tmp_path):
    out = tmp_path / "thesis.h5"
    out.write_text("mine")
    for restart in (False, True):
        with pytest.raises(TableError, match=r"not a run|not a complete"):
            train_run(run_recipe, out, threads=1, restart=restart)
        assert out.read_text() == "mine"


def test_restart_removes_a_damaged_run_behind_its_link(run_recipe, tmp_path):
    train_run(run_recipe, tmp_path / "real.h5", threads=1)
    (tmp_path / "run.h5").symlink_to("real.h5")
    with (tmp_path / "real.h5").open("r+b") as file:
        file.seek(700)
        file.write(b"damage")
    with pytest.raises(TableError, match="--restart"):
        train_run(run_recipe, tmp_path / "run.h5", threads=1)
    assert train_run(run_recipe, tmp_path / "run.h5", threads=1, restart=True).trained == 2
    assert (tmp_path / "run.h5").is_symlink()


# --- names that are taken ------------------------------------------------------------------------


def linked_folder(path):
    path.with_name("elsewhere").mkdir()
    (path.with_name("elsewhere") / "n000-r0000000-0000001-c000000-000001.h5").write_text("mine")
    path.symlink_to("elsewhere")


def linked_file(path):
    path.with_name("mine.txt").write_text("mine")
    path.symlink_to("mine.txt")


TAKEN = {
    "a file": lambda path: path.write_text("mine"),
    "a link to a folder": linked_folder,
    "a link to a file": linked_file,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a pipe": os.mkfifo,
}


def works(tmp_path):
    """What makes parts, each for the target out.h5."""
    (tmp_path / "r.toml").write_text(SMALL_TABLE)
    (tmp_path / "run.toml").write_text(RUN)
    out = tmp_path / "out.h5"
    return [
        lambda: run_sweep(tmp_path / "r.toml", out, Local(1)),
        lambda: run_sweep(tmp_path / "r.toml", out, Local(1), restart=True),
        lambda: run_shard(tmp_path / "r.toml", out, "1/1"),
        lambda: merge([tmp_path / "other.parts"], out),
        lambda: train_run(tmp_path / "run.toml", out, threads=1),
        lambda: train_run(tmp_path / "run.toml", out, threads=1, restart=True),
    ]


def everything(folder):
    return {path: what(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("name", ["out.h5.parts", ".out.h5.parts.lock"])
def test_a_name_that_is_taken(tmp_path, taken, name):
    all_works = works(tmp_path)
    run_shard(tmp_path / "r.toml", tmp_path / "other", "1/1")
    taken(tmp_path / name)
    before = everything(tmp_path)
    for work in all_works:
        with pytest.raises(TableError) as caught:
            work()
        assert name in str(caught.value) and "\n" not in str(caught.value)
        shutil.rmtree(tmp_path / "out.h5.parts") if name.startswith(".") else None
        after = everything(tmp_path)
        after.pop(tmp_path / ".out.h5.parts.lock", None)
        assert after == {p: w for p, w in before.items() if p.name != ".out.h5.parts.lock"}
        assert not is_locked(tmp_path / "out.h5.parts")
    if name.startswith("."):
        assert what(tmp_path / name) == before[tmp_path / name]


def test_a_lock_of_an_earlier_run_is_taken(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "t.h5", "sweep", "table", together=False) as folder:
            assert is_locked(folder)
            with (
                pytest.raises(NtkspecError, match=f"process {os.getpid()} on "),
                locked(tmp_path / "t.h5", "sweep", "table", together=False),
            ):
                pass
    (tmp_path / ".t.h5.parts.lock").write_text("")
    with locked(tmp_path / "t.h5", "sweep", "table", together=False):
        pass


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("name", ["member-00000.h5", "member-00001.h5", "ntkspec-run.h5"])
def test_the_name_of_a_part_of_a_training_is_taken(run_recipe, tmp_path, taken, name):
    refused(run_recipe, tmp_path, taken, name, train_run)


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("kind", ["n*.h5", "check-*.json", "ntkspec-recipe.toml"])
def test_the_name_of_a_part_of_a_sweep_is_taken(recipe, tmp_path, taken, kind):
    run_shard(recipe, tmp_path / "first.h5", "1/1")
    name = next((tmp_path / "first.h5.parts").glob(kind)).name
    if taken is TAKEN["a file"] and not name.endswith(".h5"):
        return  # a text may be what is left of one made here

    def shard(path, out, restart, threads):
        run_shard(path, out, "1/1", restart=restart)

    refused(recipe, tmp_path, taken, name, shard)


def refused(recipe, folder, taken, name, work):
    """Work refuses what has the name of a part, at once and each time, and leaves it alone."""
    parts = folder / "out.h5.parts"
    parts.mkdir()
    taken(parts / name)
    before = everything(folder)
    for restart in (False, True):
        with pytest.raises(TableError, match=rf"{name} was not written by ntkspec"):
            work(recipe, folder / "out.h5", restart=restart, threads=1)
        after = everything(folder)
        assert {path: after[path] for path in before} == before
