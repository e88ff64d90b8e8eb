# SPDX-License-Identifier: Apache-2.0
# One file, not recursive; every output is under $(O). `make help` lists what to call.

O ?= build
VERSION := 0.1.0
SAN ?=
# DEBUG=1, from the command line alone: a build whose sandboxes can be told to log and not to kill.
DEBUGGING := $(if $(filter command line,$(origin DEBUG)),$(DEBUG))
PREFIX ?= /usr
SBINDIR    := $(PREFIX)/sbin
LIBEXECDIR := $(PREFIX)/libexec/conntrace
OBJECTDIR  := $(PREFIX)/lib/conntrace

# The date of what is packed, and the earliest time that a clock may show, is that of the changelog:
# the same source gives the same bytes.
CHANGELOG := packaging/debian/changelog
SOURCE_DATE_EPOCH ?= $(shell date -d "$$(sed -n 's/^ -- .*>  //p' $(CHANGELOG) | head -n 1)" +%s)
export SOURCE_DATE_EPOCH
BUILT_S := $(SOURCE_DATE_EPOCH)

# For another processor: CROSS_COMPILE=aarch64-linux-gnu-, with an O= of its own, and SYSROOT=DIR if
# its libraries are not installed beside those of this one.
CROSS_COMPILE ?=
SYSROOT       ?=
ifeq ($(CROSS_COMPILE),)
CC      ?= gcc
else
CC      := $(CROSS_COMPILE)gcc $(SYSROOT:%=--sysroot=%)
endif
CLANG   ?= clang
STRIP   ?= llvm-strip
# What it is built for, as uname -m calls it.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
# _GNU_SOURCE: empty, as a source that defines it itself does. A char has no sign on arm64: nor has it
# elsewhere, so that what is tested on one processor holds on the other.
DEFINES := -D_GNU_SOURCE= -funsigned-char -I. -isystem $(SYSROOT)/usr/include/libnl3 \
           -DVERSION='"$(VERSION)$(if $(DEBUGGING), (debug))"' \
           $(if $(DEBUGGING),-DCONNTRACE_DEBUG) \
           -DBUILT_S=$(BUILT_S) \
           -DSBINDIR='"$(SBINDIR)"' -DLIBEXECDIR='"$(LIBEXECDIR)"' -DOBJECTDIR='"$(OBJECTDIR)"'
WARN    := -Wall -Wextra -Wconversion -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wformat=2 -Wvla
BRANCHES_x86_64  := -fcf-protection
BRANCHES_aarch64 := -mbranch-protection=standard
ifeq ($(SAN),)
HARDEN  := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
           $(BRANCHES_$(MACHINE)) -fPIE -ffile-prefix-map=$(CURDIR)=.
HARDLD  := -pie -Wl,-z,relro,-z,now,-z,noexecstack
else
# The same program with AddressSanitizer and UBSan: make san
HARDEN  := -O1 -g -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined \
           -fno-sanitize-recover=all
HARDLD  := -pie -fsanitize=address,undefined
endif
# The caller's CPPFLAGS, CFLAGS and LDFLAGS come last, so that they win.
COMPILE := $(CC) $(DEFINES) -std=gnu17 $(WARN) $(HARDEN) $(CPPFLAGS) $(CFLAGS)
LINK    := $(CC) $(HARDLD) $(LDFLAGS)

# V=1 shows the commands in full.
V ?=
Q   := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

# Recursive calls use all processors unless the caller said how many.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
export PYTHONDONTWRITEBYTECODE := 1

# --- what each program is made of -------------------------------------------------------------

COMMON := \
	common/cgroupfs.c \
	common/chan.c \
	common/config.c \
	common/counters.c \
	common/dispatch.c \
	common/io.c \
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

# Static: a host that runs the loader needs no libbpf.
LIBBPF := -Wl,-Bstatic -lbpf -lelf -lz -Wl,-Bdynamic

# From a cgroup's id to what its path says.
CGROUPS := \
	common/pages.c \
	record/cgroup_cache.c \
	record/cgroup_name.c \
	record/cgroups.c

# A record in words, as JSON and in a table.
RECORD := $(CGROUPS) \
	common/jsonbuf.c \
	record/clock.c \
	record/decode.c \
	record/ending.c \
	record/json.c \
	record/names.c \
	record/table.c

# Texts to a configuration: all of the verifier but its process.
SCHEMA := \
	common/keys.c \
	verifier/document.c \
	verifier/errors.c \
	verifier/filters.c \
	verifier/schema.c \
	verifier/suggest.c \
	verifier/values.c

# Signed metadata: the state machine, which needs nothing but memory.
TUF := \
	tuf/canonical.c \
	tuf/digest.c \
	tuf/floor.c \
	tuf/json.c \
	tuf/keys.c \
	tuf/metadata.c \
	tuf/names.c \
	tuf/pattern.c \
	tuf/refresh.c \
	tuf/result.c \
	tuf/roots.c \
	tuf/search.c \
	tuf/shape.c \
	tuf/time.c \
	tuf/tuf.c
# Apart, because a fuzzer links another answer.
TUF_VERIFY := tuf/verify.c
TUF_LIB := -ljansson -lcrypto

