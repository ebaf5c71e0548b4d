# make         build/moonhook            make test    every spec; the last line is the sum
# make run     the demo, to chat with    make check   the gate: format, lint, specs, sanitizers
# make bench   speed, beside others      make clean   forgets build/     V=1 shows the commands
# make bench-check   instructions per operation, beside the committed ones
# make soak    reloads, upgrades and writes by the hundred, the host's specs with two workers
# make test FAST_PATHS=off   every spec with the host's fast paths switched off
# make install PREFIX=/usr/local   the program, its manual page, completions for shells
# LUAJIT=system      with the system's LuaJIT, in build/system

VERSION  = 0.1.0
B        = build$(if $(filter system,$(LUAJIT)),/system)
PREFIX   = /usr/local
OPT      = -O2 -g
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes
SANITIZE = -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=address,undefined

# PACKAGE=PROBE, see .ci/packages
BUILD_PACKAGES = gcc=cc libc6-dev=/usr/include/stdio.h pkg-config=pkg-config \
  ca-certificates=/etc/ssl/certs/ca-certificates.crt libluajit-5.1-dev=luajit.pc xz-utils=xz \
  libuv1-dev=libuv.pc libssl-dev=openssl.pc libyaml-dev=yaml-0.1.pc \
  libsqlite3-dev=sqlite3.pc libsodium-dev=libsodium.pc zlib1g-dev=zlib.pc \
  libzip-dev=libzip.pc
TEST_PACKAGES = luajit=luajit lua-busted=busted lua-socket lua-cjson nodejs=node npm=npm \
  curl=curl openssl=openssl bash=bash groff-base=groff clang=clang libclang-rt-dev $(CHROMIUM)=chromium
CHECK_PACKAGES = clang-format=clang-format lua-check=luacheck codespell=codespell \
  shellcheck=shellcheck cppcheck=cppcheck
CHROMIUM = chromium$(if $(findstring ubuntu,$(file < /etc/os-release)),-browser)

# llhttp must be 9.2 or newer; .ci/llhttp unpacks one where the system's is older or absent.
SYSTEM_LLHTTP := $(shell pkg-config --exists 'libllhttp >= 9.2' 2>/dev/null && echo libllhttp)
LLHTTP  := $(if $(SYSTEM_LLHTTP),,build/deps/libllhttp.a)
# LuaJIT is built by .ci/luajit so that compiled code can be interrupted.
OWN_LUA  = $(if $(filter system,$(LUAJIT)),,build/deps/luajit)
LUA_FLAGS = $(if $(OWN_LUA),$(file < $(OWN_LUA)/flags),$(shell pkg-config --cflags luajit))
LUA_LIBS = $(if $(OWN_LUA),$(file < $(OWN_LUA)/libs),$(shell pkg-config --libs luajit))
MODULES := libuv openssl yaml-0.1 sqlite3 libsodium zlib libzip $(SYSTEM_LLHTTP)
CFLAGS  := $(shell pkg-config --cflags $(MODULES) 2>/dev/null) $(if $(LLHTTP),-Ibuild/deps)
LIBS     = $(LLHTTP) $(LUA_LIBS) $(LINKED) -lm
LINKED  := $(shell pkg-config --libs $(MODULES) 2>/dev/null)
# Modules in C that specs load (busted needs some) find Lua in the binary.
EXPORTS  = -Wl,--export-dynamic-symbol=lua_* -Wl,--export-dynamic-symbol=luaL_*
COMPILE  = $(CC) -std=c11 -D_GNU_SOURCE -pthread $(WARNINGS) $(OPT) $(LUA_FLAGS) $(CFLAGS) \
  -DMOONHOOK_VERSION='"$(VERSION)"'

