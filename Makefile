# deepagent. `make help` lists the targets, docs/development.md explains them.

CONFIG ?= release
BUILD ?= build
B := $(BUILD)/$(CONFIG)
VERSION := $(shell sed -n 's/.*DA_VERSION "\(.*\)"/\1/p' src/da_version.h)

# --- how things are compiled ------------------------------------------------

ifeq ($(origin CC),default)
CC := $(if $(filter clang fuzz,$(CONFIG)),clang,gcc)
endif
LUA_INC ?= /usr/include/lua5.4
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
  -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Werror
MODE_release := -O2 -g
MODE_clang := -O2
MODE_asan := -O1 -g -fno-omit-frame-pointer \
  -fsanitize=address,undefined -fno-sanitize-recover=all
MODE_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
MODE_coverage := -O0 -g --coverage -fprofile-update=atomic -DDA_COVERAGE
MODE_fuzz := -O1 -g -fno-omit-frame-pointer \
  -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
MODE := $(MODE_$(CONFIG))
ifeq ($(MODE),)
$(error CONFIG is one of: release, clang, asan, tsan, coverage, fuzz)
endif
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread \
  $(WARNINGS) -Isrc -I$(LUA_INC) $(MODE) $(CFLAGS)
ALL_LDFLAGS := $(MODE) -pthread -Wl,--as-needed $(LDFLAGS)

# --- what there is ----------------------------------------------------------

SOURCES := $(notdir $(wildcard src/*.c))
objects = $(patsubst %.c,$(B)/src/%.o,$(1))

# A word for each step, V=1: the whole command; make -s: nothing.
Q := $(if $(filter 1,$(V)),,@)
quiet := $(filter 1,$(V))$(findstring s,$(firstword -$(MAKEFLAGS)))
tell = $(if $(quiet),,@echo "$(1) $(2)")

# The core never needs libcurl; deepagent.curl, loaded at the first request,
# brings its own copy of the few files that it needs.
CURL_SOURCES := lua_curl.c da_http_curl.c da_http_curl_error.c \
  da_http_curl_headers.c da_http_curl_socket.c da_http_head.c da_err.c da_buf.c da_clock.c da_utf8.c
CORE_SOURCES := $(filter-out lua_curl.c da_http_curl%,$(SOURCES))
LIB_SOURCES := $(filter-out lua_%,$(SOURCES))

CORE := $(if $(filter lua_%,$(CORE_SOURCES)),$(B)/deepagent/core.so)
CURL := $(if $(filter lua_curl.c,$(SOURCES)),$(B)/deepagent/curl.so)
LIB := $(B)/libdeepagent.a

C_TESTS := $(patsubst %.c,$(B)/%,$(wildcard spec/c/test_*.c))
C_EXAMPLES := $(patsubst %.c,$(B)/%,$(wildcard examples/*.c))
C_BENCHES := $(patsubst %.c,$(B)/%,$(wildcard bench/*.c))
# Programs that break things, and what they preload into others.
TORTURE := $(patsubst %.c,$(B)/%,$(filter-out spec/torture/preload_%, \
  $(wildcard spec/torture/*.c)))
PRELOADS := $(patsubst %.c,$(B)/%.so,$(wildcard spec/torture/preload_*.c))
# With CONFIG=fuzz they are libFuzzer's, else they replay a corpus.
FUZZERS := $(patsubst %.c,$(B)/%,$(wildcard spec/fuzz/fuzz_*.c))
# Modules for tests, found by require: spec/modules/a/b.c is "a.b".
TEST_MODULES := $(patsubst %.c,$(B)/%.so, \
  $(wildcard spec/modules/*.c spec/modules/*/*.c))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all lib modules tidy tests tortures fuzzers examples benches \
  deps deps-test deps-bench deps-e2e demo test lint format asan tsan valgrind \
  torture fuzz coverage e2e bench rockspec install uninstall clean help

all: $(CORE) $(CURL) $(LIB) ## build everything (CONFIG=release|clang|asan ...)

lib: $(LIB) ## build libdeepagent.a, for C programs

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call tell,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/deepagent/core.so: $(call objects,$(CORE_SOURCES))
	@mkdir -p $(@D)
	$(call tell,LD,$@)
	$(Q)$(CC) -shared $(ALL_LDFLAGS) -o $@ $^

