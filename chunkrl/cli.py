"""The command line: `chunkrl data`, `train`, `sweep`, `evaluate`, `export`, `site`, `info`."""

import importlib.metadata
import inspect
import io
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from chunkrl import checks, command
from chunkrl.envs.ogbench import TASK
from chunkrl.errors import ConfigError

app = tyro.extras.SubcommandApp()
data_app = tyro.extras.SubcommandApp()
app.command(data_app, name="data", help="Generate, download and check datasets.")

Preset = Literal["smoke", "coffee", "laptop", "paper"]
Timing = Literal["pre", "post"] | None
Count = int | None
Choice = bool | None
File = Path | None
Shards = tuple[int, ...] | None
Bounds = tuple[float, ...] | None


def about(help: str) -> Any:
    """What `--help` says about an option."""
    return tyro.conf.arg(help=help)


def tuned(help: str) -> Any:
    """The same about an option whose default is the preset's or the method's."""
    return tyro.conf.arg(help=help, help_behavior_hint="(default: the preset's)")


def train(
    method: str,
    task: Annotated[
        str,
        about("OGBench's name (-oraclerep: with goals, for mac); with --data, any of Gymnasium's"),
    ] = TASK,
    preset: Annotated[
        Preset, about("seconds, a few minutes, a quarter of an hour on 2 cores; the papers' sizes")
    ] = "laptop",
    seeds: Annotated[tuple[int, ...], about("each trained from nothing, all in one run")] = (0,),
    folder: Annotated[File, about("of the run; the same again continues it")] = None,
    updates: Annotated[Count, tuned("gradient steps; may grow when a run continues")] = None,
    transitions: Annotated[Count, tuned("size of the data made where there are none")] = None,
    batch_size: Annotated[Count, tuned("transitions or chunks per update")] = None,
    every: Annotated[Count, tuned("updates to a row of metrics and a checkpoint")] = None,
    evaluate_every: Annotated[Count, tuned("updates between evaluations")] = None,
    episodes: Annotated[Count, tuned("per evaluation; rounded up to the same per goal")] = None,
    sparse: Annotated[Choice, about("reward -1 until solved, or not: the papers' choice")] = None,
    success_timing: Annotated[Timing, about("score the state before or after a step")] = None,
    data: Annotated[File, about("npz file to learn from, such as one you made")] = None,
    shards: Annotated[File, about("folder of a 100M set, in place of one file (mac)")] = None,
    replace_every: Annotated[Count, about("updates that a shard stays in use (1000)")] = None,
    workers: Annotated[Count, about("processes; default: by cores; 0: this one plays")] = None,
    online: Annotated[Count, about("steps to act and learn on for, after the updates")] = None,
    start_training: Annotated[Count, tuned("steps online before the first update there")] = None,
    utd: Annotated[Count, about("updates per step online (1)")] = None,
    capacity: Annotated[Count, about("transitions of its own that are kept (all)")] = None,
    overlap: Annotated[bool, about("act while updates are made, one chunk older")] = False,
    distributed: Annotated[bool, about("one run of all processes of srun: a share each")] = False,
    check: Annotated[bool, about("only check what is asked for; nothing is made")] = False,
    **settings: Any,
) -> None:
    """Train a method on a task.

    Makes the data where there are none, evaluates on the way, and writes metrics.csv, config.json
    and checkpoint.npz into the folder (default: under runs/, named by the options given).  The same
    command after an interruption goes on from the last checkpoint.  With --online the agent then
    acts and learns from what it meets too (with --updates 0 from the first step on); what was
    collected is kept under online/ in the folder.  Options left out have the preset's value; one
    that the method has no use for is refused.
    """
    from chunkrl.train import hosts, runs  # not JAX's own door: processes meet before it opens

    if distributed:
        hosts.join()
    from chunkrl.experiments import experiment

    size = {"transitions": transitions, "batch_size": batch_size, "episodes": episodes}
    size |= {"every": every, "evaluate_every": evaluate_every}
    acting = {"start_training": start_training, "utd": utd, "capacity": capacity}
    acting |= {"overlap": overlap or None}
    if folder is None:  # with every option that was given, so that no two runs meet
        given: dict[str, Any] = size | settings
        given |= {"seeds": None if seeds == (0,) else "-".join(map(str, seeds))}
        given |= {"timing": success_timing, "sparse": sparse, "data": data and data.stem}
        given |= {"shards": shards and shards.resolve().name}
        given |= acting | {"updates": updates if updates == 0 else None}
        joined = {k: "x".join(map(str, v)) if isinstance(v, tuple) else v for k, v in given.items()}
        options = [f"{key}{value}" for key, value in joined.items() if value is not None]
        folder = Path("runs", "-".join([method, task, preset, *options]))
    print(f"run folder: {folder}")
    result = experiment.run(
        method, task, preset, seeds, folder, success_timing, workers, settings=settings,
        size={"updates": updates, **size}, source=data, shards=shards, replace_every=replace_every,
        sparse=sparse, online=online, acting=acting, start=not check,
    )  # fmt: skip
    if check or not hosts.first():
        return
    for row in result.rows[-len(seeds) :]:
        print(
            f"seed {row['seed']}: success {runs.in_words(row)}, return {row['return']:.1f} "
            f"over {row['episodes']} episodes after {runs.after(row)}, {row['seconds']:.0f} s "
            f"(success timing: {result.config['success_timing']}){runs.by_goal(row)}"
        )


