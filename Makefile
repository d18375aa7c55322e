# reef_fdw: built with PGXS.
#
#	make [WERROR=1]			the extension
#	make install
#	make unit [TEST=name]	the unit tests, under ASan and UBSan
#	make sim [SIM_SANITIZE=1]	the simulator (test/sim/run.sh runs it)
#	make lint				the house rules
#	make dead-code			functions that nothing calls
#	make format-check		what clang-format would change (advisory)
#
# BUILD=dir puts everything but the extension itself elsewhere than build/.

MODULE_big = reef_fdw
EXTENSION = reef_fdw
DATA = $(wildcard reef_fdw--*.sql)
PGFILEDESC = "reef_fdw - tables in object storage"

BUILD ?= build

# Layers, lowest first.  Everything below pg/ is compiled without PostgreSQL's
# include paths, so that a stray postgres.h there does not compile.
STRICT_SRCS = $(sort $(wildcard src/base/*.c src/format/*.c src/parquet/*.c))
CORE_SRCS = $(STRICT_SRCS) $(sort $(wildcard src/store/*.c src/engine/*.c))
GLUE_SRCS = $(sort $(wildcard src/pg/*.c))
TEST_SRCS = $(sort $(wildcard test/unit/*.c test/store/*.c))

CORE_OBJS = $(CORE_SRCS:.c=.o)
GLUE_OBJS = $(GLUE_SRCS:.c=.o)
OBJS = $(CORE_OBJS) $(GLUE_OBJS)

CORE_LIBS = -lzstd -llz4 -ljansson -lm \
	-lexpat $(if $(wildcard src/store/http.c),-lcurl) \
	$(if $(wildcard src/store/sign.c),-lcrypto)

# What every file is held to, over PostgreSQL's own flags.  Layers that read
# untrusted bytes may not convert integers silently either.
WARNINGS = -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition \
	-Wdeclaration-after-statement -Wvla -Wundef -Wwrite-strings -Wformat=2 \
	-Wcast-qual $(if $(WERROR),-Werror)
STRICT_WARNINGS = -Wconversion -Wsign-conversion

# PostgreSQL's flags are those of the compiler that it was built with.
ifneq (,$(findstring clang,$(CC)))
WARNINGS += -Wno-unknown-warning-option -Wno-ignored-optimization-argument
endif

override PG_CPPFLAGS += -Isrc
override PG_CFLAGS += $(WARNINGS) -MMD -MP
SHLIB_LINK = $(CORE_LIBS) -Wl,--version-script=src/pg/exports.map
EXTRA_CLEAN = $(BUILD) $(OBJS:.o=.d)

# No bitcode: it lets the JIT inline a module's SQL functions into expressions,
# and ours do I/O.  It would also make clang a build dependency.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS's CPPFLAGS without its include paths, and with them as system headers,
# whose warnings are not ours.
CORE_CPPFLAGS := $(PG_CPPFLAGS) $(filter-out -I%,$(CPPFLAGS))
GLUE_CPPFLAGS := $(patsubst -I/%,-isystem /%,$(CPPFLAGS))

$(CORE_OBJS): override CPPFLAGS := $(CORE_CPPFLAGS)
$(GLUE_OBJS): override CPPFLAGS := $(GLUE_CPPFLAGS)
$(GLUE_OBJS): override CFLAGS += -Wno-unused-parameter
$(STRICT_SRCS:.c=.o): override CFLAGS += $(STRICT_WARNINGS)
$(OBJS): Makefile
$(shlib): src/pg/exports.map

-include $(OBJS:.o=.d)

# The unit tests link against an archive of the core, so that a test of one
# module needs only what that module needs.
UNIT_DIR = $(BUILD)/unit
UNIT_CFLAGS = $(WARNINGS) -MMD -MP -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_LIB_OBJS = $(CORE_SRCS:%.c=$(UNIT_DIR)/%.o)
UNIT_TEST_OBJS = $(TEST_SRCS:%.c=$(UNIT_DIR)/%.o)

$(STRICT_SRCS:%.c=$(UNIT_DIR)/%.o): UNIT_CFLAGS += $(STRICT_WARNINGS)

$(UNIT_DIR)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) $(CORE_CPPFLAGS) -U_FORTIFY_SOURCE -Itest/unit -c -o $@ $<

# Made anew each time: ar would keep the members of files that are gone.
$(UNIT_DIR)/libreef.a: $(UNIT_LIB_OBJS)
	@rm -f $@
	$(AR) crs $@ $(UNIT_LIB_OBJS)

$(UNIT_DIR)/reef-unit: $(UNIT_TEST_OBJS) $(UNIT_DIR)/libreef.a
	$(CC) $(UNIT_CFLAGS) -o $@ $^ $(CORE_LIBS)

-include $(UNIT_LIB_OBJS:.o=.d) $(UNIT_TEST_OBJS:.o=.d)

.PHONY: unit sim lint dead-code format-check
unit: $(UNIT_DIR)/reef-unit
	$(UNIT_DIR)/reef-unit $(TEST)

# The simulator counts states a second, so its core is optimised; SIM_ROOT is
# where the core's sources are (a copy with a planted bug).
SIM_ROOT ?= .
SIM_DIR = $(BUILD)/sim$(if $(SIM_SANITIZE),-sanitized)
SIM_SRCS = $(sort $(wildcard test/sim/*.c))
SIM_OBJS = $(CORE_SRCS:%.c=$(SIM_DIR)/%.o) $(SIM_SRCS:%.c=$(SIM_DIR)/%.o)
SIM_CFLAGS = $(WARNINGS) -MMD -MP -g $(if $(SIM_SANITIZE),-O1 \
	-fno-omit-frame-pointer -fsanitize=address$(comma)undefined \
	-fno-sanitize-recover=all,-O2)
comma := ,

$(SIM_DIR)/src/%.o: $(SIM_ROOT)/src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(SIM_CFLAGS) -I$(SIM_ROOT)/src $(CORE_CPPFLAGS) -U_FORTIFY_SOURCE -c -o $@ $<

$(SIM_DIR)/test/sim/%.o: test/sim/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(SIM_CFLAGS) -I$(SIM_ROOT)/src $(CORE_CPPFLAGS) -U_FORTIFY_SOURCE -c -o $@ $<

$(SIM_DIR)/reef-sim: $(SIM_OBJS)
	$(CC) $(SIM_CFLAGS) -o $@ $^ $(CORE_LIBS)

-include $(SIM_OBJS:.o=.d)

sim: $(SIM_DIR)/reef-sim

lint: all
	bash test/lint/run.sh

# Each function in a section of its own; what the linker drops, nothing calls.
DEAD_DIR = $(BUILD)/dead-code
DEAD_OBJS = $(OBJS:%=$(DEAD_DIR)/%)

$(CORE_OBJS:%=$(DEAD_DIR)/%): override CPPFLAGS := $(CORE_CPPFLAGS)
$(GLUE_OBJS:%=$(DEAD_DIR)/%): override CPPFLAGS := $(GLUE_CPPFLAGS)

$(DEAD_DIR)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -w -ffunction-sections $(CPPFLAGS) -c -o $@ $<

dead-code: $(DEAD_OBJS)
	@$(CC) $(CFLAGS) -shared -o $(DEAD_DIR)/reef_fdw.so $(DEAD_OBJS) $(SHLIB_LINK) \
		-Wl,--gc-sections,--print-gc-sections >$(DEAD_DIR)/log 2>&1 || \
		{ cat $(DEAD_DIR)/log; false; }
	@sed -n "s!.*unused section '\.text\.\([A-Za-z0-9_]*\)' in file '$(DEAD_DIR)/\(.*\)\.o'.*!\2.c: nothing calls \1()!p" \
		$(DEAD_DIR)/log | sort >$(DEAD_DIR)/all
	@sed -n 's!^dead_code \([^:]*\):\([^ ]*\) .*!\1: nothing calls \2()!p' test/lint/exempt | sort | \
		comm -23 $(DEAD_DIR)/all - >$(DEAD_DIR)/found
	@cat $(DEAD_DIR)/found
	@test ! -s $(DEAD_DIR)/found

-include $(DEAD_OBJS:.o=.d)

format-check:
	bash test/lint/format.sh