# The protocol of a local agent: on top of TUF, and as pure.
RC := \
	rc/answer.c \
	rc/apply.c \
	rc/base64.c \
	rc/path.c \
	rc/rc.c \
	rc/request.c

conntraced_SRC := $(COMMON) \
	common/bundle.c \
	common/client.c \
	common/fnv.c \
	common/grace.c \
	common/installation.c \
	common/spawn.c \
	common/wholefile.c \
	supervisor/children.c \
	supervisor/configure.c \
	supervisor/control.c \
	supervisor/custody.c \
	supervisor/inherit.c \
	supervisor/keep.c \
	supervisor/last_words.c \
	supervisor/life.c \
	supervisor/main.c \
	supervisor/messages.c \
	supervisor/nat.c \
	supervisor/notify.c \
	supervisor/options.c \
	supervisor/probation.c \
	supervisor/rate.c \
	supervisor/remote.c \
	supervisor/replace.c \
	supervisor/rollout.c \
	supervisor/status.c \
	supervisor/store.c \
	supervisor/texts.c \
	supervisor/upgrade.c \
	supervisor/upgrade_ask.c \
	supervisor/verdict.c
conntraced_LIB := -lmsgpackc -lcap

conntrace-loader_SRC := $(COMMON) $(CHILD) \
	common/grace.c \
	loader/attach.c \
	loader/btf.c \
	loader/features.c \
	loader/handover.c \
	loader/instance.c \
	loader/ladder.c \
	loader/main.c \
	loader/manager.c \
	loader/nat.c \
	loader/object.c \
	loader/plan.c \
	loader/procfs.c \
	loader/reuse.c \
	loader/room.c \
	loader/sandbox.c \
	loader/settings.c \
	loader/steps_first.c \
	loader/steps_last.c \
	loader/steps_tracer.c \
	loader/tracer.c \
	loader/unseen.c \
	loader/walk.c \
	loader/walker.c
conntrace-loader_LIB := -lmsgpackc -lcap $(LIBBPF)

conntrace-exporter_SRC := $(COMMON) $(CHILD) \
	$(RECORD) \
	exporter/clients.c \
	exporter/live.c \
	exporter/loss.c \
	exporter/main.c \
	exporter/maps.c \
	exporter/marker.c \
	exporter/nat.c \
	exporter/nat_cache.c \
	exporter/nat_parse.c \
	exporter/pump.c \
	exporter/ring.c \
	exporter/sandbox.c \
	exporter/sink.c
conntrace-exporter_LIB := -lmsgpackc -lcap -lnl-3

conntrace-poller_SRC := $(COMMON) $(CHILD) \
	common/bundle.c \
	common/fnv.c \
	common/jsonbuf.c \
	common/put.c \
	common/source_json.c \
	common/wholefile.c \
	common/words.c \
	poller/due.c \
	poller/handed.c \
	poller/main.c \
	poller/network.c \
	poller/report.c \
	poller/sandbox.c \
	poller/schedule.c \
	poller/source.c \
	poller/source_dir.c \
	poller/source_rc.c \
	poller/source_tuf.c \
	$(TUF) $(TUF_VERIFY) \
	$(RC) rc/shelf.c \
	tuf/fetch.c \
	tuf/post.c \
	tuf/stock.c
conntrace-poller_LIB := -lmsgpackc -lcap $(TUF_LIB) -lcurl

conntrace-verifier_SRC := $(COMMON) $(CHILD) \
	$(SCHEMA) \
	$(TUF) $(TUF_VERIFY) \
	$(RC) rc/shelf.c \
	common/bundle.c \
	tuf/stock.c \
	verifier/main.c \
	verifier/outcome.c \
	verifier/sandbox.c \
	verifier/signed.c \
	verifier/signed_rc.c
conntrace-verifier_LIB := -lmsgpackc -lcap -lyaml $(TUF_LIB)

conntrace_SRC := $(COMMON) \
	$(RECORD) \
	common/client.c \
	common/installation.c \
	common/keys.c \
	common/landlock.c \
	common/put.c \
	common/source_json.c \
	common/spawn.c \
	common/wholefile.c \
	common/words.c \
	cli/config_ask.c \
	cli/config_check.c \
	cli/config_history.c \
	cli/config_show.c \
	cli/config_value.c \
	cli/doctor.c \
	cli/doctor_files.c \
	cli/doctor_host.c \
	cli/doctor_json.c \
	cli/doctor_judge.c \
	cli/doctor_judge_files.c \
	cli/doctor_text.c \
	cli/identity.c \
	cli/list.c \
	cli/main.c \
	cli/metrics.c \
	cli/metrics_each.c \
	cli/metrics_source.c \
	cli/metrics_table.c \
	cli/metrics_write.c \
	cli/process.c \
	cli/records.c \
	cli/safe.c \
	cli/status.c \
	cli/status_filter.c \
	cli/status_json.c \
	cli/status_read.c \
	cli/status_text.c \
	cli/tail.c \
	cli/textbuf.c \
	loader/btf.c \
	loader/features.c \
	loader/instance.c \
	loader/nat.c \
	loader/object.c \
	loader/plan.c \
	loader/procfs.c \
	loader/tracer.c
