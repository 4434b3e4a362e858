# Merpati: make, make check, make lint, make install. No configure step on Linux.
#
# A folder that holds main() of one process is a program of the folder's name;
# what programs share is in lib/, built into one archive. The lists are found by
# looking, so a new module needs no line here.

CC      ?= cc
BUILD   ?= build
PREFIX  ?= /usr/local
SYSCONFDIR ?= /etc
LOCALSTATEDIR ?= /var
DESTDIR ?=

DAEMONS := $(sort $(patsubst %/DESIGN,%,$(wildcard */DESIGN)))
# A folder without sources yet (its DESIGN says what it waits for) makes no program.
DAEMONS := $(foreach d,$(DAEMONS),$(if $(wildcard $(d)/*.c),$(d)))
TOOLS   := $(sort $(patsubst cli/%/,%,$(dir $(wildcard cli/*/main.c))))

STD      := -std=c17 -D_GNU_SOURCE
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wformat=2 -Wcast-qual -Wimplicit-fallthrough -Wframe-larger-than=8192 -Werror
HARDEN   := -fPIE -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero \
            -fno-delete-null-pointer-checks -fno-strict-overflow
LINK     := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code,--as-needed
OPTIMISE := -O2 -D_FORTIFY_SOURCE=2
# clang 14 wants the option below confirmed by this one; later versions ignore it.
ifneq ($(findstring clang,$(CC)),)
HARDEN   += -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
endif
ifeq ($(shell uname -m),x86_64)
HARDEN   += -fcf-protection=branch
endif
ifneq ($(SANITIZE),)
BUILD    := $(BUILD)-san
# The sanitizers' red zones count as part of a frame.
OPTIMISE := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
            -Wno-frame-larger-than
LINK     += -fsanitize=address,undefined
endif
CFLAGS  ?= -g
ALL_CFLAGS = $(STD) $(WARN) $(HARDEN) $(OPTIMISE) $(CFLAGS) -I. -MMD -MP
LIBS    := -lcdb -lpcre2-8 -lseccomp -lcrypt -lxxhash -lunbound