def train_command(words: tyro.conf.PositionalRequiredArgs[list[str]]) -> None:
    """Train a method on an OGBench task: `chunkrl train METHOD [options]`."""
    from chunkrl.agents import methods
    from chunkrl.agents.settings import SETTINGS, SIZES, refuse

    common = [*inspect.signature(train).parameters.values()][1:-1]  # without method and settings
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: chunkrl train METHOD [options]\n\n{inspect.cleandoc(train.__doc__ or '')}\n")
        for name, known in methods.ALL.items():
            print(f"  {name.replace('_', '-'):15} {(known.build.__doc__ or '').splitlines()[0]}")
        options = ", ".join(f"--{parameter.name.replace('_', '-')}" for parameter in common)
        print(f"\nOptions of every method: {options}.\nAll of one: chunkrl train METHOD --help")
        return
    if words[0].startswith("-"):
        raise ConfigError(f"name the method before {words[0]}, such as `chunkrl train qc-fql`")
    method = methods.named(words[0])
    for word in words[1:]:  # a setting of other methods: a sentence, before the parser's complaint
        name = word.split("=")[0].removeprefix("--").replace("-", "_")
        if word.startswith("--") and name in SETTINGS and name not in method.parameters:
            refuse(method.name, name, method.parameters)
    own = {
        name: Annotated[kind | None, tuned(SETTINGS[name].help)]
        for name, (kind, _) in method.parameters.items()
        if name not in SIZES
    }
    keyword = inspect.Parameter.KEYWORD_ONLY
    common += [inspect.Parameter(k, keyword, default=None, annotation=v) for k, v in own.items()]

    def command(**options: Any) -> None:
        train(method.name, **options)

    command.__doc__ = f"{method.build.__doc__}\n\n{inspect.cleandoc(train.__doc__ or '')}"
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in common}
    vars(command)["__signature__"] = inspect.Signature(common)
    tyro.cli(command, args=words[1:], prog=f"chunkrl train {words[0]}")


app.command(name="train")(train_command)


