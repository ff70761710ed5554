# Plasma. `make help` lists what can be made.

PLASMA_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/plasma
CARGO_TARGET_DIR ?= $(PLASMA_CACHE)/target
COMETBFT ?= $(PLASMA_CACHE)/bin/cometbft
WEIGHTS ?= $(PLASMA_CACHE)/weights/smollm2-135m-instruct
VALIDATORS ?= 1
GPU_NODES ?= 1
LOCALNET_HOME ?= .plasma/localnet
FUZZ_SECONDS ?= 60
FUZZER = $(PLASMA_CACHE)/bin/cargo-fuzz
BENCH_PROFILE ?= release
BENCH_ARGS ?=
LAB_ARGS ?=
ECONOMICS_ARGS ?=
BIN = $(CARGO_TARGET_DIR)/debug
RELEASE = $(CARGO_TARGET_DIR)/release
CARGO ?= cargo
export PLASMA_CACHE CARGO_TARGET_DIR COMETBFT WEIGHTS

.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-long fuzz lint fmt proto bench bench-chain economics cheat-lab localnet release clean-data

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Bring system packages, CometBFT and the model's weights (skips what is there)
	@testnet/setup.sh system cometbft weights

build: ## Build all binaries (the profile that demo and test share)
	@testnet/setup.sh system
	$(CARGO) build --workspace

demo: ## Set up everything, then buy one inference on a real chain and tell the story
	@testnet/setup.sh system cometbft weights
	@$(CARGO) build --workspace
	@$(BIN)/plasma-testnet demo --weights $(WEIGHTS)

# The law of modules/ (no floats, no clocks, no unchecked arithmetic) is lints: a test as any other.
test: ## Set up everything, then run every test
	@testnet/setup.sh system cometbft
	$(CARGO) build --workspace
	$(CARGO) clippy -p plasma-modules -- -D warnings
	$(CARGO) test --workspace

test-long: ## The same properties with many more cases, the sweeps, the real weights, and fuzzing
	@testnet/setup.sh system cometbft weights
	$(CARGO) build --workspace
	PROPTEST_CASES=100000 $(CARGO) test --workspace -- --include-ignored
	@$(MAKE) --no-print-directory fuzz

# libFuzzer's instrumentation is a matter of code generation, which the pinned compiler does as well
# once it is told that it may.
fuzz: ## Let libFuzzer look for bytes that the rules cannot bear (FUZZ_SECONDS=60 for each target)
	@command -v $(FUZZER) >/dev/null || $(CARGO) install --quiet --locked --root $(PLASMA_CACHE) cargo-fuzz@0.13.2
	@for target in decode amino block query; do \
		mkdir -p $(PLASMA_CACHE)/fuzz/$$target && \
		(cd modules/fuzz && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/fuzz $(FUZZER) run --sanitizer none \
			$$target $(PLASMA_CACHE)/fuzz/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=2048) || exit 1; \
	done

lint: ## Formatting, clippy (the law of modules/ among it), generated code up to date
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@$(MAKE) --no-print-directory proto
	git diff --exit-code -- proto/src/gen

fmt: ## Format the code
	$(CARGO) fmt --all

proto: ## Generate proto/src/gen anew from the .proto files
	$(CARGO) run --quiet -p plasma-proto --features generate --bin plasma-proto-generate

bench: ## Print what things cost on this machine
	@testnet/setup.sh system cometbft weights
	$(CARGO) build --release --workspace
	$(CARGO) bench -p plasma-app --bench merkle
	$(CARGO) bench -p plasma-app --bench stages
	$(CARGO) bench -p plasma-testnet --bench chain
	$(CARGO) bench -p gpu-node --bench tokens -- --weights $(WEIGHTS)

bench-chain: ## Load on real chains, with and without the front door, and on one of the Cosmos SDK (VALIDATORS=1 BENCH_PROFILE=release|dev BENCH_ARGS="--run door-batch")
	@testnet/setup.sh system cometbft
	$(CARGO) build --profile $(BENCH_PROFILE) -p plasma-app
	$(CARGO) bench --profile $(BENCH_PROFILE) -p plasma-testnet --bench load -- --validators $(VALIDATORS) $(BENCH_ARGS)

economics: ## Play attacks on the market's money over months of chain time, and draw them into docs/economics (ECONOMICS_ARGS="--days 60 --seed 7")
	$(CARGO) bench --profile $(BENCH_PROFILE) -p plasma-modules --bench economics -- $(ECONOMICS_ARGS)

cheat-lab: ## Let providers cheat with the demo's model and see which are caught; into docs/verification (LAB_ARGS="--prompts 4 --tokens 128")
	@testnet/setup.sh system weights
	$(CARGO) bench --profile $(BENCH_PROFILE) -p gpu-node --bench cheats -- --weights $(WEIGHTS) $(LAB_ARGS)

localnet: ## Keep a network up until Ctrl-C (VALIDATORS=1 GPU_NODES=1)
	@testnet/setup.sh system cometbft
	@$(CARGO) build --workspace
	@$(BIN)/plasma-testnet up --validators $(VALIDATORS) --gpu-nodes $(GPU_NODES) --home $(LOCALNET_HOME) $(if $(RIG_WEIGHTS),--weights $(RIG_WEIGHTS))

release: ## Optimised binaries
	@testnet/setup.sh system
	$(CARGO) build --release --workspace
	@ls -1 $(RELEASE)/plasmad $(RELEASE)/gpu-node $(RELEASE)/xpl

clean-data: ## Forget local networks (chains, keys, logs); builds and weights stay
	rm -rf .plasma
