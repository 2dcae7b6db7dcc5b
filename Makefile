# One entry for people, hooks and CI. `make help` lists the targets.
# PYTHON is the interpreter that makes .venv (3.11 or newer); everything else runs inside .venv.
PYTHON ?= python3
FOUND_PYTHON = $(if $(shell command -v $(PYTHON)),$(PYTHON),$(error there is no $(PYTHON): name Python 3.11 or newer, as in make PYTHON=python3.12 demo))
VENV := .venv/bin/python
UV_COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make requirements'

.DEFAULT_GOAL := help
TARGETS := help demo test generate check docs wheel k8s chart mixin prove report pictures bench mutants faults soak fuzz audit digests soundness test-newest test-wide coverage maintenance maintenance-end deploy down backup restore test-stack requirements release release-prepare images .venv
.PHONY: $(TARGETS)
# Said before anything is done: targets that there are not (make itself takes names of folders such as `tests` for some),
# and what is given as `make target NAME=value` that these targets do not read.
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command line,$(origin $(name))),$(name)))
WRONG := $(if $(filter-out PYTHON,$(GIVEN))$(filter-out $(TARGETS),$(MAKECMDGOALS)),$(shell \
	$(FOUND_PYTHON) -m tools.make_call '$(subst ','\'',$(MAKECMDGOALS))' $(GIVEN)))
$(if $(filter stop,$(firstword $(WRONG))),$(error $(wordlist 2,999,$(WRONG))),$(if $(WRONG),$(warning $(WRONG))))
$(foreach file,$(SETTINGS),$(if $(wildcard $(file)),,$(error SETTINGS=$(file): there is no such file$(if $(word 2,$(SETTINGS)),; a path with blanks cannot be given))))
$(foreach name,$(filter FUZZ_MINUTES HOURS,$(GIVEN)),$(if $(shell echo '$($(name))' | grep -xE '[0-9]+([.][0-9]+)?' | grep '[1-9]'),,$(error $(name)=$($(name)): is no number above 0)))

# The shell would stumble over it; in what is several arguments it has its place.
$(foreach name,$(filter-out %ARGS,$(GIVEN)),$(if $(findstring ",$($(name))),$(error $(name)=$($(name)): holds the sign "; write $(name)="two words", where the shell takes it away)))

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv ## Run the whole stack on demo data, without Docker or root (PORT_BASE=19000 picks the ports)
	@echo ">> running the demo"
	@exec $(VENV) -m tools.demo $(if $(PORT_BASE),--port-base $(PORT_BASE))

# Tests that share servers stay together, and wait for these half of the time, so that three processes are right for
# two cores. WORKERS=0 runs all in one process, for the debugger.
WORKERS ?= $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))
# In the order of collection, the few long modules are not what is left for one process at the end.
test: .venv ## Run every test that needs no Docker engine (PYTEST_ARGS="-k name" narrows)
	@echo ">> running the tests"
	@$(VENV) -m pytest -m "not stack and not wide" --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder \
		$(PYTEST_ARGS)

test-newest: .venv ## Run the tests of rules, routing and experiments with Debian's newest Prometheus and Alertmanager, and the newest Python here
	@echo ">> running the tests of rules, routing and experiments with the newest Prometheus, Alertmanager and Python"
	@programs=$$($(VENV) -m tools.newest) && python=$$($(VENV) -m tools.pythons) && \
		PATH="$$programs:$$PATH" "$$python" -m pytest -m "not wide" --numprocesses $(WORKERS) --dist loadscope \
		$(or $(PYTEST_ARGS),tests/alerting tests/integration/test_end_to_end.py \
		tests/integration/test_experiment_engines.py tests/exporter/sources/test_experiments_reading.py)

test-wide: .venv ## Run the wide matrices too long for `make test`: versions, sizes, random inputs
	@echo ">> running the wide matrices"
	@$(VENV) -m pytest -m "wide and not stack" --numprocesses $(WORKERS) --dist loadscope $(PYTEST_ARGS)

