# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make help lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

PREFIX ?= /usr/local
CLANG ?= clang
CLANG_FORMAT ?= clang-format

# Sizes of the portable build that replace those of datapath/l4lb.h:
# make l4lb_xdp.o SLOTS=4096 DESTINATIONS=1024 CELLS=64
# A later make without them builds it in its usual sizes again.
SLOTS ?=
DESTINATIONS ?=
CELLS ?=

PROGRAMS := l4lb_xdp.o l4lb_xdp_host.o l4lb_xdp_frags.o l4lb_decap.o l4lb_decap_frags.o \
	l4lb_carry.o l4lb_carry_flows.o l4lb_sum.o l4lb_steer.o l4lb_check.o
OBJECTS := $(PROGRAMS) testbed/pass.o testbed/hold.o testbed/port.o
# The builds that are also compiled for this machine.
BALANCERS := host portable frags
DECAPS := decap decap-frags
BUILDS := $(BALANCERS) $(DECAPS)
SENDER := flood/flood
STEER := steer/steer
ENTRIES := entries/entries
DPDK := dpdk/l4lb-dpdk
COMMANDS := $(patsubst bin/%.js,%,$(wildcard bin/*.js))
HEADERS := $(wildcard datapath/*.h datapath/*/*.h)
C_FILES := $(wildcard *.c programs/*.[ch] testbed/*.c bench/*.c test/*.h test/*/*.c test/fuzz/worker/*.[ch] test/unit/card/*/*.c flood/*.c flood/*.h steer/*.[ch] entries/*.[ch] dpdk/*.[ch]) $(HEADERS)
SCRIPTS := setup.sh .ci/run packaging/deb/build.sh $(wildcard packaging/deb/p*) completion/l4lb.bash $(wildcard testbed/*.sh docs/*.sh bench/*.sh test/*.sh test/*/*.sh)
# Includes the directories, whose time changes when a file is removed.
SOURCES := $(shell find src -type d -o -type f) tsconfig.json package.json

# Debian keeps asm/types.h in a directory named after the machine, where clang does
# not look when it compiles to BPF. There may be no gcc that could tell the name.
MACHINE := $(shell uname -m)
ASM := $(firstword $(wildcard /usr/include/$(MACHINE)-linux-gnu/asm /usr/include/*linux-gnu*/asm))
# Objects name their sources from the top of the tree, so that they are the same anywhere.
BPF_FLAGS := -O2 -g -ffile-prefix-map=$(CURDIR)=. -Wall -Wextra -Werror -target bpf -I. \
	$(if $(ASM),-I$(dir $(ASM)))
SIZES := $(foreach size,SLOTS DESTINATIONS CELLS,$(if $($(size)),-DL4LB_$(size)=$($(size))))

.PHONY: help setup all objects build docs deb test test-all check lint lint-faults lint-layout lint-c typecheck \
	dpdk demo demo-tcp demo-live demo-fleet demo-link demo-nat demo-full-nat pictures page-pictures bench bench-table bench-failover fuzz workers \
	install uninstall clean FORCE

all: objects $(SENDER) $(STEER) $(ENTRIES) build ## build everything: the BPF programs and the commands (default)

help: ## this list
	@echo "make TARGET, with TARGET one of:"
	@awk -F ': .*## |: ## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## install what is missing, and nothing else
	@./setup.sh

objects: $(OBJECTS) $(BUILDS:%=.make/native/%.o) ## compile the programs, for BPF and for this machine

build: .make/build ## compile the commands from TypeScript to dist/

# Runs independent targets side by side, and prints what each says when it ends.
BESIDE := $(MAKE) --no-print-directory --jobs=$(shell nproc) --output-sync=target

# All processors are busy, so helpers of node, which collect garbage and compile beside its
# program, only cost more: without them, node takes a tenth less of a processor. With more
# room for what is young it collects less often, which is half as much again.
test: export NODE_OPTIONS += --v8-pool-size=0 --max-semi-space-size=64

# Types are checked beside the tests, which wait at times, and what is wrong with them is told
# after the tests. What eslint finds costs ten times as much and breaks nothing, no more than
# the layout does: make check looks for both, and so does the continuous integration, by
# make test LOOK=lint.
LOOK ?= typecheck lint-c

test: ## set up, build, check types and C, and run all tests (as root)
	@./setup.sh test
	@$(BESIDE) all workers
	@nice $(MAKE) --no-print-directory $(LOOK) >.make/looked 2>&1 & look=$$!; status=0; \
	npm test || status=$$?; \
	wait "$$look" || { status=$$?; cat .make/looked >&2; }; \
	exit "$$status"

test-all: ## the same with all kills, larger floods, ten times the fuzz, an emulated processor, and the package (as root)
	@L4LB_TEST=all L4LB_ACCELERATOR=tcg $(MAKE) --no-print-directory test
	@./setup.sh deb
	@test/deb.sh

check: ## lint, and the tests that need no root and no kernel
	@$(BESIDE) all lint
	@npm run --silent test:unit

lint: typecheck lint-faults lint-layout lint-c ## check layout and types of all sources, and look for common faults

# What was found is kept, here and of the layout, so that the next time is quicker: a look at
# a clean tree, such as the continuous integration's, looks at all.
lint-faults: | node_modules .make
	@npx eslint --cache --cache-strategy content --cache-location .make/eslint .

lint-layout: | node_modules .make
	@npx prettier --check --log-level warn --cache --cache-location .make/prettier .

lint-c:
	@shellcheck $(SCRIPTS)
	@$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)