LIB_SRC  := $(filter-out %_blocking.c,$(sort $(wildcard lib/*/*.c)))
# The blocking implementation of the waits, for workers, tools and tests.
BLK_SRC  := $(sort $(wildcard lib/*/*_blocking.c))
CO_SRC   := $(filter %_co.c,$(LIB_SRC))
LIB_SRC  := $(filter-out $(CO_SRC),$(LIB_SRC))
LIB      := $(BUILD)/libmerpati.a
# Exactly one of these two is linked: it decides how waiting is done (lib/io/wait.h).
WAIT_CO  := $(BUILD)/libwait-co.a
WAIT_BLK := $(BUILD)/libwait-blocking.a

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# Session hosts wait by coroutine, everything else blocks.
SESSION_HOSTS := smtpd smtp pop3d
wait_lib = $(if $(filter $(1),$(SESSION_HOSTS)),$(WAIT_CO),$(WAIT_BLK))

DAEMON_BIN := $(addprefix $(BUILD)/libexec/,$(DAEMONS))
TOOL_BIN   := $(addprefix $(BUILD)/bin/,$(TOOLS))

.PHONY: all check check-unit check-arch check-system lint fuzz-quick man install clean
all: $(DAEMON_BIN) $(TOOL_BIN) $(BUILD)/bin/.names

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "CC $<"
	@$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(LIB): $(call obj,$(LIB_SRC))
	@mkdir -p $(@D)
	@rm -f $@ && ar rcs $@ $^
$(WAIT_CO): $(call obj,$(CO_SRC))
	@rm -f $@ && ar rcs $@ $^
$(WAIT_BLK): $(call obj,$(BLK_SRC))
	@rm -f $@ && ar rcs $@ $^

define program # name, sources, where
$(3)/$(1): $(call obj,$(2)) $(LIB) $(call wait_lib,$(1))
	@mkdir -p $$(@D)
	@echo "LINK $$@"
	@$(CC) $$(ALL_CFLAGS) $(LINK) -o $$@ $(call obj,$(2)) -Wl,--start-group $(LIB) $(call wait_lib,$(1)) -Wl,--end-group $(LIBS)
endef
$(foreach d,$(DAEMONS),$(eval $(call program,$(d),$(sort $(wildcard $(d)/*.c)),$(BUILD)/libexec)))
$(foreach t,$(TOOLS),$(eval $(call program,$(t),$(sort $(wildcard cli/$(t)/*.c)),$(BUILD)/bin)))

# Names that hands know: links to the program that does their work (cli/names: "name program").
$(BUILD)/bin/.names: $(wildcard cli/names) $(TOOL_BIN)
	@mkdir -p $(@D)
	@if [ -f cli/names ]; then while read -r name program; do ln -sf "$$program" "$(BUILD)/bin/$$name"; done < cli/names; fi
	@touch $@

# --- tests -------------------------------------------------------------------
UNIT_SRC := $(sort $(wildcard tests/unit/*/*_test.c))
UNIT_BIN := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SRC))
# A unit test of a daemon's own module links that daemon's objects but its main.
unit_dir = $(firstword $(subst /, ,$(patsubst tests/unit/%,%,$(1))))
unit_objs = $(call obj,$(filter-out %/main.c,$(wildcard $(call unit_dir,$(1))/*.c) $(wildcard cli/$(call unit_dir,$(1))/*.c)))
# tests/unit/<dir>/<name>_co_test.c runs on coroutines, every other test on the blocking waits.
unit_wait = $(if $(filter %_co_test.c,$(1)),$(WAIT_CO),$(WAIT_BLK))

define unit_test
$(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(1)): $(call obj,$(1)) $(call unit_objs,$(1)) $(LIB) $(call unit_wait,$(1))
	@mkdir -p $$(@D)
	@echo "LINK $$@"
	@$(CC) $$(ALL_CFLAGS) $(LINK) -o $$@ $(call obj,$(1)) $(call unit_objs,$(1)) -Wl,--start-group $(LIB) $(call unit_wait,$(1)) -Wl,--end-group $(LIBS) -lcriterion
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_test,$(t))))

# Programs that stand in for real ones in tests; <name>_host.c waits on coroutines.
HELPERS := $(patsubst tests/helpers/%.c,%,$(wildcard tests/helpers/*.c))
HELPER_BIN := $(addprefix $(BUILD)/tests/helpers/,$(HELPERS))
define helper
$(BUILD)/tests/helpers/$(1): $(call obj,tests/helpers/$(1).c) $(LIB) $(if $(filter %_host,$(1)),$(WAIT_CO),$(WAIT_BLK))
	@mkdir -p $$(@D)
	@echo "LINK $$@"
	@$(CC) $$(ALL_CFLAGS) $(LINK) -o $$@ $(call obj,tests/helpers/$(1).c) -Wl,--start-group $(LIB) $(if $(filter %_host,$(1)),$(WAIT_CO),$(WAIT_BLK)) -Wl,--end-group $(LIBS)
endef
$(foreach h,$(HELPERS),$(eval $(call helper,$(h))))

check-unit: $(UNIT_BIN)
	@tests/run-unit $(UNIT_BIN)

# The coroutine switch on other machines (qemu-user) and in its other variants.
check-arch:
	@tests/arch/run $(BUILD)

check-system: all $(HELPER_BIN)
	@tests/run-system $(BUILD)

check: all man check-unit $(HELPER_BIN)
	@tests/run-fuzz replay $(BUILD)
	@tests/run-system $(BUILD)

fuzz-quick:
	@tests/run-fuzz quick $(BUILD)

lint:
	@tests/lint/run

# Lists in the manual pages are printed by a program that knows the declarations.
$(eval $(call program,pages,docs/pages.c,$(BUILD)/docs))
man: $(BUILD)/docs/pages
	@$(MAKE) --no-print-directory -C docs man BUILD=$(abspath $(BUILD))

# --- installation --------------------------------------------------------------
install: all man
	@packaging/install "$(BUILD)" "$(DESTDIR)" "$(PREFIX)" "$(SYSCONFDIR)" "$(LOCALSTATEDIR)"

clean:
	rm -rf build build-*

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