@app.command
def sweep(
    methods: Positional[tuple[str, ...]],
    task: Annotated[tuple[str, ...], about("one or several")] = (TASK,),
    seeds: Annotated[tuple[str, ...], about("of each cell, together: 0 1 2, or 0:3")] = ("0",),
    preset: Annotated[Preset, about("of every cell")] = "laptop",
    set: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        about("NAME=VALUE,VALUE: a setting, or another option of train; may be repeated"),
    ] = (),
    folder: Annotated[Path, about("in which each cell has its own")] = Path("runs"),
    print: Annotated[bool, about("print the command of each cell, and start nothing")] = False,
    table: Annotated[bool, about("print how far each cell is, and start nothing")] = False,
    submit: Annotated[str | None, about("local or slurm, by submitit; default: here")] = None,
    parameter: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        about("NAME=VALUE of submitit, such as slurm_partition=gpu; may be repeated"),
    ] = (),
    jobs: Annotated[Count, about("cells at a time (1; all with --submit)")] = None,
) -> None:
    """Train methods x tasks x settings, each cell a process of its own, and show how far they are.

    A setting that only some of the methods have varies theirs alone; one that none has is refused,
    as is all else that is not understood, before anything starts.  The same command again goes on
    with what is not done: a cell that was killed at its checkpoint, to the same numbers.
    """
    from chunkrl import disk
    from chunkrl.experiments import sweep as grid

    place = disk.user_path(folder).resolve()
    common = [*inspect.signature(train).parameters.values()][1:-1]
    own = {"task", "preset", "seeds", "folder", "distributed", "check"}
    options = {option.name: option.default for option in common if option.name not in own}
    values, numbers = grid.settings(set), grid.seeds(seeds)
    cells = grid.cells(methods, task, preset, numbers, values, place, options)
    asked = grid.settings(parameter, "--parameter")
    for cell in cells:
        quiet = io.StringIO()
        try:
            with redirect_stdout(quiet), redirect_stderr(quiet):
                train_command([*cell.words, "--check"])
        except SystemExit:
            raise ConfigError(
                f"`chunkrl train {shlex.join(cell.words)}` is not understood: it says why"
            ) from None
    if print:
        sys.stdout.writelines(
            f"{shlex.join(['chunkrl', 'train', *cell.words])}\n" for cell in cells
        )
    elif table:
        sys.stdout.write(f"{grid.table(cells)}\n")
    else:
        executor = grid.executor(submit, place / "submitit", asked)
        grid.run(cells, executor, jobs or (len(cells) if submit else 1), show=True)


@app.command
def evaluate(
    folder: Annotated[Positional[Path], about("that `chunkrl train` wrote")],
    episodes: Annotated[int, about("per seed; rounded up to the same per goal")] = 50,
    seed: Annotated[int, about("of the episodes")] = 0,
    execute: Annotated[Count, about("actions of each chunk; default: as the agent does")] = None,
    success_timing: Annotated[Timing, about("score the state before or after a step")] = None,
    video: Annotated[File, about(".webp file of the first seed's first episode")] = None,
    workers: Annotated[Count, about("processes; default: one per core; 0: this one plays")] = None,
    delay: Annotated[Count, about("steps by which chunks, but the first, are late")] = None,
    rtc: Annotated[bool, about("with --delay: go on from the chunk before")] = False,
) -> None:
    """Play episodes with the agents of a run folder; add what they did to evaluation.json there.

    With --delay the robot goes on with the chunk before until the next one is there: --execute and
    --delay together are at most a chunk.  --rtc is real-time chunking (arXiv 2506.07339).
    """
    from chunkrl import disk
    from chunkrl.experiments import experiment
    from chunkrl.play.evaluate import Evaluator
    from chunkrl.play.latency import Late
    from chunkrl.play.video import save, webp_path
    from chunkrl.train import runs

    if rtc and delay is None:
        raise ConfigError("--rtc says how to bear a delay: give --delay, which may be 0")
    folder = disk.user_path(folder)
    loaded = experiment.load(folder)
    if execute is not None:
        checks.within("--execute", execute, 1, loaded.agent.chunk)
    execute = execute or loaded.agent.execute
    # What would not be kept is refused before any episode is played.
    runs.add_evaluations(folder, [])
    if video is not None:
        video = webp_path(disk.user_path(video))
        disk.require_writable(video)
    timing = success_timing or runs.read_config(folder, ["success_timing"])["success_timing"]
    step = loaded.rows[-1]["step"]
    how = {"execute": execute, "success_timing": timing, "episode_seed": seed, "step": step}
    player: Any = Evaluator
    if delay is not None:
        player, how = partial(Late, delay=delay), how | {"delay": delay, "rtc": rtc}
    frames, told = [], []
    with player(loaded.task, workers=workers, success_timing=timing, execute=execute) as play:
        for i, trained in enumerate(loaded.config["seeds"]):
            if rtc:
                play.resume = loaded.resume(i)
            result = play.run(loaded.act(i), episodes, seed, record=int(bool(video) and i == 0))
            frames += result.frames
            row = runs.summary(result)
            runs.add_evaluations(folder, [{"seed": trained, **how, **row}])
            told.append(
                f"seed {trained}: success {runs.in_words(row)}, return {row['return']:.1f}, length "
                f"{row['length']:.0f} over {row['episodes']} episodes{runs.by_goal(row)}"
            )
    if video:
        save(frames[0], video)
        told.append(f"video: {video}")
    print("\n".join(told))  # at the end: all is stored though nobody may listen any more