# TypeScript 7 takes a fifth of what 6 does; typescript-eslint needs 6.
TSC := node node_modules/typescript-7/bin/tsc

typecheck: | node_modules .make ## check only the types of sources and tests
	@$(TSC) --noEmit --incremental --tsBuildInfoFile .make/types
	@$(TSC) --noEmit --incremental --tsBuildInfoFile .make/page-types -p src/page

# What floods: make demo FLOOD=hping3
FLOOD ?= l4lb-flood

demo: setup ## flood a balancer with 32 destinations and watch it (as root)
	@$(MAKE) --no-print-directory all
	@testbed/demo.sh $(FLOOD)

demo-tcp: setup ## fetch 200 pages through a balancer with 4 destinations (as root)
	@$(MAKE) --no-print-directory all
	@testbed/demo-tcp.sh

demo-live: setup ## break destinations and watch l4lbd keep the service going, with a page (as root)
	@$(MAKE) --no-print-directory all
	@testbed/demo-live.sh

# Without an etcd the store is a folder; without BIRD there is no router.
demo-fleet: setup ## kill one of three balancers behind a router while 1,000 connections go on (as root)
	@./setup.sh bird
	@./setup.sh etcd || echo "etcd is missing, so the fleet agrees through a folder" >&2
	@$(MAKE) --no-print-directory all
	@testbed/demo-fleet.sh

demo-link: setup ## fetch pages through a gateway that changes only MAC addresses (as root)
	@$(MAKE) --no-print-directory all
	@testbed/demo-gateway.sh link

demo-nat: setup ## fetch pages through a gateway that rewrites addresses and ports (as root)
	@$(MAKE) --no-print-directory all
	@testbed/demo-gateway.sh nat

demo-full-nat: setup ## the same, where destinations do not see the client (as root)
	@$(MAKE) --no-print-directory all
	@testbed/demo-gateway.sh full-nat

pictures: all ## take the README's pictures anew (as root)
	@docs/pictures.sh

page-pictures: build ## take the pictures of the page of l4lbd anew
	@./setup.sh chromium
	@npx esbuild test/page/pictures.ts --bundle --format=esm --platform=node --packages=external \
		--log-level=warning --outfile=.make/page-pictures.js
	@node .make/page-pictures.js docs/pictures

# How many servers are killed, and how many hosts lose their link: make bench-failover KILLS=10
KILLS ?= 50
HOSTS ?= 12

bench-failover: setup ## measure how long a dead server still gets connections, by l4lbd (as root)
	@$(MAKE) --no-print-directory all >&2
	@node bench/failover.mjs $(KILLS) $(HOSTS)

bench-table: | node_modules ## compare the table with other algorithms; fails if it misses its figures
	@$(TSC) -p bench && node .make/bench/bench/table.js

docs: | node_modules ## write man pages, completion and the tables of the reference anew
	@npx esbuild generate/main.ts --bundle --format=esm --platform=node --packages=external \
		--log-level=warning --outfile=.make/generate.js
	@mkdir -p man completion
	@node .make/generate.js

