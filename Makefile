# migration_ext: build with PGXS.
#   make && make install && make installcheck      needs pg_config, a C++20 compiler and libfmt's headers, no more
#   make demo, make test, make lint                 install what they need (Debian, Ubuntu)
# Switches: PG_CONFIG=path   TEST_HOOKS=1 (fault injection for tests; never in production)   SAN="-fsanitize=..."

EXTENSION = migration_ext
MODULE_big = migration_ext
SOURCES = $(sort $(wildcard src/*.cpp src/*/*.cpp))
OBJS = $(SOURCES:.cpp=.o)
DATA = $(sort $(wildcard install/migration_ext--*.sql))

# sql/00_install.sql makes the extension; the others find it.
REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation $(if $(filter 15,$(MAJORVERSION)),,--expecteddir=test/isolation) \
  --load-extension=migration_ext
# The same sort order and encoding on every server that installcheck meets.
NO_LOCALE = 1
ENCODING = UTF8

PG_CONFIG ?= pg_config

own_goals = demo test test-% lint format
ifneq ($(filter-out $(own_goals),$(or $(MAKECMDGOALS),all)),)

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error $(PG_CONFIG) does not lead to a PostgreSQL with development files; pass PG_CONFIG=/path/to/pg_config)
endif

# Bitcode would be compiled by another compiler with other flags, and functions like ours gain nothing from inlining.
override with_llvm = no

# -isystem, so that warnings are about our code only; it overrides PGXS's own -I of the same directory.
PG_CPPFLAGS = -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server) -DFMT_HEADER_ONLY \
  $(if $(filter-out 0,$(TEST_HOOKS)),-DMIGRATION_TEST_HOOKS)
PG_CXXFLAGS = -std=c++20 -Wall -Wextra -Werror -fno-strict-aliasing -fwrapv -MMD -MP $(SAN)
# PGXS links with the C driver. The version script keeps every symbol but the SQL functions and worker mains inside.
SHLIB_LINK = -lstdc++ -Wl,--version-script=exports.map $(SAN)

EXTRA_CLEAN = .build-flags $(OBJS:.o=.d) output_iso

include $(PGXS)

$(shlib): exports.map

# Objects depend on the headers they used (-MMD) and on the flags they were compiled with.
-include $(wildcard $(OBJS:.o=.d))
build_flags := $(CXX) $(CXXFLAGS) $(CPPFLAGS) $(SHLIB_LINK) $(VERSION) $(pkglibdir)
ifneq ($(filter-out clean% distclean%,$(or $(MAKECMDGOALS),all)),)
ifneq ($(build_flags),$(shell cat .build-flags 2>/dev/null))
$(shell printf '%s\n' '$(subst ','\'',$(build_flags))' > .build-flags)
endif
endif
$(OBJS): .build-flags
.build-flags: ;

endif

# What follows needs no server to be installed yet.
demo:
	bench/demo/run.sh
test:
	test/run.sh
test-15 test-16:
	PGMAJOR=$(@:test-%=%) test/run.sh
test-17 test-18:
	test/major.sh $(@:test-%=%)
test-assert:
	test/assert.sh
test-asan:
	test/asan.sh
# SEEDS=5000 random tables, fills and writers; KILLS=1000 random kill -9 of the worker of a backfill.
test-property:
	MIGRATION_SEEDS=$(or $(SEEDS),5000) MIGRATION_TIMEOUT=86400 test/run.sh deps build property
test-kills:
	MIGRATION_KILLS=$(or $(KILLS),1000) MIGRATION_TESTS=051_backfill_kills MIGRATION_TIMEOUT=86400 test/run.sh deps build tap
# SECONDS=600 for each fuzz target; MIGRATION_TESTS="NAME ..." only these; MIGRATION_FUZZ_DIR=DIR keeps what was found.
test-fuzz:
	MIGRATION_FUZZ_SECONDS=$(or $(SECONDS),60) test/run.sh fuzz
lint:
	test/lint.sh
format:
	test/lint.sh format

.PHONY: demo test test-15 test-16 test-17 test-18 test-assert test-asan test-property test-kills test-fuzz lint format