SOURCES := $(wildcard host/*/*.c)
# Some templates of `moonhook init` are the examples.
LIBRARY := $(sort $(wildcard docs/*.md README.md) $(shell find lua examples/stream examples/talk \
  examples/webhook -type f ! -path 'examples/*/README.md'))
FUZZERS := $(patsubst spec/fuzz/%.c,build/fuzz/%,$(wildcard spec/fuzz/*.c))
SPEC_PARTS = build/spec/host_modules.so build/npm/ready
MAKEFLAGS += --no-print-directory $(if $(V),,--silent)
MAKEFLAGS += $(if $(filter 0,$(MAKELEVEL)),-j$(shell nproc))
export MODEL_URL MODEL MODEL_KEY_FILE
.DELETE_ON_ERROR:
.PHONY: all run test check bench bench-check docs clean fuzzers install soak

all:
	.ci/packages check $(BUILD_PACKAGES)
	$(MAKE) $B/moonhook

run:
	.ci/packages install $(BUILD_PACKAGES)
	$(MAKE) $B/moonhook
	examples/demo/run

test:
	.ci/packages install $(BUILD_PACKAGES) $(TEST_PACKAGES)
	$(MAKE) $B/moonhook $B/spec/interrupts $(SPEC_PARTS)
	$(MAKE) LUAJIT=system build/system/moonhook build/system/spec/interrupts
	$(MAKE) fuzzers
	$(if $(filter off,$(FAST_PATHS)),MOONHOOK_FAST_PATHS=off spec/run node busted plugin system,spec/run)

check:
	.ci/packages install $(BUILD_PACKAGES) $(TEST_PACKAGES) $(CHECK_PACKAGES)
	.ci/lint
	$(MAKE) B=build/strict OPT='$(OPT) -Werror' build/strict/moonhook \
	  build/strict/spec/interrupts $(SPEC_PARTS)
	$(MAKE) LUAJIT=system OPT='$(OPT) -Werror' build/system/moonhook build/system/spec/interrupts
	$(MAKE) fuzzers
	$(MAKE) B=build/asan OPT='$(SANITIZE) -Werror' build/asan/moonhook build/asan/spec/interrupts
	MOONHOOK_BIN=build/strict/moonhook spec/run
	MOONHOOK_BIN=build/asan/moonhook spec/run busted plugin node

# DESTDIR is for packagers: everything goes below it.
install: all
	S='$(DESTDIR)$(PREFIX)/share'; set -e; install -d $$S/man/man1 $$S/bash-completion/completions \
	  $$S/zsh/site-functions $$S/fish/vendor_completions.d '$(DESTDIR)$(PREFIX)/bin'; \
	install $B/moonhook '$(DESTDIR)$(PREFIX)/bin/moonhook'; \
	$B/moonhook man >$$S/man/man1/moonhook.1; \
	$B/moonhook completion bash >$$S/bash-completion/completions/moonhook; \
	$B/moonhook completion zsh >$$S/zsh/site-functions/_moonhook; \
	$B/moonhook completion fish >$$S/fish/vendor_completions.d/moonhook.fish

soak: all
	SOAK=1 spec/run spec/host/reload_serve_spec.lua spec/host/process_upgrade_spec.lua \
	  spec/host/process_storage_spec.lua
	MOONHOOK_SPEC_WORKERS=2 spec/run spec/host

bench: all
	.ci/packages install python3=python3
	spec/bench/run

bench-check: all
	.ci/packages install python3=python3 valgrind=valgrind
	$(MAKE) LUAJIT=system build/system/moonhook
	MOONHOOK_BIN=build/system/moonhook spec/bench/instructions.py

# docs/plugin-api.md, from the annotations in lua/moonhook/meta.
docs:
	luajit spec/docs/generate.lua

clean:
	rm -rf build

# One fuzz target a file, on the host built for the fuzzer.
fuzzers:
	$(MAKE) B=build/fuzz/host CC=clang OPT='$(SANITIZE),fuzzer-no-link' $(FUZZERS)

build/fuzz/%: spec/fuzz/%.c $B/libhost.a
	echo '  link $@'
	$(COMPILE) -I. -fsanitize=fuzzer -o $@ $^ $(LIBS)

# Stops Lua code at random moments, for spec/host/limits_random_spec.lua.
$B/spec/interrupts: $(wildcard spec/support/interrupts/*.[ch]) $B/libhost.a
	echo '  link $@'
	mkdir -p $(@D)
	$(COMPILE) -I. -o $@ $(filter-out %.h,$^) $(LIBS)

$B/moonhook: $B/host/main.o $B/libhost.a
	echo '  link $@'
	$(COMPILE) $(EXPORTS) -o $@ $^ $(LIBS)

$B/libhost.a: $(SOURCES:%.c=$B/%.o) $B/library.o $B/library_code.o
	rm -f $@
	ar qcs $@ $^

$B/%.o: %.c Makefile $(OWN_LUA:%=%/flags) | $(LLHTTP)
	echo '  cc $@'
	mkdir -p $(@D)
	$(COMPILE) -MMD -c -o $@ $<

# A header that is gone: what included it is built anew.
%.h: ;

# The Lua library and the documentation, as text in the binary.
$B/library.o: build/library.c host/script/library.h $(OWN_LUA:%=%/flags)
	mkdir -p $(@D)
	$(COMPILE) -I. -c -o $@ $<

# The library as bytecode, too, by the LuaJIT that the binary has.
$B/library_code.o: $B/compile_library
	$< >$(@:.o=.c)
	$(COMPILE) -I. -c -o $@ $(@:.o=.c)

$B/compile_library: .ci/compile_library.c $B/library.o
	$(COMPILE) -I. -o $@ $^ $(LUA_LIBS)

build/library.c: host/script/library.awk $(LIBRARY) $(filter-out ./,$(sort $(dir $(LIBRARY))))
	mkdir -p $(@D)
	LC_ALL=C awk -f $< $(LIBRARY) > $@

# host.json, bytes, crypto and pattern for the Lua specs, which run under plain luajit.
build/spec/host_modules.so: OWN_LUA =
build/spec/host_modules.so: $(wildcard host/script/bind_json.* host/script/bind_bytes.* \
  host/script/bind_crypto.* host/script/json_* host/script/*pattern.* host/base/*) | $(LLHTTP)
	mkdir -p $(@D)
	$(COMPILE) -fPIC -shared -o $@ $(filter %.c,$^) $(LIBS:-l:lib%.a=-l%)

build/deps/libllhttp.a:
	.ci/llhttp $(@D)

build/deps/luajit/flags: .ci/luajit .ci/apt.sh
	.ci/luajit $(@D)

build/npm/ready: spec/package.json spec/package-lock.json
	mkdir -p $(@D) && cp $^ $(@D)
	cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

-include $(SOURCES:%.c=$B/%.d) $B/host/main.d