# Options for it, such as ARGS="--only builds --rounds 31"; ARGS=--help lists them.
ARGS ?=

bench: ## measure nanoseconds a packet and throughput, of l4lb and of alternatives (as root)
	@./setup.sh bench >&2
	@$(MAKE) --no-print-directory all .make/floor.o .make/sink.o $(if $(wildcard $(DPDK)),.make/bench-dpdk) >&2
	@$(TSC) -p bench && node .make/bench/bench/main.js $(ARGS)

deb: ## build a Debian package of the commands and their service, and check it with lintian
	@./setup.sh deb >&2
	@$(MAKE) --no-print-directory all >&2
	@package=$$(packaging/deb/build.sh) && lintian --fail-on error,warning "$$package" && echo "$$package"

# How many packets go through each build, and the seed: make fuzz N=10000000 SEED=7
N ?= 1000000
SEED ?=

fuzz: ## send random packets through the programs and their model, and compare (as root)
	@./setup.sh fuzz >&2
	@$(MAKE) --no-print-directory all workers
	@$(TSC) -p test/fuzz && node .make/fuzz/test/fuzz/main.js $(N) $(SEED)

# ---- BPF ----

define compile
@command -v $(CLANG) >/dev/null || { echo "$(CLANG) is missing. Run: make setup" >&2; exit 1; }
$(CLANG) $(BPF_FLAGS) $1 -c $< -o $@
endef

# A card multiplies 32 bits at most, and -mcpu=v2 has no registers of 32 bits.
l4lb_xdp.o: l4lb_xdp.c $(HEADERS) .make/sizes Makefile
	$(call compile,-mcpu=v3 $(SIZES))

l4lb_xdp_host.o: l4lb_xdp.c $(HEADERS) Makefile
	$(call compile,-mcpu=v3 -DL4LB_HOST)

# The same for frames in several buffers, as jumbo MTUs need.
l4lb_xdp_frags.o: l4lb_xdp.c $(HEADERS) Makefile
	$(call compile,-mcpu=v3 -DL4LB_HOST -DL4LB_FRAGS)

