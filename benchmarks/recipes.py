"""What the training recipe is worth: the default one against FastestDet's, by the length of the training.

Trains the baseline of the search space from the published detector's weights, at every length with every
seed, and measures the float network on the validation split, each image as it is: so are published
figures. Results go to --out, one line each; the same command continues after an interruption. Once per data
set:

    python benchmarks/recipes.py --epochs 10,30,60 --seeds 3
"""

import argparse
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from common import Goal, Results, end, make_parser, open_study, table, train

from mlflow_nas.train import Freeze, Recipe, RecipeName, fine_tuning, named_recipe

IDENTITY = ("data", "recipe", "freeze", "rates", "distillation", "epochs", "seed")
METRICS = ("map_fp32", "map_50_fp32")
GOALS = {"penn-fudan": {"map_fp32": 0.6, "map_50_fp32": 0.92}}
"""What the default recipe should reach at least, on average over the seeds, by data set and metric."""
GOAL_EPOCHS = 60


def recipe_of(options: argparse.Namespace, name: RecipeName) -> Recipe:
    """The recipe of that name for transferred weights; the rates of the options are the default's."""
    recipe = fine_tuning(named_recipe(name, freeze=options.freeze))
    if name != "default":
        return recipe
    rates = {"learning_rate": options.learning_rate, "unchanged_rate": options.unchanged_rate}
    return replace(recipe, distillation=options.distillation, **rates)


def run(options: argparse.Namespace, results: Results) -> None:
    """Train what is not in the results yet, the short trainings first."""
    for epochs, seed, name in itertools.product(options.epochs, range(options.seeds), options.recipes):
        recipe = recipe_of(options, name)
        row = {
            "data": options.data,
            "recipe": name,
            "freeze": options.freeze,
            "rates": [recipe.learning_rate, recipe.unchanged_rate],
            "distillation": recipe.distillation,
            "epochs": epochs,
            "seed": seed,
        }
        if results.has(row):
            continue
        own = {"seed": seed, "epochs": epochs, "data.eval_augmentations": 1}
        context = replace(open_study(options, **own), recipe=recipe)
        metrics = train(context, context.space.baseline, measure_last=options.measure_last)[-1]
        results.add(row | {key: round(value, 4) for key, value in metrics.items()})


def of(options: argparse.Namespace, results: Results, *, epochs: int, name: str) -> list[dict[str, Any]]:
    """The results of one length and recipe, with the rates that were asked for."""
    wanted = {"data": options.data, "recipe": name, "freeze": options.freeze, "epochs": epochs}
    if name == "default":
        wanted["rates"] = [options.learning_rate, options.unchanged_rate]
        wanted["distillation"] = options.distillation
    return [row for row in results if all(row[key] == value for key, value in wanted.items())]


def report(options: argparse.Namespace, results: Results) -> str:
    """Mean and standard deviation over the seeds, as Markdown."""
    rows: list[tuple[object, ...]] = []
    for epochs, name in itertools.product(options.epochs, options.recipes):
        own = of(options, results, epochs=epochs, name=name)
        cells = (_mean_and_spread([row[metric] for row in own]) for metric in METRICS)
        rows.append(
            (epochs, name, len(own), *cells, f"{statistics.fmean(row['train_s'] for row in own):.0f}")
        )
    return table(("epochs", "recipe", "seeds", "mAP", "AP50", "s a training"), rows)


def goals(options: argparse.Namespace, results: Results) -> Iterator[Goal]:
    """What the default recipe should reach on this data set."""
    if GOAL_EPOCHS not in options.epochs or "default" not in options.recipes:
        return
    own = of(options, results, epochs=GOAL_EPOCHS, name="default")
    for metric, least in GOALS.get(Path(options.data).name, {}).items():
        mean = statistics.fmean(row[metric] for row in own)
        yield Goal(f"{metric} after {GOAL_EPOCHS} epochs", mean, least)


def _mean_and_spread(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def main() -> None:
    """Train, then print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--epochs", type=lambda text: [int(part) for part in text.split(",")], default=[10])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", type=lambda text: text.split(","), default=list(get_args(RecipeName)))
    parser.add_argument("--freeze", choices=get_args(Freeze), default="none")
    parser.add_argument(
        "--measure-last", action="store_true", help="measure after the last epoch only, to save time"
    )
    parser.add_argument("--out", type=Path, default=Path("build/recipes.jsonl"))
    options = parser.parse_args()
    results = Results(options.out, IDENTITY)
    run(options, results)
    end(report(options, results), *goals(options, results))


if __name__ == "__main__":
    main()
