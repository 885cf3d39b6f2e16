.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

# make turns exit codes into its own, 2: for binfmtd's own, run the scripts that the targets name.
target_dir := $(or $(CARGO_TARGET_DIR),target)
units = $(wildcard systemd/*.service systemd/*.timer)
# Of the systemd that is to run the units; with DESTDIR it may be another than this machine's.
SYSTEMD_VERSION ?= $(shell systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
# What make install takes: in an unpacked archive the one in there. The static one: make install BINARY=target/HOST/release/binfmtd
BINARY ?= $(or $(wildcard binfmtd),$(target_dir)/release/binfmtd)
# Of the sources; an unpacked archive has none, and pages of its own binary.
version := $(shell sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml 2>/dev/null)
# Where zsh looks; Debian's has another folder for packages.
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The generated man pages and completions: in an unpacked archive they are here, otherwise make build puts them there.
MANUAL ?= $(if $(wildcard man/binfmtd.1),.,$(target_dir)/manual)

.PHONY: install
install: ## into DESTDIR and PREFIX (/usr/local), after make build
	@test -x "$(BINARY)" || { echo "$(BINARY): no program is there (run 'make build' first)" >&2; exit 1; }
	@case '$(subst ','\'',$(PREFIX))' in '' | /*) ;; *) false ;; esac && case '$(subst ','\'',$(PREFIX))' in *[!A-Za-z0-9/._+-]*) false ;; esac \
		|| { printf 'PREFIX=%s: a path from / on, of letters, digits and /._+-, for it stands in the units\n' '$(subst ','\'',$(PREFIX))' >&2; exit 1; }
	@test -f "$(MANUAL)/man/binfmtd.1" || { echo "$(MANUAL): no man pages are there (run 'make build' first)" >&2; exit 1; }
	@test -z "$(version)" || grep -qF '"binfmtd $(version)"' "$(MANUAL)/man/binfmtd.1" \
		|| { echo "$(MANUAL): man pages of another version than $(version) (run 'make build' again)" >&2; exit 1; }
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man1" "$(MANUAL)"/man/*
	install -D -m 644 "$(MANUAL)/completions/binfmtd.bash" "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/binfmtd"
	install -D -m 644 "$(MANUAL)/completions/binfmtd.fish" "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/binfmtd.fish"
	install -D -m 644 "$(MANUAL)/completions/_binfmtd" "$(DESTDIR)$(ZSH_COMPLETIONS)/_binfmtd"
	install -D -m 755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/binfmtd"
	install -d "$(DESTDIR)$(PREFIX)/lib/systemd/system"
	set -e; for unit in $(units); do \
		file="$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}"; \
		sed 's|/usr/bin/binfmtd|$(PREFIX)/bin/binfmtd|' "$$unit" >"$$file"; chmod 644 "$$file"; \
	done
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/lib/systemd/system-preset" systemd/80-binfmtd.preset
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/lib/systemd/catalog" systemd/binfmtd.catalog
	install -D -m 644 systemd/binfmtd.tmpfiles "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/binfmtd.conf"
	if [ "$(or $(SYSTEMD_VERSION),0)" -lt 253 ]; then \
		install -D -m 644 -t "$(DESTDIR)$(PREFIX)/lib/systemd/system/binfmtd.service.d" systemd/binfmtd.service.d/10-notify.conf; \
	fi
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man5" packaging/man/binfmtd.toml.5
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/doc/binfmtd" CHANGELOG.md LICENSE-APACHE LICENSE-MIT THIRD-PARTY \
		$(wildcard binfmtd.cdx.json)
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/doc/binfmtd/examples" packaging/binfmtd.toml
	set -e; for file in $(wildcard docs/*/*); do \
		install -D -m 644 "$$file" "$(DESTDIR)$(PREFIX)/share/doc/binfmtd/$${file#docs/}"; \
	done

# From here on it takes the sources: packaging/dist leaves the rest of this file out of the archive.

