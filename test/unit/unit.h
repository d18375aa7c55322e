/*
 * unit.h
 *	  The whole of the unit test framework.
 *
 * A test file defines tests with UNIT_TEST and exports nothing; each test
 * registers itself before main() runs, so that there is no list to forget one
 * in.  The first check that fails ends its test (by a long jump, so that
 * checks may stand in helper functions of any type), and the runner goes on
 * with the next one.  A test therefore must not hold what other tests need,
 * such as a lock, while it checks.
 *
 *	  UNIT_TEST(test_bytes__a_reader_stops_at_the_end)
 *	  {
 *		  UNIT_EQUAL_INT(reef_read_u8(&reader), 0);
 *		  UNIT_CHECK(reader.failed);
 *	  }
 */
#ifndef REEF_UNIT_H
#define REEF_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

typedef struct UnitTest
{
	const char *name;
	void		(*run) (void);
	struct UnitTest *next;
} UnitTest;

#define UNIT_TEST(test_name) \
	static void test_name(void); \
	__attribute__((constructor)) static void \
	test_name##_register(void) \
	{ \
		static UnitTest test = {#test_name, test_name, NULL}; \
		unit_register(&test); \
	} \
	static void test_name(void)

#define UNIT_CHECK(expr) \
	do { \
		if (!(expr)) \
			unit_fail(__FILE__, __LINE__, "not true: %s", #expr); \
	} while (0)

/* Any two integers; compared and shown as 64 bits. */
#define UNIT_EQUAL_INT(actual, expected) \
	unit_equal_int(__FILE__, __LINE__, #actual, \
				   (int64_t) (actual), (int64_t) (expected))

#define UNIT_EQUAL_STRING(actual, expected) \
	unit_equal_string(__FILE__, __LINE__, #actual, (actual), (expected))

/* Two ReefSlices */
#define UNIT_EQUAL_BYTES(actual, expected) \
	unit_equal_bytes(__FILE__, __LINE__, #actual, (actual), (expected))

/* The call succeeded; otherwise shows what the ReefError says. */
#define UNIT_OK(rc, err) \
	unit_code(__FILE__, __LINE__, #rc, (rc), REEF_OK, (err))

/* The call returned exactly this code, and the error agrees. */
#define UNIT_CODE(rc, expected, err) \
	unit_code(__FILE__, __LINE__, #rc, (rc), (expected), (err))

#define UNIT_FAIL(...) unit_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Random, but the same in every run: each test starts from the same seed. */
extern uint64_t unit_random(void);
/* Below "limit", which is not 0. */
extern uint64_t unit_random_below(uint64_t limit);

extern void unit_register(UnitTest *test);
extern void unit_fail(const char *file, int line, const char *format, ...)
			REEF_PRINTF(3, 4) __attribute__((noreturn));
extern void unit_equal_int(const char *file, int line, const char *what,
						   int64_t actual, int64_t expected);
extern void unit_equal_string(const char *file, int line, const char *what,
							  const char *actual, const char *expected);
extern void unit_equal_bytes(const char *file, int line, const char *what,
							 ReefSlice actual, ReefSlice expected);
extern void unit_code(const char *file, int line, const char *what,
					  ReefCode actual, ReefCode expected,
					  const ReefError *err);

#endif							/* REEF_UNIT_H */
