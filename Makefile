# `make demo` shows it, `make test` checks it; both set the machine up first.

SHELL := /bin/bash
CACHE := $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/springtide
# The demo's folder; by default state/demo, or state/demo-kafka with ARGS="--kafka HOST:PORT".
DIR ?=
RATE ?= 50
JSON ?= bench.json

.PHONY: demo test sim lint bench doc setup setup-test setup-plan clean-state

demo: setup
	cargo run --locked -- demo $(if $(DIR),--dir $(DIR)) --rate $(RATE) $(ARGS)

test: setup-test
	cargo fmt --all --check
	cargo test --locked --workspace --no-fail-fast
	cargo clippy --locked --workspace --all-targets -- -D warnings

# Whole lives of a table under every fault; SPRINGTIDE_SIM_SEED=… plays one again, step by step.
sim: export SPRINGTIDE_SIM_HISTORIES ?= 10000
sim: setup-test
	cargo test --locked -p springtide-freshness --lib simulation -- --nocapture

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

bench: setup
	cargo run --locked -- bench --json $(JSON) $(ARGS)

setup:
	@scripts/setup.sh demo

setup-test:
	@scripts/setup.sh test

# Only says what would be installed, and why.
setup-plan:
	@scripts/setup.sh plan test

# Forgets the demo's table, stream and caches (never the build).
clean-state:
	rm -rf $(or $(DIR),state/demo state/demo-kafka)