UNIT_TESTS := tests/exporter tests/alerting tests/instrument tests/dashboards tests/demo tests/test_command.py
# From Python 3.12 on measuring costs next to nothing; what servers and engines do is left to `make test`.
coverage: .venv ## Run the unit tests with the newest Python of this machine, and print what they cover
	@echo ">> running the unit tests for their coverage"
	@python=$$($(VENV) -m tools.pythons) && COVERAGE_CORE=sysmon "$$python" -m pytest -m "not stack and not wide" --numprocesses $(WORKERS) \
		--dist loadscope --cov --cov-report=term:skip-covered $(or $(PYTEST_ARGS),$(UNIT_TESTS))

# Pages with tables of metrics and alerts.
TABLES := docs/metrics.md docs/alerts.md
# Committed is what the defaults make. What your own settings make goes to OUTPUT, which git leaves alone.
OWN := $(or $(foreach file,$(SETTINGS),--settings $(file)),--settings /dev/null)
OWN_OUTPUT := $(or $(OUTPUT),generated)
# Asked for by recipes that would write over what git keeps.
OUTPUT_OF_OWN = $(if $(OUTPUT),,$(foreach name,SETTINGS NAMESPACE,$(if $($(name)),$(error $(name)=$($(name)) needs OUTPUT=folder as well: git keeps what the defaults make))))
ifdef SETTINGS
generate: .venv ## Regenerate dashboards, rules, configurations, tables (SETTINGS=FILES: yours, into generated/ or OUTPUT)
	@echo ">> running the generators with $(SETTINGS), into $(OWN_OUTPUT)"
	@$(VENV) -m alerting generate $(OWN) --output-dir "$(OWN_OUTPUT)/alerting"
	@$(VENV) -m dashboards generate $(OWN) --output-dir "$(OWN_OUTPUT)/dashboards"
else
generate: .venv
	$(if $(OUTPUT),$(error OUTPUT is for what SETTINGS=FILES make; without them the committed files are written))
	@echo ">> running the generators"
	@$(VENV) -m tools.service_catalog
	@$(VENV) -m alerting generate $(OWN)
	@$(VENV) -m dashboards generate $(OWN)
	@$(VENV) -m alerting document $(OWN) $(TABLES)
	@$(VENV) -m tools.command_reference
	@$(VENV) -m tools.schemas generate
	@$(VENV) -m tools.settings_reference
	@$(VENV) -m tools.server_pages
	@$(VENV) -m tools.kubernetes_schemas
	@$(VENV) -m ml_monitoring kubernetes manifests $(OWN)
	@$(VENV) -m ml_monitoring kubernetes chart $(OWN)
	@$(VENV) -m tools.mixin generate $(OWN)
endif

# GRAFANA_URL, RUNBOOKS_URL and LOGS_URL in the environment say where the links in alerts lead.
k8s: .venv ## Write the manifests for Kubernetes (NAMESPACE=name, SETTINGS=FILES, OUTPUT=folder for others than the committed ones)
	@echo ">> writing manifests"
	$(OUTPUT_OF_OWN)
	@$(VENV) -m ml_monitoring kubernetes manifests $(OWN) $(if $(NAMESPACE),--namespace $(NAMESPACE)) $(if $(OUTPUT),--output-dir "$(OUTPUT)")

chart: .venv ## Write the Helm chart (SETTINGS=FILES and OUTPUT=folder for one made with your settings)
	@echo ">> writing the chart"
	$(OUTPUT_OF_OWN)
	@$(VENV) -m ml_monitoring kubernetes chart $(OWN) $(if $(OUTPUT),--output-dir "$(OUTPUT)")

mixin: .venv ## Write the mixin for jsonnet (SETTINGS=FILES and OUTPUT=folder for one made with your settings)
	@echo ">> writing the mixin"
	$(OUTPUT_OF_OWN)
	@$(VENV) -m tools.mixin generate $(OWN) $(if $(OUTPUT),--output-dir "$(OUTPUT)")

check: .venv ## Lint, check types, generated files and the links of the documentation
	@echo ">> running ruff"
	@$(VENV) -m ruff check
	@$(VENV) -m ruff format --check
	@echo ">> running mypy"
	@$(VENV) -m mypy
	@echo ">> running the generators to compare with the committed files"
	@$(VENV) -m tools.drift
	@$(VENV) -m alerting document --check --settings /dev/null $(TABLES)
	@$(VENV) -m tools.command_reference --check
	@$(VENV) -m tools.settings_reference --check
	@$(VENV) -m tools.server_pages --check
	@echo ">> building the documentation, where every link must lead somewhere"
	@$(MKDOCS)

