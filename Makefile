# Every target needs `setup`, which is instant once the pinned packages are installed.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed
VOC := --data voc:../shared/data/voc-persons/VOCdevkit
BENCH_SPEED := start_up.py data_reading.py bookkeeping.py overhead.py scale_simulation.py registry_scale.py trial_start.py "trial_start.py --freeze backbone" evaluation_speed.py \
	training_throughput.py selection_protocol.py estimator_throughput.py latency_repeats.py
BENCH_ACCURACY := samplers.py early_stopping.py "ranking.py --long 70" "ranking.py --long 20 $(VOC)" supernet.py "supernet.py --long 20 --trial 4 $(VOC)" \
	int8_accuracy.py "int8_accuracy.py $(VOC)" \
	"recipes.py --epochs 10,30,60" "recipes.py --epochs 10,30,60 --measure-last $(VOC)"

# A script that misses a goal says so and ends with status 1: the others run all the same.
define measure
@missed=; for script in $(1); do \
	echo "== python benchmarks/$$script"; $(BIN)/python benchmarks/$$script || missed="$$missed; $$script"; \
done; test -z "$$missed" || { echo "missed or failed$$missed"; exit 1; }
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo converters test test-services generate docs pictures lint check bench bench-speed bench-accuracy board-arm64 clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 16

setup: $(INSTALLED) ## create .venv from the pinned packages (PYTHON=python3.12 chooses another Python)

$(INSTALLED): requirements.txt requirements-dev.txt pyproject.toml .ci/setup
	.ci/setup "$(PYTHON)"
	touch $(INSTALLED)

demo: setup ## search, promote and deploy once, on generated scenes; ends in a report
	PATH="$(CURDIR)/$(BIN):$$PATH" mlflow run . --env-manager local -P trials=5 \
		-P set="training.seed_epochs=25 finalists.count=2 finalists.epochs=8 finalists.speedup=1.2"

converters: setup ## build the environment of the converters to TFLite, for tests (.nas/runtimes)
	MLFLOW_NAS_RUNTIMES=.nas/runtimes $(BIN)/mlflow_nas runtimes install vela

test: setup ## run the tests that need no server, browser or board, two files at a time
	$(BIN)/pytest -n 2 --dist loadfile -m "not services and not board and not slow"

test-services: setup ## run the others: real servers, a browser, the emulated board (see .ci/run for their packages)
	$(BIN)/pytest -n 2 --dist loadfile -m "services or board or slow"

generate: setup ## write MLproject and docs/reference from the configuration
	$(BIN)/python tools/generate_reference.py

docs: setup ## build the site of the documentation in build/site; a broken link fails
	$(BIN)/python tools/build_docs.py

pictures: setup ## draw the pictures of the documentation anew (needs ../shared; those of a study also chromium: STUDY=NAME)
	$(BIN)/python tools/make_pictures.py $(STUDY)

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test ## lint, then test; CI runs test-services as well

bench: setup ## measure all that follows (hours; build/ keeps what bench-accuracy has)
	$(call measure,$(BENCH_SPEED) $(BENCH_ACCURACY))

bench-speed: setup ## measure start-up, bookkeeping, training, evaluation, estimates, how well latency repeats (minutes)
	$(call measure,$(BENCH_SPEED))

bench-accuracy: setup ## measure rankings, int8's cost and the recipe on real images (hours; build/ keeps results)
	$(call measure,$(BENCH_ACCURACY))

board-arm64: setup ## build the emulated arm64 board in .nas/arm64-board (Debian, qemu-user-static)
	deploy/arm64-board/build .nas/arm64-board

clean: ## remove caches and build output; runs, models and .venv stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find mlflow_nas tests benchmarks -name __pycache__ -exec rm -rf {} +
