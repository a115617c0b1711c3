# Thin on purpose: the work is done by cargo and the scripts in tools/ and tests/.
# tools/env.sh decides which Postgres and which flags; PG_MAJOR or PG_CONFIG choose another.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

ENV := . tools/env.sh;
STEP := tools/run-step

# The quick and the likely failures first.
# test-pgrx builds the library with its tests, install without: in this order each is built once.
TEST_STEPS := test-format test-lint test-release test-crates test-docs test-core test-pgrx install test-e2e test-gateway test-supabase test-clients test-sql test-node test-examples test-browser test-frameworks

# What is run on every version of Postgres: what depends on the version.
VERSION_STEPS := test-pgrx install test-sql test-e2e test-gateway

.PHONY: help
help: ## Shows this
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: setup setup-tests
setup: ## Installs what this machine lacks for building (Debian, Ubuntu; as root or with sudo)
	@tools/setup.sh

setup-tests: ## The same, and what the tests need: Node, npm, Python, Java, PgBouncer
	@tools/setup.sh --with-tests

# `pgxn install` calls it so.
.PHONY: all build
all: build

build: setup ## Compiles the extension without installing it
	@$(ENV) cargo build --release -p workos_auth "$${PG_FEATURES[@]}"

.PHONY: install
install: setup ## Builds the extension and installs it into the Postgres of PG_CONFIG, below DESTDIR. PROFILE=dist: as a package does, each time for minutes
	@$(STEP) install "Build and install the extension" tools/install.sh

.PHONY: demo
demo: install ## A guided tour: two people sign in, in a Postgres of its own. On a terminal, or with KEEP=1, it stays, with a page to open
	@$(STEP) $@ "Build the demo" cargo build --release -p workos_demo -p workos_auth_gateway
	@$(STEP) $@ "The demo's page" tools/install-page.sh
	@$(ENV) WORKOS_DEMO_PAGE="$$ROOT/examples/browser" exec "$$CARGO_TARGET_DIR/release/workos_demo"

.PHONY: playground
playground: install ## psql in a Postgres of its own, beside a stand-in for WorkOS: for docs/tutorial.md. All of it goes when psql ends
	@tools/playground.sh

.PHONY: example
example: install ## Starts EXAMPLE=express, or another folder of examples/, with all that it needs, until Ctrl-C
	@tools/example.sh $(EXAMPLE)

.PHONY: test
test: setup-tests $(TEST_STEPS) ## Everything below, in this order; stops at the first failure
	@$(ENV) heading "All tests passed"

.PHONY: test-versions
test-versions: ## What depends on Postgres, on every version that is here, or on those of VERSIONS="15 18"; tools/postgres.sh brings them
	@tools/test-versions.sh $(VERSION_STEPS)

# The newest Postgres that the extension is written for.
NEWEST := 18

.PHONY: test-newest
test-newest: export NEWER = $(NEWEST)
test-newest: ## SQL and end to end on the newest Postgres, which it brings; and databases that move there from this one
	@NEWER= VERSIONS=$(NEWEST) tools/test-versions.sh install test-sql test-e2e
	@$(MAKE) --no-print-directory test-e2e ONLY=installation::

.PHONY: test-citus
test-citus: install ## Row-level security on the nodes of Citus, which must be installed in the Postgres of PG_CONFIG. ONLY=name: tests with that path
	@$(STEP) $@ "Nodes of Citus" tools/test-citus.sh

.PHONY: test-format test-lint test-release test-crates test-docs test-core test-pgrx test-e2e test-gateway test-supabase test-clients test-sql test-node test-examples test-browser test-frameworks
test-format: ## The formatting of the Rust code
	@$(STEP) $@ "Format" cargo fmt --all --check

test-lint: ## clippy, every warning an error; no files that import each other in a circle; no long sentences
	@$(STEP) $@ "Lint" tools/lint.sh

test-release: ## The version is the same everywhere, META.json is valid, and every crate that we ship brings its licence
	@$(STEP) $@ "Release" tools/test-release.sh

test-crates: ## Licences, bans and sources of the crates we build with, by deny.toml
	@$(STEP) $@ "Crates" tools/check-crates.py

test-docs: ## The documentation of the Rust code, every broken link an error
	@$(STEP) $@ "Documentation" tools/docs.sh

test-core: ## What needs no Postgres: the rules, all other unit tests, the WorkOS stand-in
	@$(STEP) $@ "Rules" tools/test-core.sh

# In a copy of Postgres that is cargo-pgrx's own: what is installed stays.
test-pgrx: ## Inside a backend (cargo pgrx test). ONLY=name: the tests with this in their path
	@$(STEP) $@ "Inside a backend" tools/test-pgrx.sh