$(B)/deepagent/curl.so: $(call objects,$(CURL_SOURCES))
	@mkdir -p $(@D)
	$(call tell,LD,$@)
	$(Q)$(CC) -shared $(ALL_LDFLAGS) -o $@ $^ -lcurl

$(LIB): $(call objects,$(LIB_SOURCES))
	@rm -f $@
	$(call tell,AR,$@)
	$(Q)ar rcs $@ $^

# --- programs: tests, examples, benchmarks ----------------------------------

# What a single program needs beyond the library.
$(B)/bench/%: LDLIBS += -lcjson
$(B)/spec/c/test_denied: LDLIBS += -Wl,--wrap=getrandom,--wrap=pthread_create

# Memory that fails: see spec/c/memory_kit.h.
MEMORY := malloc calloc realloc strdup free getcwd fdopendir getpwuid_r \
  pthread_create curl_easy_init curl_easy_setopt curl_multi_init \
  curl_multi_add_handle curl_slist_append
$(B)/spec/c/test_memory_%: LDLIBS += $(MEMORY:%=-Wl,--wrap=%)

# Any call of the file store to the system can fail there; faults.h has the
# same names.
FAULTS := chmod close closedir faccessat fchmod fcntl fdopendir fstat fstatat fsync \
  futimens getcwd getpwuid_r getrandom getrlimit linkat mkdirat nanosleep \
  open openat pread pthread_create pthread_mutex_init readdir renameat \
  renameat2 stat syncfs unlinkat writev
$(B)/spec/torture/faults_%: LDLIBS += $(FAULTS:%=-Wl,--wrap=%)

FUZZ_MAIN := $(if $(filter fuzz,$(CONFIG)),,$(B)/spec/fuzz/replay.o)
$(FUZZERS): $(FUZZ_MAIN)
$(FUZZERS): LDLIBS += $(if $(FUZZ_MAIN),,-fsanitize=fuzzer)

$(C_TESTS) $(TORTURE) $(FUZZERS) $(C_EXAMPLES) $(C_BENCHES): \
  $(B)/%: $(B)/%.o $(LIB)
	$(call tell,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS) -lcurl -lm

$(TEST_MODULES) $(PRELOADS): $(B)/%.so: $(B)/%.o
	$(call tell,LD,$@)
	$(Q)$(CC) -shared $(ALL_LDFLAGS) -o $@ $^

# Preloaded beside a sanitizer's runtime (see spec/env).
$(B)/unpreload.so: spec/support/unpreload.c
	@mkdir -p $(@D)
	gcc -shared -fPIC -O2 -o $@ $<

# For spec/run.
modules: $(TEST_MODULES) $(B)/unpreload.so
tests: $(C_TESTS)
tortures: $(TORTURE) $(PRELOADS)
fuzzers: $(FUZZERS)
examples: $(C_EXAMPLES) ## build examples/*.c into build/release/examples/
benches: $(C_BENCHES)

# --- the two commands -------------------------------------------------------

deps: ## install the Debian packages that building needs, if any is missing
	@.ci/deps build

deps-test:
	@.ci/deps build test bench

deps-bench:
	@.ci/deps build bench

deps-e2e:
	@.ci/deps build e2e

# The sessions of the demonstration are kept in build/, not in the user's home.
DEMO := spec/env $(CONFIG) lua5.4 examples/remember.lua
demo: deps ## see an agent remember: two processes, one after the other
	@$(MAKE) --no-print-directory -s -j2 all
	@rm -rf $(BUILD)/demo
	@echo "--- first process: lua5.4 examples/remember.lua"
	@DEEPAGENT_HOME=$(abspath $(BUILD))/demo $(DEMO)
	@echo "--- second process: lua5.4 examples/remember.lua"
	@DEEPAGENT_HOME=$(abspath $(BUILD))/demo $(DEMO)

# make test PARTS="c lua" T=session V=1: some parts, some files, all output
test: deps-test ## all tests: see docs/development.md for PARTS=, T= and V=
	@spec/run $(PARTS)

lint: deps-test ## format, clang, cppcheck, clang-tidy, luacheck, floors ...
	@spec/run lint

asan: deps-test ## all tests under AddressSanitizer and UBSan
	@spec/run asan:c asan:lua asan:examples

