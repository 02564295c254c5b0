#!/usr/bin/env python3
"""Runs ONNX's own tests of operators on gpunn, and compares the results with those of ONNX.

Usage: PYTHON scripts/onnx_cases.py [--devices cpu,gpu] [--kinds node,simple,pytorch-operator,pytorch-converted] [--only WORD]
                                    [--write] [--table]

PYTHON needs onnx and numpy. `kernels-tests/onnx-cases.toml` says which cases are expected not to pass, with the reason. It is held both
ways: a case that passes against expectation is reported, too. --write writes that file anew, --table prints the table of docs/onnx.md.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib
import warnings

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402
from onnx.backend.test.loader import load_model_tests  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPECTED = ROOT / "kernels-tests" / "onnx-cases.toml"
KINDS = ["node", "simple", "pytorch-operator", "pytorch-converted"]
NO_OPERATOR = "gpunn does not have this operator"


def load(kinds):
    """The cases, each with its model, its inputs and its expected outputs as tensors or arrays."""
    cases = {}
    for kind in kinds:
        for case in load_model_tests(kind=kind):
            model = case.model or onnx.load(os.path.join(case.model_dir, "model.onnx"))
            cases[f"{kind}/{case.name}"] = (case, model)
    return cases


def data_of(case, model):
    """The first data set of a case: inputs as tensors, outputs as arrays. None for types that are not tensors."""
    if case.data_sets:
        inputs, outputs = case.data_sets[0]
    else:
        folder = sorted(pathlib.Path(case.model_dir).glob("test_data_set_*"))[0]
        read = lambda what: [onnx.load_tensor(str(p)) for p in sorted(folder.glob(f"{what}_*.pb"), key=lambda p: int(p.stem.split("_")[1]))]
        inputs, outputs = read("input"), [numpy_helper.to_array(t) for t in read("output")]
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    tensors = []
    for value, array in zip([v for v in model.graph.input], inputs):
        if isinstance(array, onnx.TensorProto):
            tensors.append(array)
        elif isinstance(array, np.ndarray) or np.isscalar(array):
            tensors.append(numpy_helper.from_array(np.asarray(array)))
            # Small types are kept in arrays of larger ones.
            if tensors[-1].data_type != types[value.name] and types[value.name]:
                tensors[-1] = onnx.helper.make_tensor(value.name, types[value.name], np.shape(array), np.asarray(array).flatten())
        else:
            return None, None
    outputs = [numpy_helper.to_array(output) if isinstance(output, onnx.TensorProto) else output for output in outputs]
    if not all(isinstance(output, np.ndarray) or np.isscalar(output) for output in outputs):
        return None, None
    return tensors, [np.asarray(output) for output in outputs]


def ulp(ours, theirs):
    """The largest difference in units of the last place of the expected number, or of the largest expected number times 2^-20."""
    theirs, ours = theirs.astype(np.float64), ours.astype(np.float64)
    finite = np.isfinite(theirs) & np.isfinite(ours)
    if not finite.any():
        return 0.0
    floor = np.abs(theirs[finite]).max() * 2.0**-20
    unit = np.spacing(np.maximum(np.abs(theirs[finite]), max(floor, 1e-37)).astype(np.float32)).astype(np.float64)
    return float((np.abs(theirs[finite] - ours[finite]) / unit).max())


def judge(case, folder, device, shapes, outputs):
    """Why the outputs are wrong, or None; and the error in ULP."""
    if len(shapes) != len(outputs):
        return f"it has {len(shapes)} outputs instead of {len(outputs)}", 0
    worst = 0.0
    for number, (shape, wanted) in enumerate(zip(shapes, outputs)):
        if list(wanted.shape) != shape:
            return f"its output {number} is {shape} instead of {list(wanted.shape)}", 0
        found = np.fromfile(folder / f"{device}_{number}.f32", np.float32).reshape(shape)
        if wanted.dtype.kind not in "fiub" and wanted.dtype.name not in ("bfloat16", "int4", "uint4"):
            return f"its output {number} is of type {wanted.dtype}", 0
        wanted = wanted.astype(np.float64)
        close = np.isclose(found, wanted, rtol=case.rtol, atol=case.atol, equal_nan=True)
        if not close.all():
            return f"{int((~close).sum())} of {close.size} numbers of output {number} differ", 0
        if wanted.size:
            worst = max(worst, ulp(found, wanted))
    return None, worst


def run(device, folders):
    binary = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "run_onnx"
    done = subprocess.run([binary, device, "operators"], input="\n".join(folders), text=True, stdout=subprocess.PIPE, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0:
        sys.exit(f"run_onnx {device} ended with {done.returncode} after {len(lines)} of {len(folders)} cases: {folders[len(lines)]}")
    return {line["case"]: line["outcome"] for line in lines}


def operators(model):
    return sorted({node.op_type for node in model.graph.node})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", default="cpu,gpu")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    devices = arguments.devices.split(",")
    is_whole = arguments.kinds == ",".join(KINDS) and not arguments.only
    if arguments.write and not is_whole:
        parser.error("--write needs all cases: leave out --only and --kinds")
    cases = {name: case for name, case in load(arguments.kinds.split(",")).items() if arguments.only in name}
    results = {}  # name -> {device: (outcome, reason, ulp)}
    with tempfile.TemporaryDirectory() as work:
        folders, wanted = {}, {}
        for number, (name, (case, model)) in enumerate(cases.items()):
            inputs, outputs = data_of(case, model)
            if inputs is None:
                results[name] = {device: ("unsupported", "its values are not tensors", 0) for device in devices}
                continue
            folder = pathlib.Path(work) / str(number)
            folder.mkdir()
            (folder / "model.onnx").write_bytes(model.SerializeToString())
            for index, tensor in enumerate(inputs):
                (folder / f"input_{index}.pb").write_bytes(tensor.SerializeToString())
            folders[name], wanted[name] = folder, outputs
        for device in devices:
            outcomes = run(device, [str(folder) for folder in folders.values()])
            for name, folder in folders.items():
                (kind, value), = outcomes[str(folder)].items()
                if kind == "ran":
                    reason, worst = judge(cases[name][0], folder, device, value, wanted[name])
                    result = ("passed", "", worst) if reason is None else ("fails", reason, 0)
                else:
                    result = ("unsupported" if kind == "unsupported" else "fails", value.replace(f"{folder}/", ""), 0)
                results.setdefault(name, {})[device] = result
    if arguments.write:
        write(results, cases)
    if arguments.table:
        table(results, cases, devices)
    return report(results, cases, devices, is_whole)


def lacking(results, cases):
    """The operators that gpunn lacks, by the reasons of the cases."""
    return sorted({reason.split(" ")[0] for of in results.values() for _, reason, _ in of.values() if reason.endswith(NO_OPERATOR)})


# What the reasons of refused cases have in common.
CATEGORIES = [
    ("gpunn does not have an operator", [NO_OPERATOR]),
    ("an operator that is only evaluated for shapes", ["supported only for constants and shapes"]),
    ("types: text, sequences, 8-bit floats, integers that are computed", ["elements of type", "not tensors", "with integers", "of integers", "Cast ", "the type "]),
    ("control flow, and operators of other domains", ["control flow", "operators of", "of kind 8", "operators of the file itself"]),
    ("tensors without elements", ["without elements", "no elements", "[8, 0]"]),
    ("images with three axes", ["images with 3 axes"]),
]


def category(reason):
    return next((name for name, parts in CATEGORIES if any(part in reason for part in parts)), "other")


def summary(of):
    """What is expected of a case: 'passed', or the worst outcome and its reason."""
    for outcome in ("fails", "unsupported"):
        for device, (found, reason, _) in of.items():
            if found == outcome:
                return outcome, reason
    return "passed", ""


def write(results, cases):
    known = tomllib.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    missing = lacking(results, cases)
    lines = [
        "# The cases of ONNX's tests of operators that are expected not to pass on gpunn. scripts/onnx_cases.py reads this file and writes it",
        "# with --write. A reason that stands here is kept as long as the case has the same outcome.",
        "",
        "# Cases with one of these operators are expected to be refused, because gpunn does not have it.",
        "operators = [" + ", ".join(f'"{op}"' for op in missing) + "]",
        "",
    ]
    for outcome in ("fails", "unsupported"):
        lines.append(f"[{outcome}]")
        for name, of in sorted(results.items()):
            found, reason = summary(of)
            if found == outcome and not (outcome == "unsupported" and reason.endswith(NO_OPERATOR)):
                reason = known.get(outcome, {}).get(name, reason)
                lines.append(f"{json.dumps(name)} = {json.dumps(reason)}")
        lines.append("")
    EXPECTED.write_text("\n".join(lines))


def table(results, cases, devices):
    rows = collections.defaultdict(lambda: [0, 0, {device: 0.0 for device in devices}])
    for name, of in results.items():
        for op in operators(cases[name][1]):
            row = rows[op]
            row[0] += all(outcome == "passed" for outcome, _, _ in of.values())
            row[1] += 1
            for device, (_, _, worst) in of.items():
                row[2][device] = max(row[2][device], worst)
    print("| operator | passed | of | " + " | ".join(f"ULP, {device}" for device in devices) + " |")
    print("|---|---|---|" + "---|" * len(devices))
    for op, (passed, total, worst) in sorted(rows.items()):
        if passed:
            print(f"| {op} | {passed} | {total} | " + " | ".join(f"{worst[device]:.0f}" for device in devices) + " |")


def report(results, cases, devices, is_whole):
    expected = tomllib.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    missing = set(expected.get("operators", []))
    surprises = []
    for name, of in sorted(results.items()):
        stated = next(((outcome, expected[outcome][name]) for outcome in ("fails", "unsupported") if name in expected.get(outcome, {})), None)
        for device, (found, reason, _) in of.items():
            if found == "passed":
                if stated:
                    surprises.append(f"{name} passes on {device}, but was expected not to: {stated[1]}")
            elif found == "unsupported" and reason.endswith(NO_OPERATOR) and missing.intersection([reason.split(" ")[0]]):
                pass
            elif not stated or stated[0] != found:
                surprises.append(f"{name} on {device} {found}: {reason}")
    if is_whole:
        # The file must not say more than is true.
        stated = [name for outcome in ("fails", "unsupported") for name in expected.get(outcome, {})]
        surprises += [f"{name} is expected not to pass, but there is no such case" for name in stated if name not in results]
        surprises += [f"no case is refused for the operator {op} any more" for op in sorted(missing - set(lacking(results, cases)))]
    have = [name for name, of in results.items() if not any(reason.endswith(NO_OPERATOR) for _, reason, _ in of.values())]
    for device in devices:
        passed = [name for name in results if results[name][device][0] == "passed"]
        print(f"{device}: {len(passed)} of {len(results)} cases pass; of {len(have)} whose operators gpunn has, {len(set(passed) & set(have))}")
    refused = collections.Counter(category(reason) for outcome, reason in map(summary, results.values()) if outcome == "unsupported")
    print("refused: " + "; ".join(f"{count} {name}" for name, count in refused.most_common()))
    for surprise in surprises:
        print(surprise)
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