# The extension is installed first, once however many steps there are: nobody tests yesterday's library.
test-e2e test-gateway test-supabase test-clients test-sql test-examples test-browser test-frameworks: install

test-e2e: ## End to end in throw-away clusters. ONLY=name: the tests and modules with this in their path
	@$(STEP) $@ "End to end" tools/test-e2e.sh

test-gateway: ## The gateway for Supabase's client, also through PgBouncer. ONLY=name: the tests and modules with this in their path
	@$(STEP) $@ "Gateway" tools/test-gateway.sh

test-supabase: ## Supabase's clients for JavaScript against the gateway
	@$(STEP) $@ "Supabase's clients" tools/test-supabase.sh

test-clients: ## Supabase's clients of other languages against the gateway
	@$(STEP) $@ "Supabase's clients of other languages" tools/test-clients.sh

test-sql: ## SQL in, SQL out (pg_regress)
	@$(STEP) $@ "SQL" tests/pg_regress/run.sh

test-node: ## WorkOS's own SDKs against the simulator
	@$(STEP) $@ "WorkOS's SDKs" tools/test-node.sh

test-examples: ## The examples, each as it stands
	@$(STEP) $@ "Examples" tools/test-examples.sh

test-browser: ## The page of examples/browser in Chromium
	@$(STEP) $@ "Browser" tools/test-browser.sh

test-frameworks: ## The examples with Supabase's client on the server
	@$(STEP) $@ "Supabase's client on the server" tools/test-frameworks.sh

.PHONY: docs site
docs: install ## Writes the reference (docs/reference) from the catalog, pg_settings and the table of errors
	@$(STEP) $@ "Write the reference" env WRITE_DOCS=yes ONLY=documents::reference tools/test-e2e.sh

site: ## The documents as a site with search, in target/site; installs mdBook where it is missing
	@$(STEP) $@ "Site" tools/site.sh

.PHONY: setup-packaging deb rpm images zip release test-packages
setup-packaging:
	@tools/setup.sh --with-packaging

deb: setup-packaging ## Debian packages in target/packages/deb: the extension for PG_MAJOR, the gateway, the simulator; takes a quarter of an hour the first time
	@$(STEP) $@ "Debian packages" packaging/deb.sh

rpm: setup-packaging ## The same for EL 9 and newer, in target/packages/rpm
	@$(STEP) $@ "RPM packages" packaging/rpm.sh

images: setup-packaging ## OCI images of what `make deb` has made, in target/packages/images; as root, without a daemon
	@$(STEP) $@ "Images" packaging/images.sh

zip: ## The distribution for PGXN in target/packages/pgxn: what is committed
	@$(STEP) $@ "PGXN" packaging/pgxn.sh

release: setup-packaging ## All of it, checked, with checksums and bills of materials, in target/release-VERSION; pushes nothing
	@tools/release.sh

test-packages: setup-packaging ## Tries packages and images in fresh systems: minutes, as root. TRIALS="bookworm trixie service images cnpg reproducible pgxn": some
	@$(STEP) $@ "Packages in fresh systems" tools/test-packages.sh $(TRIALS)

.PHONY: bench
bench: export PROFILE = dist
bench: setup install ## Writes docs/benchmarks.md and its picture; wants a quiet machine. BENCH=readers, sign-in, sessions, gateway or moving: a part; soak, verifiers and scale: by their names alone
	@$(STEP) $@-gateway "Build the gateway" cargo build --release -p workos_auth_gateway
	@$(STEP) $@ "Benchmarks" cargo run --quiet --release -p workos_bench -- $(BENCH)

.PHONY: audit
audit: ## The crates we build with against deny.toml and the advisories of RustSec; needs cargo-deny and the network
	@$(STEP) $@ "Advisories, licences, bans, sources" cargo deny --locked check

.PHONY: workflows
workflows: ## actionlint over .github/workflows; needs Go
	@$(STEP) $@ "Workflows" go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

.PHONY: fuzz
fuzz: ## The readers of tokens against a fuzzer, FUZZ_SECONDS (60) for each target; needs cargo-fuzz and a C++ compiler
	@$(STEP) $@ "Fuzz" crates/core/fuzz/run.sh

.PHONY: clean
clean: ## Removes what was built; installed files stay
	@$(ENV) cargo clean --quiet
	@rm -rf tests/pg_regress/results tests/pg_regress/regression.* tests/node/node_modules tests/supabase/node_modules examples/express/node_modules examples/browser/node_modules tests/browser/node_modules examples/supabase/*/node_modules examples/psycopg/.venv tests/clients/python/.venv tests/workos-python/.venv tests/clients/kotlin/.build target/screenshots
	@for made in .next .svelte-kit .astro .react-router build dist; do rm -rf examples/supabase/*/$$made; done