# NO_MKDOCS_2_WARNING silences an announcement that the theme prints on each build.
MKDOCS = NO_MKDOCS_2_WARNING=1 $(VENV) -m mkdocs build --strict
docs: .venv ## Build the documentation's site into site/
	@echo ">> building the documentation"
	@$(MKDOCS)

# Source first and the wheel from that, in a folder of its own: nothing of an earlier build gets in.
wheel: .venv ## Build the distributions of the stack and of the library into dist/
	@echo ">> building the distributions"
	@.venv/bin/uv build --quiet --out-dir dist .
	@.venv/bin/uv build --quiet --out-dir dist instrument
	@ls dist

# The folder of the version below dist/; SIGN_KEY is a key of GnuPG.
release: .venv ## Check, build and tag a release (VERSION=1.2.0, DRY_RUN=1 sets no tag, SIGN_KEY=KEY signs)
	$(if $(VERSION),,$(error say which: make release VERSION=1.2.0))
	@echo ">> making the release $(VERSION)"
	@$(VENV) -m tools.release "$(VERSION)" $(if $(DRY_RUN),--dry-run) $(if $(SIGN_KEY),--sign-key "$(SIGN_KEY)")

release-prepare: .venv ## Write a version and today's date where they stand, to be committed (VERSION=1.2.0)
	$(if $(VERSION),,$(error say which: make release-prepare VERSION=1.2.0))
	@$(VENV) -m tools.release "$(VERSION)" --prepare

# Needs nothing but Docker with buildx, and git. What the images are built on comes from docker/versions.env.
images: ## Build the images for several machines, with SBOM and provenance (VERSION=1.2.0 REGISTRY=NAME PUSH=1 publishes)
	@echo ">> building the images"
	@docker buildx version >/dev/null 2>&1 || { echo "error: Docker with buildx is not installed (package docker-buildx-plugin)" >&2; exit 1; }
	@set -a; . ./docker/versions.env; \
		REVISION=$$(git rev-parse HEAD); CREATED=$$(git show --no-patch --format=%cI HEAD); \
		$(if $(VERSION),VERSION="$(VERSION)";) $(if $(REGISTRY),REGISTRY="$(REGISTRY)";) \
		docker buildx bake --file docker/docker-bake.hcl $(if $(PUSH),--push) $(BAKE_ARGS)

prove: .venv ## Show that every panel has data (PROMETHEUS=http://127.0.0.1:9090 is a running stack, such as the demo)
	@$(VENV) -m dashboards prove $(if $(PROMETHEUS),--prometheus $(PROMETHEUS))

report: .venv ## Write the reports of dashboards/reports.yml as PDF (PROMETHEUS=URL, MAIL_TO=ADDRESS)
	@$(VENV) -m dashboards report $(if $(PROMETHEUS),--prometheus $(PROMETHEUS)) $(if $(MAIL_TO),--mail-to $(MAIL_TO))

pictures: .venv ## Draw the pictures of the documentation from the demo (takes a quarter of an hour; PROMETHEUS=URL takes a running one)
	@echo ">> drawing the pictures of docs/pictures"
	@$(VENV) -m tools.pictures $(if $(PROMETHEUS),--prometheus $(PROMETHEUS))
	@$(VENV) -m tools.bench.chart

bench: .venv ## Measure what the project promises (BENCH_ARGS="mlflow --quick" narrows)
	@echo ">> running the benchmark"
	@$(VENV) -m tools.bench $(BENCH_ARGS)

mutants: .venv ## Change each rule in small ways and see whether its unit tests notice (four minutes at first)
	@echo ">> changing rules"
	@$(VENV) -m tools.mutants

soundness: .venv ## Simulate healthy months and faults for each alert, and write docs/soundness.* (ARGS="NAME --months 24" narrows)
	@echo ">> simulating"
	@$(VENV) -m tools.soundness $(ARGS)
	$(if $(ARGS),,@$(VENV) -m tools.soundness.experiments)

faults: .venv ## Break eight things, one after the other, and print who was notified of each (seven minutes)
	@echo ">> breaking things"
	@$(VENV) -m tools.faults

