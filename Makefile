# SPDX-License-Identifier: Apache-2.0
# One file, not recursive; every output is under $(O). `make help` lists what to call.

O ?= build
VERSION := 0.1.0
SAN ?=

CC      ?= gcc
CLANG   ?= clang
STRIP   ?= llvm-strip
CPPFLAGS += -D_GNU_SOURCE -I. -DVERSION='"$(VERSION)"'
WARN     := -Wall -Wextra -Wconversion -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wformat=2 -Wvla
ifeq ($(SAN),)
HARDEN  := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
           -fcf-protection -fPIE
HARDLD  := -pie -Wl,-z,relro,-z,now,-z,noexecstack
else
# The same program with AddressSanitizer and UBSan: make SAN=1 O=build/san
HARDEN  := -O1 -g -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined \
           -fno-sanitize-recover=all
HARDLD  := -pie -fsanitize=address,undefined
endif
CFLAGS  += -std=gnu17 $(WARN) $(HARDEN)
LDFLAGS += $(HARDLD)

# --- what each program is made of -------------------------------------------------------------

COMMON := \
	common/chan.c \
	common/config.c \
	common/dispatch.c \
	common/log.c \
	common/loop.c \
	common/memfd.c \
	common/msg.c \
	common/msgfmt.c \
	common/privs.c \
	common/proto.c \
	common/stats.c

CHILD := \
	common/child.c \
	common/landlock.c \
	common/seccomp.c

conntraced_SRC := $(COMMON) \
	supervisor/children.c \
	supervisor/configure.c \
	supervisor/control.c \
	supervisor/custody.c \
	supervisor/life.c \
	supervisor/main.c \
	supervisor/notify.c \
	supervisor/options.c \
	supervisor/spawn.c \
	supervisor/status.c
conntraced_LIB := -lmsgpackc -lcap

conntrace-loader_SRC := $(COMMON) $(CHILD) \
	loader/attach.c \
	loader/btf.c \
	loader/handover.c \
	loader/main.c \
	loader/object.c \
	loader/sandbox.c \
	loader/settings.c \
	loader/tracer.c \
	loader/walk.c
conntrace-loader_LIB := -lmsgpackc -lcap -Wl,-Bstatic -lbpf -lelf -lz -Wl,-Bdynamic

conntrace-exporter_SRC := $(COMMON) $(CHILD) \
	exporter/clients.c \
	exporter/clock.c \
	exporter/decode.c \
	exporter/json.c \
	exporter/jsonbuf.c \
	exporter/ledger.c \
	exporter/live.c \
	exporter/main.c \
	exporter/names.c \
	exporter/pump.c \
	exporter/ring.c \
	exporter/sandbox.c \
	exporter/sink.c \
	exporter/table.c
conntrace-exporter_LIB := -lmsgpackc -lcap

conntrace-poller_SRC := $(COMMON) $(CHILD) \
	poller/main.c
conntrace-poller_LIB := -lmsgpackc -lcap

conntrace-verifier_SRC := $(COMMON) $(CHILD) \
	verifier/document.c \
	verifier/errors.c \
	verifier/filters.c \
	verifier/main.c \
	verifier/sandbox.c \
	verifier/schema.c \
	verifier/suggest.c \
	verifier/values.c
conntrace-verifier_LIB := -lmsgpackc -lcap -lyaml

conntrace_SRC := $(COMMON) \
	cli/client.c \
	cli/identity.c \
	cli/list.c \
	cli/main.c \
	cli/process.c \
	cli/records.c \
	cli/status.c \
	cli/status_json.c \
	cli/status_text.c \
	cli/tail.c \
	exporter/clock.c \
	exporter/decode.c \
	exporter/json.c \
	exporter/jsonbuf.c \
	exporter/names.c \
	exporter/table.c \
	supervisor/life.c
conntrace_LIB := -lmsgpackc -lcap

PROGRAMS := conntraced conntrace conntrace-loader conntrace-exporter conntrace-poller \
            conntrace-verifier
BPF_OBJECTS := tracer-tracepoint

# --- rules --------------------------------------------------------------------------------------

.PHONY: all run check bench install clean help
all: $(PROGRAMS:%=$(O)/bin/%) $(BPF_OBJECTS:%=$(O)/share/%.bpf.o)

define program
$(O)/bin/$(1): $$($(1)_SRC:%.c=$(O)/obj/%.o)
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$($(1)_LIB)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# No header of the build machine's kernel: bpf/kernel.h names what is used, CO-RE finds it.
$(O)/share/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D) $(O)/obj/bpf
	$(CLANG) -g -O2 -target bpf -mcpu=v3 -I. -Wall -Wextra -Werror -MMD -MP \
		-MF $(O)/obj/bpf/$*.d -MT $@ -c -o $@ $<
	$(STRIP) -g $@

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
