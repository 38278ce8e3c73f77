"""The names that runs, versions and files have: what docs/reference/results.md lists."""

from fnmatch import fnmatch

__all__ = ["ALIASES", "ERRORS", "EXIT_CODES", "FILES", "METRICS", "TAGS", "VERSION_TAGS", "describes"]

METRICS = {
    "map, map_50": "COCO mAP at IoU .5:.95 and at .5 of the file that ships, on val; 0..1",
    "top1": "of classifiers: share of the images of val whose class has the largest score; 0..1",
    "map/*, top1/*": "the same of each class, where there are several",
    "map_fp32, map_50_fp32, top1_fp32": "the same of the trained float network, or of a given float file",
    "map_ci_*, top1_ci_*": "of finalists: 95 % interval over images (`_low`, `_high`), and over seeds beside "
    "`map_seed_sd`",
    "map_seed_sd, top1_seed_sd": "of finalists: standard deviation over seeds, by second trainings",
    "statistics_retaken": "of finalists: 1 where BatchNorm statistics were taken anew and kept",
    "kept_trial": "of finalists: 1 where the trial's network is more accurate on val, and is what ships",
    "from_supernet": "of finalists of a supernet's search: 1 where the training started from its weights",
    "map_difference*, top1_difference*": "of finalists: to the detector as given, with its 95 % interval",
    "test_map, test_map_50, test_top1, test_map/*, test_top1/*": "on the test split, of the front, the "
    "baseline, the finalists and the detector as given; decides nothing",
    "latency_ms": "`latency_ratio` times the study's reference latency: what is optimized, compared, limited",
    "latency_ratio": "to the reference model, timed in turn; of processor time where it can be had",
    "latency_ratio_fp32, latency_ms_fp32": "of a given float file, whose plain int8 file is the reference",
    "speedup": "latency of the detector as given (else of the reference model) over that of the file",
    "latency_raw_ms, latency_raw_ms_*, reference_latency_raw_ms": "wall-clock milliseconds: median, `_p90`, "
    "`_p99`, `_min`, `_mean`; of the reference model in the same measurement",
    "latency_cv, latency_spread": "coefficient of variation of single times, and of the ratio between loads",
    "latency_runs, latency_attempts": "timed inferences, and measurements until it was stable",
    "power_w, energy_mj": "while the file ran, and of one inference, where the board has a sensor",
    "trained_params, train_loss": "parameters that were not frozen; loss of the last epoch",
    "changes": "of a promotion: number of changed tags and aliases; of a deployment: of changed devices",
    "params, macs, flops": "of one image at the architecture's input size; FLOPs = 2 x MACs",
    "model_size_bytes": "of the file that ships",
    "load_ms, first_run_ms, peak_memory_bytes": "on the board: to open the file, to run it first, and "
    "the largest memory of the process",
    "pipeline_ms": "on the board, by deploy/device/detect.py: reading, resizing, inference and decoding of "
    "a 640 x 480 image",
    "npu_share": "of the file's operators: those that the NPU computes; 0..1",
    "sram_bytes, dram_bytes": "memory that the file takes at most, as its compiler planned it",
    "board_drift, *_drift": "largest difference of outputs: board and host, or two steps of the export",
    "train_s, trial_s, epochs": "wall-clock seconds of the training and of all steps; trained epochs",
    "epoch/*": "the learning curve, by epoch",
    "constraint/*": "how far a limit is violated; feasible at 0 and below",
    "best_*, front_size, hypervolume": "of a study's run: best first objective, members of the front, "
    "hypervolume of accuracy and latency ratio (reference point 0 and 1.5)",
    "cost.*": "of a study's run: costs and results of its searches, by strategy",
    "plan.*": "of a plan's or a study's run: forecast and actual seconds and trainings, by way; seconds of "
    "each step and query",
    "float_latency_ratio": "of a study's run: the reference model's float file over its int8 file",
    "module/*, profile_*": "of a profile: milliseconds by module, of runs and of nodes",
    "emulated_*": "times of an emulated board, which are no latencies",
}
"""Names, with * for any text, to meaning; of runs."""

TAGS = {
    "nas.study, nas.trial, nas.key, nas.uid": "study, number of the trial, architecture's key, unique id",
    "nas.role": "study, trial, baseline, reference, seed, repeat, finalist, promotion, deployment; "
    "a command's name",
    "nas.trigger": "by which a promotion or deployment came: a command, search, watch, webhook",
    "nas.model": "of a promotion: the registered model",
    "nas.deployment, nas.device": "of a deployment: its name, and the devices that were changed",
    "nas.state": "complete, infeasible, failed, pruned",
    "nas.error": "why a trial has no result",
    "nas.board, nas.protocol, nas.runtime": "where and how latency was measured; only latencies of "
    "one protocol compare",
    "nas.board.*": "facts of the board while it measured",
    "nas.space, nas.choices, nas.task, nas.precision": "what was searched",
    "nas.dataset, nas.data_findings, nas.skipped_images": "digest of train and val; what was wrong with "
    "the files",
    "nas.latency_unstable": "true: the latency is not to be trusted",
    "nas.estimator, nas.drawn, nas.selection": "what chose a trial; the run of the selection",
    "nas.plan, nas.plan_because": "the way that a budget recommends, and why",
    "nas.trained_on": "processor of the trainings",
    "nas.classes, nas.sha256": "of a model's file",
    "nas.step.*": "fingerprint of a cached step whose files the run holds",
}

VERSION_TAGS = {
    "nas.pareto, nas.front, nas.dominated_by": "on the front or not, and by which version",
    "nas.pinned": "an alias was set by hand and stays",
    "nas.accuracy": "name of the version's accuracy, such as map or top1",
    "nas.reference_*": "accuracy of what the version is compared with",
    "nas.published": "digest of the manifest that `publish` has left in the version's run",
    "deploy.*": "state of a device that holds, or refused, the version",
}

ALIASES = {
    "champion": "what to ship: with a speed goal the most accurate that meets it, else the fastest whose "
    "accuracy is at most `registry.max_drop` below the reference's",
    "fastest, most-accurate, knee": "the ends and the knee of the front",
    "ROLE-BOARD": "the same of one board; those without a suffix belong to the board of the first "
    "registration",
}

FILES = {
    "report.html": "of a study: its page",
    "pareto.png": "of a study: the front",
    "trials.json": "of a study: the table of trials",
    "training_batch.png": "of a study: augmented training images with their boxes",
    "detections.png": "of a logged model's run: detections on val images",
    "profile.png, profile.json, modules.json, operators.json, nodes.json": "of a profile",
    "steps/": "files of cached steps for other machines",
    "changes.jsonl": "of a promotion or deployment: a line for each change",
}

ERRORS = {
    "ConfigError": "a mistake in the command, the data or a file: exit code 2",
    "CandidateError": "the architecture can't be built, exported, quantized or run",
    "BoardError": "the board can't be reached, or failed",
    "MachineError": "this machine: a full disk, too little memory, a lost accelerator",
    "RegistryError": "MLflow does not answer, or refuses",
}

EXIT_CODES = {
    "0": "done; of `doctor`: the board can be used",
    "1": "everything that is foreseen and not the user's mistake",
    "2": "a mistake in the command, the configuration or the data",
    "128 + N": "ended by signal N: 130 after Ctrl-C; the same command continues a study",
    "141": "the reader of the output is gone",
}


def describes(table: dict[str, str], name: str) -> bool:
    """Whether a table lists a name."""
    return any(fnmatch(name, pattern) for names in table for pattern in names.split(", "))
