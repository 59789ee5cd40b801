# pinnace: `make help` lists the targets. Run as root on Debian; what is missing is installed by apt-get.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
DESTDIR ?=
PREFIX ?= /usr

.PHONY: help build demo test test-deb test-vm check bench audit deb install deps-build deps-run deps-test deps-bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: deps-build ## build target/release/pinnace and pinnace-shim
	$(CARGO) build --release --locked -p pinnace -p pinnace-shim

demo: build deps-run ## run the example manifests on a node of their own, and leave nothing behind
	TARGET=$(TARGET) packaging/demo/run

test: deps-build deps-run deps-test ## all tests, those that need root and a virtual machine included
	$(CARGO) build --locked -p pinnace -p pinnace-shim
	$(CARGO) test --locked --workspace --no-fail-fast
	packaging/deps vm
	TARGET=$(TARGET) tests/vm/cgroup-v2

check: deps-build ## format, lints, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

bench: build deps-run deps-bench ## measure the budgets beside what a user would run instead; rewrites docs/SPECIFICATION.md
	$(CARGO) build --release --locked -p pinnace-net --example attach
	TARGET=$(TARGET) packaging/bench/run

audit: ## licences and advisories of every dependency (installs cargo-deny where it is missing)
	command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --workspace check

deb: build ## build the Debian package (installs cargo-deb where it is missing)
	command -v cargo-deb >/dev/null || $(CARGO) install --locked cargo-deb
	packaging/deps deb
	$(CARGO) deb --no-build --locked -p pinnace --output $(TARGET)/debian/ \
		$(if $(DEBEMAIL),--maintainer "$(DEBFULLNAME) <$(DEBEMAIL)>")

test-deb: deb ## install, upgrade, remove and purge the package in a Debian root of its own
	tests/deb-root "$$(ls -t $(TARGET)/debian/pinnace_*.deb | head -n 1)"

test-vm: deps-build ## the part of the tests that needs a machine of its own: cgroup v2, the unit, a reboot, a kernel that lacks pieces (4 minutes)
	packaging/deps vm
	$(CARGO) build --locked -p pinnace -p pinnace-shim
	TARGET=$(TARGET) tests/vm/cgroup-v2

install: build ## install program, shim, unit and default configuration under DESTDIR; a configuration that is there stays
	install -D -m 0755 $(TARGET)/release/pinnace $(DESTDIR)$(PREFIX)/bin/pinnace
	install -D -m 0755 $(TARGET)/release/pinnace-shim $(DESTDIR)$(PREFIX)/bin/pinnace-shim
	install -d -m 0755 $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/bin/|$(PREFIX)/bin/|' systemd/pinnace.service | \
		install -m 0644 /dev/stdin $(DESTDIR)$(PREFIX)/lib/systemd/system/pinnace.service
	test -e $(DESTDIR)/etc/pinnace/config.yaml || \
		install -D -m 0644 config/config.yaml $(DESTDIR)/etc/pinnace/config.yaml
	install -d -m 0755 $(DESTDIR)/etc/pinnace/config.d $(DESTDIR)/etc/pinnace/manifests
	install -d -m 0711 $(DESTDIR)/var/lib/pinnace
	install -d -m 0755 $(DESTDIR)/var/lib/pinnace/bundles

deps-build:
	@packaging/deps build

deps-run:
	@packaging/deps run

deps-test:
	@packaging/deps test

deps-bench:
	@packaging/deps bench

clean: ## remove what cargo built
	$(CARGO) clean