@app.command
def export(
    folder: Annotated[Positional[Path], about("of a run, or the name of an agent that ships")],
    to: Annotated[File, about("new folder to write; default: exports/NAME")] = None,
    seed: Annotated[Count, about("of the run; default: its first")] = None,
    onnx: Annotated[bool, about("write agent.onnx too")] = True,
) -> None:
    """Take an agent away: what acts of one seed, for NumPy, ONNX or a player in any language.

    Writes agent.npz, agent.json, which describes it, player.py, agent.onnx, which takes its noise
    as an input, and check.npz, what the agent did.  Plays a few steps to compare with that.
    """
    from chunkrl.experiments import export as exporting

    done = exporting.export(folder, to, seed, onnx)
    told = "{method} on {task}, seed {seed}: chunks of {chunk}, of which {execute} are executed"
    print(f"{done.folder}: {told.format(**done.about)}")
    for file, found in done.difference.items():
        print(f"{file}: differs from the agent by {found:.1e} at most, in {done.compared}")


@app.command
def report(
    folders: Annotated[Positional[tuple[Path, ...]], about("of runs, any methods, tasks, seeds")],
    to: Annotated[Path, about("the page to write")] = Path("report.html"),
) -> None:
    """Compare runs on one page: IQM, mean, probability of improvement, profiles, curves, tuning.

    All intervals resample seeds.  The page needs nothing beside it and holds each seed's numbers.
    """
    from chunkrl.experiments import evidence

    print(evidence.write(folders, to))


@data_app.command
def make(
    dataset: Annotated[Positional[str], about("such as cube-double-play")],
    transitions: Annotated[int, about("rounded up to whole episodes")] = 150_000,
    seed: Annotated[int, about("of the whole dataset; the workers do not matter")] = 0,
    path: Annotated[File, about(".npz file to write; default: in the data folder")] = None,
    workers: Annotated[Count, about("processes; default: by cores and episodes")] = None,
) -> None:
    """Generate a dataset, such as cube-double-play, with OGBench's own scripted oracles.

    A run that was stopped goes on where it was.
    """
    from chunkrl.envs.ogbench.generate import generate

    print(generate(dataset, transitions, path, seed=seed, workers=workers))


@data_app.command
def download(
    dataset: Annotated[Positional[str], about("such as cube-double-play-v0")],
    shards: Annotated[Shards, about("of a 100M set, such as 0 1; default: all")] = None,
) -> None:
    """Download an official OGBench dataset; a download that was cut goes on where it was.

    Of a 100M set, such as cube-octuple-play-100m-v0, this is a folder of 100 pairs of files.
    """
    from chunkrl.envs.ogbench import download as files

    print(files.download(dataset, shards=shards))