HOURS ?= 1
soak: .venv ## Break things at random and compare all numbers with the stores (HOURS=1; SOAK_ARGS="--seed 2 --report FILE")
	@echo ">> soaking for $(HOURS) hours"
	@$(VENV) -m tools.soak --hours $(HOURS) $(SOAK_ARGS)

FUZZ_MINUTES ?= 60
fuzz: .venv ## Try made-up input on all that takes input (FUZZ_MINUTES=60; FUZZ_ARGS="uri csv_rows" narrows)
	@echo ">> fuzzing for $(FUZZ_MINUTES) minutes"
	@$(VENV) -m tests.fuzz --minutes $(FUZZ_MINUTES) $(FUZZ_ARGS)

audit: .venv ## Check pinned packages: known vulnerabilities, licences, and a bill of materials (into dist/)
	@echo ">> auditing the pinned packages"
	@$(VENV) -m tools.audit

digests: ## Pin the images of docker/versions.env by digest, where a registry can be reached
	@$(FOUND_PYTHON) -m tools.image_digests

maintenance: .venv ## Silence the alerts of the stack's teams but the Watchdog (DURATION=2h REASON="new disks" LABELS="team=mlops" START=22:00)
	$(if $(and $(DURATION),$(REASON)),,$(error say how long and why: make maintenance DURATION=2h REASON="new disks"))
	@$(VENV) -m ml_monitoring alerts maintenance $(if $(START),--start "$(START)") --duration "$(DURATION)" --reason "$(REASON)" $(foreach label,$(LABELS),--label "$(label)")

maintenance-end: .venv ## End the silences of maintenance (ID=ID as it was printed, or LABELS="team=mlops", for one of several)
	@$(VENV) -m ml_monitoring alerts maintenance-end $(ID) $(foreach label,$(LABELS),--label "$(label)")

# Needs no .venv, only Docker and Python. WITH="demo tls" chooses overlays, in place of WITH in docker/.env.
DEPLOY = $(FOUND_PYTHON) -m tools.deploy $(if $(WITH),--with "$(WITH)")
deploy: ## Build, start and verify the stack in Docker (WITH=demo adds the demo; see docs/deploy.md)
	@echo ">> deploying"
	@$(DEPLOY) up

down: ## Stop the stack in Docker; the data stays
	@echo ">> stopping the stack"
	@$(DEPLOY) down

backup: ## Write all data of the stack in Docker into docker/backups/ (or TO=folder)
	@echo ">> backing up"
	@$(DEPLOY) backup $(if $(TO),--to "$(TO)")

restore: ## Replace all data of the stack in Docker by a backup (FROM=folder)
	@echo ">> restoring"
	$(if $(FROM),,$(error give the backup: make restore FROM=docker/backups/FOLDER))
	@$(DEPLOY) restore "$(FROM)"

test-stack: .venv ## Run the tests that need a Docker engine
	@echo ">> running the stack tests"
	@$(VENV) -m pytest -m stack $(PYTEST_ARGS)

requirements: .venv ## Pin the requirements again, keeping pins that still fit (UPGRADE=1 takes the newest)
	@echo ">> running uv pip compile"
	@$(UV_COMPILE) $(if $(UPGRADE),--upgrade) requirements.in --output-file requirements.txt
	@$(UV_COMPILE) $(if $(UPGRADE),--upgrade) requirements-dev.in --output-file requirements-dev.txt
	@$(UV_COMPILE) docker/exporter/requirements.in --output-file docker/exporter/requirements.txt
	@$(UV_COMPILE) $(if $(UPGRADE),--upgrade) docker/exporter/build-requirements.in --output-file docker/exporter/build-requirements.txt
	@$(UV_COMPILE) $(if $(UPGRADE),--upgrade) requirements-audit.in --output-file requirements-audit.txt
	@$(UV_COMPILE) $(if $(UPGRADE),--upgrade) requirements-kubernetes.in --output-file requirements-kubernetes.txt
	@$(UV_COMPILE) $(if $(UPGRADE),--upgrade) requirements-release.in --output-file requirements-release.txt
	@$(UV_COMPILE) docker/demo/requirements.in --output-file docker/demo/requirements.txt

# Quick when nothing changed: the script compares a hash.
.venv:
	@$(FOUND_PYTHON) -m tools.bootstrap
