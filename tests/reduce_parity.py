"""Makes the reference vectors that this repository ships, under 1 MB, out of the full folder.

    python tests/reduce_parity.py SOURCE TARGET

Of the files in KEPT it drops what no test reads, and most gradients, which parameters after updates
tell as well.  Values keep every bit: all float32 arrays of a file are stored as one, because a zip
entry and an .npy header for each are a third of a file, and by byte position, because the first
bytes of neighbours are alike and compress.  The files that stay behind are named in
TARGET/left_out.txt; tests that read one of those are skipped.
"""

import argparse
import json
import math
import re
from pathlib import Path

import numpy as np

LEFT_OUT = "left_out.txt"
_FLOATS, _SHAPES = "packed.floats", "packed.shapes"

# File -> pattern of the keys that are dropped.
_KEY = r"rng\d*\."
_UNREAD = rf"{_KEY}|batch\d*\.(terminals|next_goals)|out\.(velocity|euler_path|squared|gae_[ad])"
_ONE_UPDATE = rf"{_UNREAD}|adam_|grad\d|out\d|loss\d\.(?!total|reward)"
_UPDATE = rf"{_ONE_UPDATE}|after1\."  # followed to the last step
_BEST_OF_N = r"act_\w+\.(best|cand)|\w+\.onestep"
_SAMPLED = rf"{_UNREAD}|grad|rand\.dyn_noise|act_\w+\.(mean|std|noise_temp0)"
_LEQ_UNREAD = r"dynamics|success|reward|rollout_(success|rewards|q)|loss_w|target|q$|actor_actions"
_PLANNED = r"act_\w+\.(cand|best|next)"
KEPT = {
    "data_mac": "ac_single_terminal|raw",
    "data_qc": "ring|init_ring|seeded",
    "nets_gauss": _KEY,
    "nets_qc": rf"{_KEY}|\w+\.(critic_noln|critic_one|flow_ln)\b",
    "qc_n4": rf"{_UNREAD}|{_BEST_OF_N}|grad",
    "qcfql_qmin": rf"{_UNREAD}|grad",
    "update_qc_n4": rf"{_UPDATE}|{_BEST_OF_N}",
    "mac_gc_lam": rf"{_UNREAD}|grad|\w+\.reward\.",
    "update_mac_reward": _UPDATE,
    "iql_awr_std": rf"{_KEY}|grad",
    "update_iql_awr": _UPDATE,
    "ifql": rf"{_UNREAD}|grad|act_single[23]\.cand",
    "gciql_ddpgbc": rf"{_UNREAD}|grad|out\.(?!target_q$)",
    "update_gciql_ddpgbc_biglr": _UPDATE,
    "ngcsacbc_mean": rf"{_UNREAD}|grad|out\.(?!target_q$)",
    "update_ngcsacbc_biglr": _UPDATE,
    "data_hgc": r"(h[145]|gc)\.",
    "sharsa": rf"{_UNREAD}|grad|out\.(?!high_(value_target|target_q)$)|act_\w+\.high_cand",
    "update_dsharsa_biglr": _ONE_UPDATE,
    "dqc_nstep": rf"{_UNREAD}|grad|out\.(?!(target_chunk|backup_q)$)",
    "update_dqc": _ONE_UPDATE,
    "data_dqc": r"(c1|c3|all)\.",
    "update_ifql_biglr": rf"{_UPDATE}|after2",
    "rebrac": rf"{_KEY}|grad",
    "update_rebrac_biglr": rf"{_UPDATE}|after2",
    "rlpd_h1": _UNREAD,
    "mopo_rb": rf"{_SAMPLED}|out\.(?!penalty$)",
    "leq_gc_fixed": rf"{_SAMPLED}|\w+\.reward\.|out\.({_LEQ_UNREAD})",
    "fmpc_rb_fixed": rf"{_UNREAD}|grad|out\.(?!target_q$)|{_PLANNED}",
}


def pack(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The float32 arrays of a file as one, [4 byte positions, floats]; the others as they are."""
    floats = {key: x for key, x in arrays.items() if x.dtype == np.float32}
    rest = {key: x for key, x in arrays.items() if key not in floats}
    flat = np.concatenate([x.ravel() for x in floats.values()]).astype("<f4")
    shapes = json.dumps([[key, x.shape] for key, x in floats.items()])
    return rest | {_FLOATS: flat.view(np.uint8).reshape(-1, 4).T.copy(), _SHAPES: np.array(shapes)}


def unpack(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a file by key, whether it is one of the authors' or a packed one."""
    if _FLOATS not in arrays:
        return arrays
    whole = arrays.pop(_FLOATS).T.copy().view("<f4").ravel().astype(np.float32)
    for key, shape in json.loads(str(arrays.pop(_SHAPES))):
        arrays[key], whole = np.split(whole, [math.prod(shape)])
        arrays[key] = arrays[key].reshape(shape)
    return arrays


def reduce(source: Path, target: Path) -> None:
    """Write the files of KEPT from `source` into `target`, and the names of the others."""
    if (source / LEFT_OUT).is_file() or source.resolve() == target.resolve():
        raise SystemExit(f"{source} must be a full folder, and another than the one that is made")
    target.mkdir(parents=True, exist_ok=True)
    for name, dropped in KEPT.items():
        with np.load(source / f"{name}.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if not re.match(dropped, key)}
        np.savez_compressed(target / f"{name}.npz", **pack(arrays))
    others = sorted({path.stem for path in source.glob("*.npz")} - set(KEPT))
    (target / LEFT_OUT).write_text("".join(f"{name}\n" for name in others))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="the full folder")
    parser.add_argument("target", type=Path, help="the folder that is made, as tests/parity")
    paths = parser.parse_args()
    reduce(paths.source, paths.target)
