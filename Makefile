# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0

PREFIX ?= /usr/local
DESTDIR ?=
# More arguments for `swift test`: make test TESTFLAGS='--filter IntegrationTests'
TESTFLAGS ?=

CHECKED := --explicit-target-dependency-import-check error
# The standard library inside the binary: it then runs on any Debian 12 without Swift.
RELEASE := -c release --static-swift-stdlib $(CHECKED)
# What users get.
PROGRAMS := egret egret-cni

.PHONY: help build release install dependencies engines kernel test test-kernel fuzz golden format lint hooks bench docs demo check clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build everything, for debugging
	swift build $(CHECKED)

release: ## build egret for users: optimised, with Swift's libraries inside
	for program in $(PROGRAMS); do swift build $(RELEASE) --product $$program || exit 1; done

install: dependencies release ## install egret, its units, manual page and completions under $(DESTDIR)$(PREFIX), by default /usr/local
	install -D -m 755 .build/release/egret "$(DESTDIR)$(PREFIX)/bin/egret"
	install -D -m 755 .build/release/egret-cni "$(DESTDIR)$(PREFIX)/lib/cni/egret-cni"
	# What a debugger would want takes more room than the program; the names that crash reports give stay.
	strip --strip-debug "$(DESTDIR)$(PREFIX)/bin/egret" "$(DESTDIR)$(PREFIX)/lib/cni/egret-cni"
	install -D -m 644 packaging/man/egret.1 "$(DESTDIR)$(PREFIX)/share/man/man1/egret.1"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/lib/systemd/system" packaging/systemd/*.service
	install -D -m 644 docs/openapi.yaml "$(DESTDIR)$(PREFIX)/share/doc/egret/openapi.yaml"
	scripts/completions .build/release/egret "$(DESTDIR)$(PREFIX)/share"

dependencies: ## install the Debian packages that building and testing need (root)
	@scripts/install-dependencies

engines: dependencies ## make the root file system of newer container engines that tests begin, once (root)
	@scripts/newer-engines

kernel: dependencies ## fetch Debian's kernel for the virtual machine of tests, once (root)
	@scripts/vm --fetch

# What tests begin; without root they begin none of it.
.PHONY: parts
parts: dependencies
	@[ "$$(id -u)" -ne 0 ] || { scripts/newer-engines && scripts/vm --fetch; }

test: parts ## run all tests; those of the kernel need root
	scripts/test $(TESTFLAGS)

test-kernel: parts ## run the tests against the real kernel only (root)
	scripts/test --filter 'KernelTests|IntegrationTests' $(TESTFLAGS)

fuzz: ## read what libFuzzer makes up: the parsers of what comes over the network, half a minute each
	scripts/fuzz 30

golden: ## write the golden files anew; look at the difference before you commit it
	-EGRET_RECORD=1 scripts/test --filter 'Golden' $(TESTFLAGS)
	git status --short

format: ## format the Swift sources
	swift format --in-place --parallel --recursive Package.swift Sources Tests

lint: ## check format, direction of imports, headers and scripts
	scripts/lint

hooks: ## run lint before every commit of this clone
	git config core.hooksPath scripts/hooks

bench: dependencies ## measure, and write docs/benchmarks.md (root, a quiet machine)
	scripts/bench

docs: ## build the API documentation into .build/docs
	scripts/docs

demo: ## show the main job in a small internet of its own (root)
	@scripts/demo

check: lint build fuzz docs test ## all that CI runs

clean: ## remove what was built
	rm -rf .build