FUZZ_SECONDS ?= 60
host = $(shell rustc -vV | sed -n 's/^host: //p')
static_binary = $(target_dir)/$(host)/release/binfmtd
# The paths are not in the binary, so that it is the same wherever it is built, and tells nothing of who built it. A path may
# have a space in it, so cargo gets each word behind a character of its own.
static_flags = $(RUSTFLAGS) -C target-feature=+crt-static
paths = '--remap-path-prefix=$(CURDIR)=/usr/src/binfmtd' '--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/usr/src/cargo'
# Where packages and archives are put.
PACKAGES ?= $(target_dir)/packages

.PHONY: build
build: manual ## release binary, target/release/binfmtd, and its man pages and completions, target/manual
	$(CARGO) build --release --locked

# Always runs on the machine that builds, whatever the binary is for.
.PHONY: manual
manual:
	$(CARGO) run --quiet --locked --package binfmtd-manual -- "$(target_dir)/manual"

# With --target, the flag stays away from build scripts and procedural macros, which cannot be static.
.PHONY: static
static: manual ## static release binary, target/HOST/release/binfmtd (HOST as rustc -vV says)
	CARGO_ENCODED_RUSTFLAGS="$$(printf '%s\n' $(static_flags) $(paths) | tr '\n' '\037' | sed 's/.$$//')" \
		$(CARGO) build --release --locked --target $(host)

.PHONY: image
image: ## container images binfmt and binfmt-sidecar, of this machine's QEMU; needs docker with buildx
	packaging/container/build binfmt

.PHONY: demo
demo: ## install QEMU if absent, build, check every target in a private instance
	@tests/setup/demo

.PHONY: setup
setup: ## install what the tests and checks need
	@tests/setup/install

.PHONY: test
test: setup ## all tests; BINFMTD_TESTS=require-all forbids skipping
	tests/assemblers/install
	tests/assemblers/assemble --check
	$(CARGO) test --locked --no-fail-fast --workspace
	@set -e; for test in tests/scripts/*; do echo "$$test"; "$$test"; done

.PHONY: lint
lint: setup ## formatting, clippy, shellcheck, documentation; licences and sources with cargo-deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' $(CARGO) doc --locked --workspace --no-deps --document-private-items
	git grep -lIE --untracked '^(#!.*[/ ](ba)?sh$$|# shellcheck shell=)' -- ':!*.rs' ':!*.md' ':!Makefile' \
		| xargs shellcheck --external-sources
	@tests/setup/deny

.PHONY: bench
bench: ## measurements
	benches/run

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZ_SECONDS (60); needs a nightly toolchain
	$(CARGO) +nightly fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	@set -e; for target in $$($(CARGO) +nightly fuzz list); do \
		echo "fuzz $$target for $(FUZZ_SECONDS) s"; \
		mkdir -p "fuzz/corpus/$$target"; \
		$(CARGO) +nightly fuzz run "$$target" "fuzz/corpus/$$target" "fuzz/seeds/$$target" -- -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1; \
	done

.PHONY: mutants
mutants: ## changes of the code that no unit test notices; SHARD=k/n SEED=1 MINUTES=60
	tests/setup/mutants
	tests/mutants/run

# A package is made from the archive, and with the binary in it: what was measured and tested is what is installed.
.PHONY: dist
dist: static ## archive with the static binary, in target/packages: the same bytes each time
	packaging/dist "$(static_binary)" "$(PACKAGES)"

.PHONY: deb
deb: static ## package for Debian 12, Ubuntu 24.04 and later; needs debhelper
	packaging/deb "$(static_binary)" "$(PACKAGES)"

.PHONY: rpm
rpm: static ## package for Fedora, RHEL 9 and later; needs rpmbuild
	packaging/rpm "$(static_binary)" "$(PACKAGES)"

.PHONY: release-check
release-check: ## whether this tree can be released: version, changelog, licences, bill of materials, archive, size
	packaging/release-check

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
	rm -rf fuzz/target fuzz/artifacts fuzz/coverage