@data_app.command
def shards(
    folder: Annotated[Positional[Path], about("of npz files, such as a downloaded 100M set")],
    task: Annotated[str, about("that will be trained on, such as cube-octuple-play-oraclerep-v0")],
) -> None:
    """Convert a folder of npz files for training that holds one at a time on the device.

    Prints the folder for `chunkrl train mac --task TASK --shards FOLDER` (which converts by itself
    what is not converted); the npz files are not needed afterwards.  A conversion that was stopped
    goes on where it was.
    """
    from chunkrl.envs.ogbench.convert import convert

    print(convert(folder, task))


@data_app.command(name="import")
def import_(
    source: Annotated[Positional[str], about("a path, or the id of a Minari dataset")],
    path: Annotated[File, about(".npz file to write; default: as the source is named")] = None,
    low: Annotated[Bounds, about("least actions: one number, or one a dimension")] = None,
    high: Annotated[Bounds, about("greatest actions, where they are not in [-1, 1]")] = None,
) -> None:
    """Write data of robomimic (HDF5), Minari or LeRobot as one npz file, and check it.

    Rewards of robomimic become -1 and 0; only Minari's data know the bounds of their actions.
    """
    from chunkrl.data import importing

    check(importing.import_data(source, path, low, high))


@data_app.command
def check(
    path: Annotated[Positional[Path], about("of an npz file")],
    task: Annotated[str | None, about("that the data must belong to")] = None,
) -> None:
    """Check a data file to the last byte and, with a task, that it belongs to that task.

    Says what its keys mean beyond OGBench's own, and which are not read.
    """
    from chunkrl.data import dataset
    from chunkrl.envs import family
    from chunkrl.envs.ogbench import relabel
    from chunkrl.types import Windows

    found = family.get(task) if task else None
    if found and found.goals:
        loaded = relabel.load_chunks(found, path, chunk=1)
        print(f"{path}: {len(loaded.obs)} states, each a goal of {loaded.goal.shape[1]} numbers")
    elif found:
        loaded, _ = family.named(found.family).data(found, Windows(1), path)
        solved, how = int((loaded.mask == 0).sum()), "in solved states of"
        how = how if found.family == "ogbench" else "after which nothing comes in"
        print(f"{path}: {len(loaded.obs)} transitions, {solved} {how} {task}")
    else:
        print(f"{path}: {len(dataset.load(path)['observations'])} transitions")
    for note in dataset.notes(path):
        print(f"{path}: {note}")


@app.command
def site(
    folder: Annotated[Positional[Path], about("to write; open its index.html")],
    notebooks: Annotated[Path, about("whose stored outputs are shown")] = Path("notebooks"),
    most: Annotated[int, about("settings of a figure, if its ends and buttons need no more")] = 160,
    workers: Annotated[Count, about("processes; default: one per core; 0: this one")] = None,
) -> None:
    """Write the course as pages that need no kernel: notebooks, live figures, the robot.

    They open from disk and from any web server, without a network.  Making them takes npm, once.
    """
    from chunkrl.site import folder as pages

    made = pages.make(folder, notebooks, most, workers)
    for sentence in made.left_out:
        print(sentence)
    print(f"{folder}: {len(made.sizes)} files, {sum(made.sizes.values()) / 1e6:.1f} MB")


@app.command
def info() -> None:
    """Versions, devices, rendering and data, with a remedy for each thing missing."""
    from chunkrl import machine

    print(machine.report())


def main() -> None:
    started = vars(sys.modules["__main__"])
    if started.get("main") is main:
        started.pop("__file__", None)  # else each worker runs this script, which imports JAX
    if sys.argv[1:] == ["--version"]:
        print(f"chunkrl {importlib.metadata.version('chunkrl')}")
        return
    with command.sentences("chunkrl"):
        if sys.argv[1:2] == ["train"]:
            train_command(sys.argv[2:])
            return
        app.cli(prog="chunkrl", description=__doc__)