conntrace_LIB := -lmsgpackc -lcap $(LIBBPF)

conntrace-tuf_SRC := $(TUF) $(TUF_VERIFY) \
	common/io.c \
	common/log.c \
	common/wholefile.c \
	tuf/client.c \
	tuf/fetch.c \
	tuf/main.c
conntrace-tuf_LIB := $(TUF_LIB) -lcurl

conntrace-repo_SRC := $(TUF) $(TUF_VERIFY) \
	common/io.c \
	common/log.c \
	common/wholefile.c \
	repo/content.c \
	repo/follow.c \
	repo/keyring.c \
	repo/main.c \
	repo/publish.c \
	repo/setup.c \
	repo/sign.c \
	repo/workspace.c
conntrace-repo_LIB := $(TUF_LIB)

# For people, in bin; what conntraced starts, in libexec/conntrace.
TOOLS := \
	conntrace \
	conntrace-repo \
	conntrace-tuf
CHILDREN := \
	conntrace-exporter \
	conntrace-loader \
	conntrace-poller \
	conntrace-verifier
PROGRAMS := conntraced $(TOOLS) $(CHILDREN)
BPF_OBJECTS := tracer-fentry tracer-kprobe tracer-tracepoint

# --- what each test links ------------------------------------------------------------------------

# The state machine with forged signatures.
TUF_STUBBED := $(TUF) tests/tuf/forge.c tests/tuf/stub.c

# With tests/tuf/scarce.c, whose allocations can fail.
SCARCE_FLAGS := -Wl,--wrap=malloc,--wrap=calloc

# tests/unit/test_X.c: what it tests in test_X_SRC, libraries beside cmocka in test_X_LIB.
# What a message's fds are taken from, and so what goes with them.
DISPATCH := common/dispatch.c common/msg.c common/msgfmt.c common/proto.c
UNIT_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
test_btf_SRC := loader/btf.c loader/object.c
test_btf_LIB := $(LIBBPF)
test_cgroup_cache_SRC := record/cgroup_cache.c common/pages.c
test_cgroup_name_SRC := record/cgroup_name.c
test_cgroups_SRC := $(CGROUPS)
test_bundle_SRC := common/bundle.c
test_budget_SRC := common/config.c
test_chan_SRC := common/chan.c
test_child_SRC := common/chan.c common/child.c common/log.c common/loop.c common/privs.c common/seccomp.c \
	$(DISPATCH)
test_child_LIB := -lmsgpackc -lcap
test_clients_SRC := exporter/clients.c exporter/live.c common/pages.c common/chan.c common/loop.c \
	common/msg.c common/msgfmt.c common/proto.c
test_clients_LIB := -lmsgpackc
test_config_SRC := common/config.c
test_config_value_SRC := cli/config_value.c $(SCHEMA) common/config.c
test_config_value_LIB := -lyaml
test_decode_SRC := record/decode.c record/names.c
test_dispatch_SRC := $(DISPATCH)
test_ending_SRC := record/ending.c
test_dispatch_LIB := -lmsgpackc
test_due_SRC := poller/due.c poller/schedule.c
test_doctor_judge_SRC := cli/doctor_judge.c cli/doctor_judge_files.c common/config.c \
	common/dispatch.c common/msg.c common/msgfmt.c common/privs.c common/proto.c loader/plan.c \
	loader/tracer.c
test_doctor_judge_LIB := -lcap -lmsgpackc
test_exporter_sandbox_SRC := exporter/sandbox.c common/landlock.c common/seccomp.c
test_handover_SRC := loader/handover.c loader/plan.c loader/tracer.c $(DISPATCH)
test_handover_LIB := -Wl,--wrap=bpf_obj_get_info_by_fd -lmsgpackc $(LIBBPF)
test_inherit_SRC := supervisor/inherit.c common/spawn.c common/chan.c common/log.c
test_instance_SRC := loader/instance.c common/config.c
test_json_SRC := common/jsonbuf.c record/cgroup_name.c record/ending.c record/json.c record/names.c
test_keep_SRC := common/counters.c supervisor/custody.c supervisor/inherit.c supervisor/keep.c \
	supervisor/notify.c common/spawn.c common/chan.c common/io.c common/log.c common/memfd.c $(DISPATCH)
test_keep_LIB := -Wl,--wrap=readlink -lmsgpackc
test_last_words_SRC := supervisor/last_words.c common/proto.c
test_life_SRC := supervisor/life.c
test_loader_sandbox_SRC := loader/sandbox.c common/landlock.c common/privs.c
test_loader_sandbox_LIB := -lcap $(LIBBPF)
test_log_SRC := common/log.c
test_loss_SRC := exporter/loss.c
test_marker_SRC := common/jsonbuf.c exporter/loss.c exporter/marker.c record/names.c record/table.c
test_manager_SRC := loader/manager.c loader/plan.c loader/procfs.c loader/tracer.c $(DISPATCH)
test_manager_LIB := -lmsgpackc $(LIBBPF)
test_memfd_SRC := common/io.c common/memfd.c
test_metrics_SRC := cli/metrics_each.c cli/metrics_source.c cli/metrics_table.c cli/metrics_write.c \
	cli/safe.c cli/status_filter.c cli/status_read.c cli/textbuf.c common/config.c \
	common/log.c common/proto.c common/stats.c common/words.c exporter/loss.c