l4lb_decap_frags.o: programs/l4lb_decap.c $(wildcard programs/*.h) $(HEADERS) Makefile
	$(call compile,-mcpu=v3 -DL4LB_FRAGS)

l4lb_decap.o l4lb_carry.o l4lb_carry_flows.o l4lb_sum.o l4lb_steer.o \
	l4lb_check.o: %.o: programs/%.c $(wildcard programs/*.h) \
		$(HEADERS) Makefile
	$(call compile,-mcpu=v3)

testbed/pass.o testbed/hold.o testbed/port.o: %.o: %.c Makefile
	$(call compile,-mcpu=v3)

# ---- The same source for this machine ----

NATIVE_FLAGS := -O2 -g -Wall -Wextra -Werror -I. -DL4LB_NATIVE -fno-strict-aliasing

# The programs read words of frames and tables in place, even at odd addresses.
SANITIZED := -DL4LB_PROVE -fsanitize=address,undefined -fno-sanitize=alignment \
	-fno-sanitize-recover=all

# The flags of a build. The decapsulation program has L4LB_HOST in its source.
build_flags = $(if $(filter host frags,$1),-DL4LB_HOST) $(if $(filter %frags,$1),-DL4LB_FRAGS) \
	-DENTRY=$(if $(filter decap%,$1),l4lb_decap_1,l4lb_2)

define compile-native
@mkdir -p $(@D)
$(CLANG) $(NATIVE_FLAGS) $(call build_flags,$*) $1 -o $@
endef

$(BALANCERS:%=.make/native/%.o): .make/native/%.o: l4lb_xdp.c $(HEADERS) Makefile | .make
	$(call compile-native,-c $<)

$(BALANCERS:%=.make/sanitized/%.o): .make/sanitized/%.o: l4lb_xdp.c $(HEADERS) Makefile | .make
	$(call compile-native,$(SANITIZED) -c $<)

$(DECAPS:%=.make/native/%.o): .make/native/%.o: programs/l4lb_decap.c $(wildcard programs/*.h) \
		$(HEADERS) Makefile | .make
	$(call compile-native,-c $<)

$(DECAPS:%=.make/sanitized/%.o): .make/sanitized/%.o: programs/l4lb_decap.c $(wildcard programs/*.h) \
		$(HEADERS) Makefile | .make
	$(call compile-native,$(SANITIZED) -c $<)

# ---- The fuzzer's processes: each runs one build, natively or in the kernel ----

WORKER_OBJECTS := .make/worker/worker.o .make/worker/variants.o
WORKER_HEADERS := $(wildcard test/fuzz/worker/*.h) test/tcp_repair.h
WORKERS := .make/worker/kernel $(foreach kind,native sanitized,$(BUILDS:%=.make/worker/$(kind)-%))

workers: $(WORKERS) ## compile the processes of make fuzz

$(WORKER_OBJECTS): .make/worker/%.o: test/fuzz/worker/%.c $(WORKER_HEADERS) Makefile | .make
	@mkdir -p $(@D)
	$(CLANG) -O2 -g -Wall -Wextra -Werror -I. -c $< -o $@

.make/worker/kernel: $(WORKER_OBJECTS) test/fuzz/worker/kernel.c test/fuzz/worker/sockets.c \
		datapath/platform/socket_state.h $(WORKER_HEADERS)
	$(CLANG) -O2 -g -Wall -Wextra -Werror -I. $(filter %.c %.o,$^) -o $@ -lbpf

.make/worker/native-%: .make/native/%.o $(WORKER_OBJECTS) test/fuzz/worker/native.c $(WORKER_HEADERS)
	$(call compile-native,$(filter %.c %.o,$^))

.make/worker/sanitized-%: .make/sanitized/%.o $(WORKER_OBJECTS) test/fuzz/worker/native.c \
		$(WORKER_HEADERS)
	$(call compile-native,$(SANITIZED) $(filter %.c %.o,$^))

# ---- The flood's sender, which runs on this machine and carries its BPF programs ----

.make/%.bpf.o: flood/%.bpf.c $(wildcard flood/*.h) Makefile | .make
	$(call compile,-mcpu=v3)

.make/%.skel.h: .make/%.bpf.o
	bpftool gen skeleton $< name $*_bpf >$@

$(SENDER): $(filter-out %.bpf.c,$(wildcard flood/*.c)) $(wildcard flood/*.h) \
		.make/frames.skel.h .make/losses.skel.h Makefile
	$(CLANG) -O2 -g -Wall -Wextra -Werror -I.make $(filter %.c,$^) -o $@ -lbpf

# ---- What attaches l4lb_steer.o, which neither ip nor bpftool can ----

$(STEER): $(wildcard steer/*.[ch]) programs/steer.h Makefile
	$(CLANG) -O2 -g -Wall -Wextra -Werror -I. $(filter %.c,$^) -o $@ -lbpf

# ---- What writes and reads the entries of maps, which bpftool does one by one ----

$(ENTRIES): $(wildcard entries/*.[ch]) Makefile
	$(CLANG) -O2 -g -Wall -Wextra -Werror $(filter %.c,$^) -o $@

# ---- The same source in a process that DPDK gives frames, for those who want it ----

# DPDK's own headers are not held to our warnings.
DPDK_CFLAGS = $(patsubst -I%,-isystem%,$(shell pkg-config --cflags libdpdk))
DPDK_LIBS = $(shell pkg-config --libs libdpdk) -lbpf

dpdk: $(DPDK) ## build l4lb-dpdk, after ./setup.sh dpdk

$(DPDK): $(wildcard dpdk/*.[ch]) .make/native/frags.o l4lb_xdp_frags.o $(HEADERS) Makefile
	@pkg-config --exists libdpdk || { echo "DPDK is missing. Run: ./setup.sh dpdk" >&2; exit 1; }
	$(CLANG) $(NATIVE_FLAGS) -DL4LB_HOST $(DPDK_CFLAGS) $(filter dpdk/%.c,$^) .make/native/frags.o \
		-o $@ $(DPDK_LIBS)

.make/bench-dpdk: bench/dpdk.c $(DPDK)
	$(CLANG) $(NATIVE_FLAGS) -DL4LB_HOST -DL4LB_FRAGS $(DPDK_CFLAGS) $< \
		dpdk/errors.c dpdk/identity.c dpdk/ports.c dpdk/register.c dpdk/tables.c .make/native/frags.o \
		-o $@ $(DPDK_LIBS)

# Programs that the benchmark needs beside ours.
.make/floor.o .make/sink.o: .make/%.o: bench/%.c Makefile | .make
	$(call compile,-mcpu=v3)

# Changes only when the sizes do, and then l4lb_xdp.o is built anew.
.make/sizes: FORCE | .make
	@[[ -f $@ && "$$(<$@)" == "$(strip $(SIZES))" ]] || echo "$(strip $(SIZES))" >$@

# What make remembers from run to run. Git ignores it.
.make:
	@mkdir -p $@ && echo '*' >$@/.gitignore

FORCE:

# ---- TypeScript ----

# If dist/ is missing, the stamp does not count.
.make/build: $(SOURCES) $(if $(wildcard dist/*.cjs),,FORCE) | .make node_modules
	@rm -rf dist
	npm run --silent build
	@touch $@

node_modules:
	@echo "node_modules is missing. Run: make setup" >&2
	@exit 1

# ---- Installation ----

LIBRARY := $(DESTDIR)$(PREFIX)/lib/l4lb
BIN := $(DESTDIR)$(PREFIX)/bin
SHARE := $(DESTDIR)$(PREFIX)/share

# Copies the files that npm would ship, and what the commands need of node_modules. The
# copies belong to the user who installs, and nobody else may write them, whatever the
# build tree allows, since root runs them later. Links are followed, since their targets
# may change.
COPY := tar -c --dereference --hard-dereference --mode='u=rwX,go=rX,a-st'
UNPACK = (umask 022 && tar -x -C "$(LIBRARY)" --no-same-owner)

install: all ## install the commands below PREFIX (/usr/local); DESTDIR goes before it
	@umask 022 && rm -rf "$(LIBRARY)" && mkdir -p "$(LIBRARY)" "$(BIN)"
	@$(COPY) $(wildcard package.json README.md) \
		$$(node -p 'require("./package.json").files.filter(require("fs").existsSync).join(" ")') | \
		$(UNPACK)
	@npm ls --omit=dev --all --parseable | sed -n "s|^$$PWD/||p" | \
		$(COPY) --files-from=- | $(UNPACK)
	@for command in $(COMMANDS); do \
		chmod 755 "$(LIBRARY)/bin/$$command.js"; \
		ln -sfn "../lib/l4lb/bin/$$command.js" "$(BIN)/$$command"; \
	done
	@[[ ! -x $(DPDK) ]] || ln -sfn "../lib/l4lb/$(DPDK)" "$(BIN)/l4lb-dpdk"
	@umask 022 && for page in man/*; do \
		install -D -m 644 "$$page" "$(SHARE)/man/man$${page##*.}/$${page##*/}"; \
	done
	@umask 022 && for command in $(COMMANDS); do \
		install -D -m 644 completion/l4lb.bash "$(SHARE)/bash-completion/completions/$$command"; \
		install -D -m 644 completion/l4lb.fish "$(SHARE)/fish/vendor_completions.d/$$command.fish"; \
	done
	@umask 022 && install -D -m 644 completion/_l4lb "$(SHARE)/zsh/site-functions/_l4lb"
	@echo "Installed $(COMMANDS) in $(BIN)"

uninstall: ## remove what install installed
	@rm -rf "$(LIBRARY)"
	@rm -f $(COMMANDS:%="$(BIN)/%") "$(BIN)/l4lb-dpdk" "$(SHARE)/zsh/site-functions/_l4lb" \
		$(COMMANDS:%="$(SHARE)/bash-completion/completions/%") \
		$(COMMANDS:%="$(SHARE)/fish/vendor_completions.d/%.fish") \
		$(foreach page,$(wildcard man/*),"$(SHARE)/man/man$(lastword $(subst ., ,$(page)))/$(notdir $(page))")

clean: ## remove what was built
	rm -rf $(OBJECTS) $(SENDER) $(STEER) $(ENTRIES) dist coverage .make l4lb_*.deb

	rm -rf $(OBJECTS) $(SENDER) $(STEER) $(DPDK) dist coverage .make l4lb_*.deb
