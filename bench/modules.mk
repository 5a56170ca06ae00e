# For bench/run, read after the Makefile: C modules for benchmarks in Lua.

BENCH_MODULES := $(patsubst bench/modules/%.c,$(B)/bench/%.so, \
  $(wildcard bench/modules/*.c))

.PHONY: bench-modules
bench-modules: $(BENCH_MODULES)

$(B)/bench/%.so: $(B)/bench/modules/%.o
	$(CC) -shared $(ALL_LDFLAGS) -o $@ $^

-include $(BENCH_MODULES:$(B)/bench/%.so=$(B)/bench/modules/%.d)