test_msg_SRC := common/msg.c common/msgfmt.c common/proto.c
test_msg_LIB := -lmsgpackc
test_msgfmt_SRC := common/msgfmt.c
test_msgfmt_LIB := -lmsgpackc
test_nat_SRC := exporter/nat.c exporter/nat_cache.c exporter/nat_parse.c common/pages.c \
	common/loop.c
test_nat_LIB := -lnl-3
test_nat_cache_SRC := exporter/nat_cache.c common/pages.c
test_nat_parse_SRC := exporter/nat_parse.c
test_nat_parse_LIB := -lnl-3
test_object_SRC := loader/object.c
test_plan_SRC := loader/plan.c loader/tracer.c $(DISPATCH)
test_plan_LIB := -lmsgpackc
test_procfs_SRC := loader/procfs.c
test_rc_SRC := $(RC) $(TUF) $(TUF_VERIFY) tests/tuf/agent.c tests/tuf/sign.c
test_rc_LIB := $(TUF_LIB)
test_rc_versions_SRC := $(test_rc_SRC)
test_rc_versions_LIB := $(TUF_LIB)
test_rc_parts_SRC := rc/base64.c rc/path.c tuf/names.c
test_rc_parts_LIB := -lcrypto
test_rc_memory_SRC := $(test_rc_SRC) tests/tuf/scarce.c
test_rc_memory_LIB := $(TUF_LIB) $(SCARCE_FLAGS)
test_rc_shelf_SRC := $(test_rc_SRC) common/bundle.c rc/shelf.c tuf/stock.c
test_rc_shelf_LIB := $(TUF_LIB)
test_ring_SRC := exporter/ring.c
test_probation_SRC := supervisor/probation.c
# All but main() and what it opens.
test_pump_SRC := $(RECORD) common/chan.c common/counters.c common/log.c common/loop.c common/msg.c \
	common/msgfmt.c common/proto.c exporter/clients.c exporter/live.c exporter/loss.c \
	exporter/marker.c exporter/nat.c exporter/nat_cache.c exporter/nat_parse.c exporter/pump.c \
	exporter/ring.c exporter/sink.c
test_pump_LIB := -lmsgpackc -lnl-3
test_rate_SRC := supervisor/rate.c
test_schedule_SRC := poller/schedule.c
test_schema_SRC := $(SCHEMA) common/config.c
test_schema_LIB := -lyaml
test_seccomp_SRC := common/seccomp.c
test_settings_SRC := common/grace.c loader/settings.c common/config.c
test_signed_rc_SRC := $(test_rc_shelf_SRC) verifier/outcome.c verifier/signed_rc.c
test_signed_rc_LIB := $(TUF_LIB)
test_sink_SRC := exporter/sink.c
test_source_dir_SRC := common/fnv.c poller/source.c poller/source_dir.c
test_source_json_SRC := common/jsonbuf.c common/put.c common/source_json.c common/words.c
test_source_json_LIB := -lcap -ljansson
test_spawn_SRC := common/spawn.c common/chan.c
test_store_SRC := supervisor/store.c common/bundle.c common/io.c common/log.c common/memfd.c \
	common/wholefile.c
test_status_filter_SRC := cli/status_filter.c cli/textbuf.c $(SCHEMA) common/config.c
test_status_filter_LIB := -lyaml
test_store_faults_SRC := $(test_store_SRC)
test_store_faults_LIB := -Wl,--wrap=openat,--wrap=read,--wrap=write,--wrap=fsync,--wrap=close \
	-Wl,--wrap=unlinkat,--wrap=renameat
test_table_SRC := record/names.c record/table.c
test_table_live_SRC := exporter/live.c common/pages.c
test_tuf_SRC := $(TUF_STUBBED)
test_tuf_LIB := $(TUF_LIB)
test_tuf_json_SRC := tuf/canonical.c tuf/json.c tuf/result.c
test_tuf_json_LIB := -ljansson
test_tuf_memory_SRC := $(TUF_STUBBED) tests/tuf/scarce.c
test_tuf_memory_LIB := $(TUF_LIB) $(SCARCE_FLAGS)
test_tuf_names_SRC := tuf/digest.c tuf/json.c tuf/names.c tuf/pattern.c tuf/result.c tuf/time.c
test_tuf_names_LIB := $(TUF_LIB)
test_verifier_sandbox_SRC := verifier/sandbox.c common/landlock.c
test_verdict_SRC := common/log.c supervisor/verdict.c
test_walk_SRC := common/loop.c loader/walk.c
test_walk_LIB := $(LIBBPF)
test_wholefile_SRC := common/io.c common/wholefile.c
test_room_SRC := common/counters.c common/grace.c loader/room.c loader/settings.c
test_unseen_SRC := common/counters.c loader/unseen.c
test_tracer_SRC := loader/tracer.c common/config.c $(DISPATCH)
test_tracer_LIB := -lmsgpackc $(LIBBPF)