tsan: deps-test ## C tests and specs tagged #threads under ThreadSanitizer
	@spec/run tsan:c tsan:threads

valgrind: deps-test ## specs tagged #smoke, and examples, under valgrind
	@spec/run valgrind:smoke valgrind:examples

torture: deps-test ## kill, cut the power, fail every call: at length
	@DA_FULL=1 spec/run torture tsan:torture

# make fuzz FUZZ_SECONDS=600 T=json: how long for each target, and which.
fuzz: deps-test ## libFuzzer on everything that reads what others wrote
	@spec/fuzz/run

coverage: deps-test ## lines and branches of src/ that the tests reach
	@spec/support/coverage

e2e: deps-e2e ## ask a real server, llama.cpp's; the first time it is built
	@spec/e2e/run

bench: deps-bench ## measure, with the limit beside each figure
	@$(MAKE) --no-print-directory -s -j2 CONFIG=release all benches
	@if [ -x bench/run ]; then spec/env release bench/run; \
	else for b in $(C_BENCHES); do spec/env release $$b || exit 1; done; fi

# clang-tidy, which is slow, on what has changed; .clang-tidy says what it
# looks for. All that it says is kept beside the stamps.
TIDY := $(SOURCES:%.c=$(BUILD)/tidy/%.ok)
$(BUILD)/tidy/%.ok: src/%.c $(wildcard src/*.h) .clang-tidy
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- -std=c11 -D_GNU_SOURCE -Isrc -I$(LUA_INC) \
	  > $(@:.ok=.log) 2>&1 || { grep -a ': error: ' $(@:.ok=.log); exit 1; }
	@touch $@
tidy: $(TIDY)

format: ## let clang-format write the C files
	clang-format -i $(wildcard src/*.[ch] spec/c/*.[ch] spec/modules/*.c \
	  spec/modules/*/*.c spec/torture/*.[ch] spec/fuzz/*.[ch] \
	  examples/*.c bench/*.[ch])

rockspec: ## write the rockspec's lists of files anew
	lua5.4 spec/support/rockspec.lua --write

# --- installing -------------------------------------------------------------

PREFIX ?= /usr/local
LUA_SHARE := $(DESTDIR)$(PREFIX)/share/lua/5.4
LUA_LIB := $(DESTDIR)$(PREFIX)/lib/lua/5.4
INC := $(DESTDIR)$(PREFIX)/include
LIBDIR := $(DESTDIR)$(PREFIX)/lib
LUA_FILES := $(patsubst lua/%,%,$(shell find lua -name '*.lua'))
HEADERS := $(wildcard src/deepagent*.h)

install: all ## install below PREFIX (/usr/local), staged in DESTDIR
	@for f in $(LUA_FILES); do \
	  install -D -m 644 lua/$$f $(LUA_SHARE)/$$f || exit 1; done
	install -D -m 755 -t $(LUA_LIB)/deepagent $(CORE) $(CURL)
	install -D -m 644 -t $(INC) $(HEADERS)
	install -D -m 644 -t $(LIBDIR) $(LIB)
	@mkdir -p $(LIBDIR)/pkgconfig
	@printf '%s\n' 'Name: deepagent' 'Description: LLM agents that remember' \
	  'Version: $(VERSION)' 'Cflags: -I$(PREFIX)/include' \
	  'Libs: -L$(PREFIX)/lib -ldeepagent -lcurl -pthread -lm' \
	  > $(LIBDIR)/pkgconfig/deepagent.pc

uninstall: ## remove what install put there
	rm -f $(LUA_FILES:%=$(LUA_SHARE)/%) $(LUA_LIB)/deepagent/core.so \
	  $(LUA_LIB)/deepagent/curl.so $(HEADERS:src/%=$(INC)/%) \
	  $(LIBDIR)/libdeepagent.a $(LIBDIR)/pkgconfig/deepagent.pc
	-@rmdir $(LUA_SHARE)/deepagent $(LUA_LIB)/deepagent 2>/dev/null || true

# luarocks make compiles beside the sources.
clean: ## remove build/, and what luarocks make left here
	rm -rf $(BUILD)
	rm -f src/*.o deepagent/*.so
	-@rmdir deepagent 2>/dev/null || true

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' \
	  $(MAKEFILE_LIST)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