# tests/fuzz/fuzz_X.c, its seeds in tests/fuzz/corpus/X/: fuzz_X_SRC and fuzz_X_LIB.
FUZZ_HARNESSES := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_bundle_SRC := common/bundle.c tuf/digest.c tuf/json.c tuf/result.c tuf/stock.c
fuzz_bundle_LIB := $(TUF_LIB)
fuzz_canonical_SRC := tuf/canonical.c tuf/json.c tuf/result.c
fuzz_canonical_LIB := -ljansson
fuzz_rc_SRC := $(RC) $(TUF_STUBBED)
fuzz_rc_LIB := $(TUF_LIB)
fuzz_signed_SRC := $(RC) $(TUF_STUBBED) rc/shelf.c common/bundle.c tuf/stock.c verifier/outcome.c \
	verifier/signed.c verifier/signed_rc.c
fuzz_signed_LIB := $(TUF_LIB)
fuzz_tuf_SRC := $(TUF_STUBBED)
fuzz_tuf_LIB := $(TUF_LIB)
fuzz_cgroup_SRC := common/jsonbuf.c record/cgroup_name.c record/ending.c record/json.c record/names.c
fuzz_config_SRC := $(SCHEMA) common/config.c common/msg.c common/msgfmt.c common/proto.c
fuzz_config_LIB := -lyaml -lmsgpackc
fuzz_msg_SRC := common/msg.c common/msgfmt.c common/proto.c
fuzz_msg_LIB := -lmsgpackc
fuzz_decode_SRC := common/jsonbuf.c record/cgroup_name.c record/decode.c record/ending.c \
	record/json.c record/names.c record/table.c
fuzz_nat_SRC := common/jsonbuf.c common/pages.c exporter/nat_cache.c exporter/nat_parse.c \
	record/cgroup_name.c record/ending.c record/json.c record/names.c
fuzz_nat_LIB := -lnl-3

conngen_SRC := $(wildcard tests/bench/conngen*.c)
dgramgen_SRC := tests/bench/dgramgen.c
# What makes traffic, and counts it.
GENERATORS := $(O)/bench/conngen $(O)/bench/dgramgen

fleet_SRC := tests/bench/fleet.c poller/due.c poller/schedule.c

canonical_SRC := tests/tuf/canonical.c tuf/canonical.c tuf/digest.c tuf/json.c tuf/result.c

features_SRC := tests/matrix/features.c common/privs.c loader/features.c loader/procfs.c
features_LIB := -lcap $(LIBBPF)

# --- rules --------------------------------------------------------------------------------------

PROGRAM_FILES := $(PROGRAMS:%=$(O)/bin/%)
OBJECT_FILES  := $(BPF_OBJECTS:%=$(O)/share/%.bpf.o)
UNIT_FILES    := $(UNIT_TESTS:%=$(O)/test/%)
REPLAY_FILES  := $(FUZZ_HARNESSES:fuzz_%=$(O)/test/replay_%)

.PHONY: all signer btf-archive arm run check check-matrix check-arm64 check-package mutations soak tests replays chaos bench bench-load \
	bench-scale bench-fleet features fuzz lint format docs san man install \
	dist deb rpm clean help
.DELETE_ON_ERROR:

all: $(PROGRAM_FILES) $(OBJECT_FILES) ## build every program and BPF object (the default)

define program
$(O)/bin/$(1): $$($(1)_SRC:%.c=$(O)/obj/%.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,LINK,$$@)
	$$(Q)$$(LINK) -o $$@ $$^ $$($(1)_LIB)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

define unit_test
$(O)/test/$(1): $$(patsubst %.c,$(O)/obj/%.o,tests/unit/$(1).c $$($(1)_SRC))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(LINK) -o $$@ $$^ -lcmocka $$($(1)_LIB)
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_test,$(t))))
# Not linked, but read: the table of the tracers is compared with them.
$(O)/test/test_tracer: | $(OBJECT_FILES)

# A harness twice: with a main that replays files (part of check), and with libFuzzer's.
define fuzz_harness
$(O)/test/$(1:fuzz_%=replay_%): $$(patsubst %.c,$(O)/obj/%.o,tests/fuzz/$(1).c tests/fuzz/replay.c \
		$$($(1)_SRC))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(LINK) -o $$@ $$^ $$($(1)_LIB)

$(O)/fuzz/$(1): tests/fuzz/$(1).c $$($(1)_SRC)
	@mkdir -p $$(@D)
	$$(call say,FUZZ,$$@)
	$$(Q)$$(CLANG) $$(DEFINES) -std=gnu17 -O1 -g -fno-omit-frame-pointer \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -MMD -MP -MF $$@.d \
		-MT $$@ -o $$@ $$(filter %.c,$$^) $$($(1)_LIB)
endef
$(foreach f,$(FUZZ_HARNESSES),$(eval $(call fuzz_harness,$(f))))

$(O)/bench/conngen: $(conngen_SRC:%.c=$(O)/obj/%.o)
$(O)/bench/dgramgen: $(dgramgen_SRC:%.c=$(O)/obj/%.o)
$(GENERATORS):
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -pthread -o $@ $^

$(O)/bench/fleet: $(fleet_SRC:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^

$(O)/test/features: $(features_SRC:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(features_LIB)

$(O)/test/canonical: $(canonical_SRC:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(TUF_LIB)

$(O)/obj/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

# Other flags than the last time build everything anew.
ifneq ($(filter-out clean help format,$(or $(MAKECMDGOALS),all)),)
ifneq ($(file <$(O)/flags),$(COMPILE) $(LINK))
$(shell mkdir -p $(O))
$(file >$(O)/flags,$(COMPILE) $(LINK))
endif
endif
$(O)/flags:

# Registers have other names on each; only the kprobe tracer looks at them.
BPF_ARCH := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(MACHINE)))

# No header of the build machine's kernel: bpf/kernel.h names what is used, CO-RE finds it.
# An object as an exporter of another version would have it: what is written with it is refused.
FOREIGN_OBJECT := $(O)/test/foreign/tracer-tracepoint.bpf.o
$(FOREIGN_OBJECT): BPF_DEFINES := -DEVENT_VERSION=99u

define bpf_object =
	@mkdir -p $(@D) $(O)/obj/bpf
	@rm -f $@
	$(call say,BPF,$@)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -I. -D__TARGET_ARCH_$(BPF_ARCH) $(BPF_DEFINES) \
		-ffile-prefix-map=$(CURDIR)=. -Wall -Wextra -Werror -MMD -MP \
		-MF $(O)/obj/bpf/$(subst /,_,$@).d -MT $@ -c -o $@ $<
	$(Q)$(STRIP) -g $@
endef

$(O)/share/%.bpf.o: bpf/%.bpf.c
	$(bpf_object)

$(O)/test/foreign/%.bpf.o: bpf/%.bpf.c
	$(bpf_object)

KERNELS :=
btf-archive: $(OBJECT_FILES) ## minimised BTF, for kernels without their own: KERNELS=NAME=PATH...
	$(call say,BTF,$(O)/share/btf)
	$(Q)packaging/btf-archive --objects $(O)/share $(KERNELS)
	$(Q)test "$$(id -u)" != 0 || chown 0:0 $(O)/share/btf/*.btf

ARCHIVE_FILES = $(wildcard $(O)/share/btf/*.btf)

-include $(shell find $(O)/obj $(O)/fuzz -name '*.d' 2>/dev/null)

# --- running ------------------------------------------------------------------------------------

# NAT=1: whatever is armed, run or installed may tell of address translation.
NAT :=
ARM_NAT := $(if $(NAT),--nat)

arm: all ## give the built loader its file capabilities (root, or sudo); NAT=1: one more, for nat
	packaging/dev/arm $(ARM_NAT) $(O)/bin/conntrace-loader $(OBJECT_FILES) $(ARCHIVE_FILES)

# A run's configuration: a table on the terminal, or JSON lines to RECORDS; the shell that opens
# RECORDS has the rights of who runs make, conntraced has not.
RUN_FORMAT := $(if $(RECORDS),json,table)
define RUN_CONFIG
output: {format: $(RUN_FORMAT), path: "-"}
records: {open: true}
$(if $(NAT),nat: true)
snapshot_interval: 1s
$(if $(SOURCE),source: {dir: '$(subst ','',$(SOURCE_DIR))'$(comma) interval: 1s})
endef
comma := ,
SOURCE_DIR = $(if $(filter /%,$(SOURCE)),$(SOURCE),$(CURDIR)/$(SOURCE))

run: export RUN_CONFIG := $(RUN_CONFIG)
run: ## trace this host in the foreground: a table, or RECORDS=FILE; SOURCE=DIR of configuration; NAT=1
	@./bootstrap deps run
	+@$(SUBMAKE) arm
	@mkdir -p $(O)/run
	@printf '%s\n' "$$RUN_CONFIG" >$(O)/run/conntrace.yaml
	@exec packaging/dev/foreground $(O)/bin/conntraced --config $(O)/run/conntrace.yaml \
		$(if $(RECORDS),>>"$$RECORDS")

# --- testing ------------------------------------------------------------------------------------

tests: $(UNIT_FILES) $(FOREIGN_OBJECT) $(GENERATORS) $(O)/test/canonical

replays: $(REPLAY_FILES)

# npm's packages for tests/tuf/signer.js, of exactly the versions and hashes in the lock file.
SIGNER := $(O)/node/node_modules/.package-lock.json
signer: $(SIGNER) ## fetch what the tests of signed configuration compare with
$(SIGNER): tests/tuf/package-lock.json tests/tuf/package.json
	@mkdir -p $(O)/node
	$(call say,NPM,$@)
	$(Q)cp $^ $(O)/node/
	$(Q)cd $(O)/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	$(Q)touch $@

check: ## install what the tests need, build, run every test
	@./bootstrap deps check
	+@$(SUBMAKE) arm tests signer
	+@$(SUBMAKE) SAN=1 O=$(O)/san $(UNIT_FILES:$(O)/%=$(O)/san/%) replays
	@exec tests/run --build $(O)

check-matrix: ## the end-to-end tests on Debian's kernels, in emulated machines; part of check
	@./bootstrap deps check
	+@$(SUBMAKE) all $(GENERATORS)
	@exec tests/run --build $(O) matrix

# Of Debian 12, wherever this is built: what the guests run, and what is linked.
check-arm64: ## unit tests and end to end on Debian's kernels for arm64, emulated; not part of check
	@./bootstrap deps arm64
	+@sysroot=$$(tests/matrix/sysroot.py) && $(SUBMAKE) CROSS_COMPILE=aarch64-linux-gnu- \
		SYSROOT=$$sysroot O=$(O)/aarch64 all tests
	@exec tests/run --build $(O)/aarch64 arm64

chaos: ## kill, stop, reload, fill and exhaust at random, under load: CHAOS="--seconds N --seed N"
	@./bootstrap deps check
	+@$(SUBMAKE) arm $(GENERATORS)
	@exec python3 tests/e2e/chaos.py $(CHAOS)

mutations: ## take each protection, each count away once and see a test fail: an hour, root; not part of check
	@./bootstrap deps check
	+@$(SUBMAKE) all
	@exec tests/mutations/run --build $(O) $(MUTATIONS)

soak: ## a long time under a steady load: what each process takes, begin and end: SOAK="--seconds N --rate N"
	@./bootstrap deps check
	+@$(SUBMAKE) arm $(O)/bench/conngen
	@exec python3 tests/e2e/soak.py $(SOAK)

check-package: ## the Debian package in an emulated Debian 12: 5 to 10 minutes, root; not part of check
	@./bootstrap deps package
	+@$(SUBMAKE) $(GENERATORS) $(O)/bin/conntrace-repo dist
	@exec tests/run --build $(O) package

bench: ## what tracing costs, beside tcplife; BENCH= its options
	@./bootstrap deps check
	+@$(SUBMAKE) arm $(GENERATORS)
	@exec python3 tests/bench/bench.py --bin $(O)/bin --conngen $(O)/bench/conngen $(BENCH)

bench-load: ## a million connections in open loop: what is held, what is told missing; BENCH=
	@./bootstrap deps check
	+@$(SUBMAKE) arm $(GENERATORS)
	@O=$(O) exec python3 tests/bench/load.py $(BENCH)

bench-scale: ## what 100,000 idle connections cost, and what they do to others; BENCH=
	@./bootstrap deps check
	+@$(SUBMAKE) arm $(GENERATORS)
	@O=$(O) exec python3 tests/bench/scale.py $(BENCH)

bench-fleet: ## a fleet that polls: requests and bytes of a host, 100,000 of them simulated; BENCH=
	@./bootstrap deps check
	+@$(SUBMAKE) arm $(O)/bench/fleet
	@O=$(O) exec python3 tests/bench/fleet.py $(BENCH)

# New inputs stay under $(O): the ones worth keeping are copied to tests/fuzz/corpus by hand.
SECONDS := 60
FUZZ    := $(FUZZ_HARNESSES:fuzz_%=%)
fuzz: $(FUZZ:%=$(O)/fuzz/fuzz_%) ## look for inputs that break a parser: FUZZ=NAMES, SECONDS=60 for each
	@set -e; for name in $(FUZZ); do \
		mkdir -p $(O)/fuzz/corpus/$$name; \
		$(O)/fuzz/fuzz_$$name -max_total_time=$(SECONDS) -timeout=10 -print_final_stats=1 \
			-artifact_prefix=$(O)/fuzz/$$name- $(O)/fuzz/corpus/$$name tests/fuzz/corpus/$$name; \
	done

features: $(O)/test/features ## record what each kernel of the matrix offers, for test_plan
	$(call say,RUN,tests/matrix/record)
	$(Q)tests/matrix/record --build $(O) >$(O)/features_debian.h
	$(Q)cp $(O)/features_debian.h tests/unit/features_debian.h

lint: ## format, licences, static analysis
	@./bootstrap deps check
	@exec tests/lint

C_FILES = $(shell git ls-files '*.c' '*.h')
format: ## put every C file into the house's format
	clang-format -i $(C_FILES)

$(O)/docs/messages: $(O)/obj/docs/messages.o $(O)/obj/common/proto.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^

docs: $(O)/docs/messages ## write what of the documentation comes from the source
	$(call say,DOC,docs/messages.md)
	$(Q)$< >$(O)/docs/messages.md
	$(Q)cp $(O)/docs/messages.md docs/messages.md

san: ## everything with AddressSanitizer and UBSan, in $(O)/san
	+@$(SUBMAKE) SAN=1 O=$(O)/san all tests replays

# --- installing ---------------------------------------------------------------------------------

# Pages written for a reader of man(1); the others are made of docs/, so that they say the same.
MAN_PAGES := $(wildcard packaging/man/*.[1-8]) \
	$(O)/man/conntrace.yaml.5 \
	$(O)/man/conntrace-records.5 \
	$(O)/man/conntrace-metrics.5

$(O)/man/conntrace.yaml.5: docs/configuration.md
$(O)/man/conntrace-records.5: docs/record.md
$(O)/man/conntrace-metrics.5: docs/metrics.md
$(O)/man/%.5: docs/mdoc
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)docs/mdoc $* $(filter %.md,$^) >$@

man: $(MAN_PAGES) ## the manual pages that are made of docs/

SYSTEMD := $(PREFIX)/lib/systemd/system
DOC     := $(PREFIX)/share/doc/conntrace

# What is installed as it is but for the paths in it: file:where.
TEXTS := \
	packaging/systemd/conntraced.service:$(SYSTEMD)/conntraced.service \
	packaging/systemd/conntrace-logrotate.service:$(SYSTEMD)/conntrace-logrotate.service \
	packaging/systemd/conntrace-logrotate.timer:$(SYSTEMD)/conntrace-logrotate.timer \
	packaging/systemd/sysusers.conf:$(PREFIX)/lib/sysusers.d/conntrace.conf \
	packaging/systemd/tmpfiles.conf:$(PREFIX)/lib/tmpfiles.d/conntrace.conf \
	packaging/logrotate/conntrace:/etc/logrotate.d/conntrace \
	packaging/completion/conntrace:$(PREFIX)/share/bash-completion/completions/conntrace \
	packaging/completion/conntraced:$(PREFIX)/share/bash-completion/completions/conntraced \
	packaging/systemd/nat.conf:$(DOC)/examples/nat.conf \
	packaging/systemd/remote.conf:$(DOC)/examples/remote.conf \
	packaging/systemd/conntrace-metrics.service:$(DOC)/examples/conntrace-metrics.service \
	packaging/systemd/conntrace-metrics.timer:$(DOC)/examples/conntrace-metrics.timer \
	README.md:$(DOC)/README.md \
	$(foreach page,$(wildcard docs/*.md),$(page):$(DOC)/$(page)) \
	$(foreach page,$(MAN_PAGES),$(page):$(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

# Empty: leave owner and capabilities to who packs the files.
ARM := yes

install: all man ## install into DESTDIR/PREFIX (PREFIX=/usr); owner and capabilities only as root
	@for btf in $(ARCHIVE_FILES); do \
		test -z "$$(find $(OBJECT_FILES) -newer $$btf)" || { \
			echo "$$btf is older than the BPF objects, which may read more than it has:" \
				"make btf-archive again, or remove it" >&2; \
			exit 1; \
		}; \
	done
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) \
		$(DESTDIR)$(OBJECTDIR) $(DESTDIR)/etc/conntrace
	install -m 0755 $(TOOLS:%=$(O)/bin/%) $(DESTDIR)$(PREFIX)/bin/
	install -m 0755 $(O)/bin/conntraced $(DESTDIR)$(SBINDIR)/
	install -m 0755 $(CHILDREN:%=$(O)/bin/%) $(DESTDIR)$(LIBEXECDIR)/
	install -m 0644 $(OBJECT_FILES) $(DESTDIR)$(OBJECTDIR)/
	rm -f $(DESTDIR)$(OBJECTDIR)/btf/*.btf # those of other objects
	$(if $(ARCHIVE_FILES),install -D -m 0644 -t $(DESTDIR)$(OBJECTDIR)/btf $(ARCHIVE_FILES))
	set -e; for text in $(TEXTS); do \
		install -D -m 0644 "$${text%%:*}" "$(DESTDIR)$${text#*:}"; \
	done
	sed -i 's|/usr/sbin/conntraced|$(SBINDIR)/conntraced|' $(DESTDIR)$(SYSTEMD)/conntraced.service
	test -e $(DESTDIR)/etc/conntrace/conntrace.yaml || \
		install -m 0644 packaging/etc/conntrace.yaml $(DESTDIR)/etc/conntrace/
	test "$$(id -u)" != 0 -o -z "$(ARM)" || packaging/dev/arm $(ARM_NAT) $(DESTDIR)$(LIBEXECDIR)/conntrace-loader \
		$(BPF_OBJECTS:%=$(DESTDIR)$(OBJECTDIR)/%.bpf.o) \
		$(ARCHIVE_FILES:$(O)/share/%=$(DESTDIR)$(OBJECTDIR)/%)

# --- packing -----------------------------------------------------------------------------------

DIST    := $(O)/dist
RELEASE := conntrace-$(VERSION)
TARBALL := $(DIST)/$(RELEASE).tar.gz

dist: ## the source tarball, in O/dist
	@mkdir -p $(DIST)
	$(call say,TAR,$(TARBALL))
	$(Q){ git ls-files 2>/dev/null || find . -path ./$(O) -prune -o -type f -printf '%P\n'; } | \
		tar --create --files-from=- --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 \
			--numeric-owner --mode=a+rX,u+w,go-w --transform='s|^|$(RELEASE)/|' | \
		gzip -9n >$(TARBALL).new
	$(Q)mv $(TARBALL).new $(TARBALL)

# Both are built of the tarball, in a directory of their own.
deb: dist ## the Debian package, its SBOM and checksum, in O/dist
	@./bootstrap deps deb
	rm -f $(DIST)/*.deb
	packaging/build-deb $(TARBALL) $(O)/deb $(DIST)
	packaging/sbom $(DIST)/*.deb

rpm: dist ## the RPM, its SBOM and checksum, in O/dist
	@./bootstrap deps rpm
	rm -f $(DIST)/*.rpm
	packaging/build-rpm $(TARBALL) $(O)/rpm $(DIST)
	packaging/sbom $(DIST)/*.rpm

clean: ## remove what was built
	rm -rf $(O)

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | sort | expand -t 14
