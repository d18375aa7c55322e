/*
 * unit.c
 *	  Runs the registered unit tests.
 *
 *	  reef-unit [part of a test's name]
 *
 * One line is printed for each test that failed, then the totals; the exit
 * status is 0 only if something ran and nothing failed.  (A filter that
 * matches no test is a mistake, not a success.)  Tests run in the order of
 * their names, so that link order does not matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define UNIT_SEED UINT64_C(0x9e3779b97f4a7c15)

static UnitTest *tests;			/* sorted by name */
static const UnitTest *current;
static jmp_buf leave_test;
static uint64_t random_state;

/* SplitMix64 */
uint64_t
unit_random(void)
{
	uint64_t	z;

	random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = random_state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t
unit_random_below(uint64_t limit)
{
	return unit_random() % limit;
}

void
unit_register(UnitTest *test)
{
	UnitTest  **place = &tests;

	while (*place != NULL && strcmp((*place)->name, test->name) < 0)
		place = &(*place)->next;
	test->next = *place;
	*place = test;
}

void
unit_fail(const char *file, int line, const char *format, ...)
{
	va_list		args;

	printf("FAILED %s at %s:%d: ", current->name, file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	longjmp(leave_test, 1);
}

void
unit_equal_int(const char *file, int line, const char *what, int64_t actual,
			   int64_t expected)
{
	if (actual != expected)
		unit_fail(file, line, "%s is %lld, not %lld", what,
				  (long long) actual, (long long) expected);
}

void
unit_equal_string(const char *file, int line, const char *what,
				  const char *actual, const char *expected)
{
	if (actual == NULL || expected == NULL)
	{
		if (actual != expected)
			unit_fail(file, line, "%s is %s, not %s", what,
					  actual == NULL ? "NULL" : actual,
					  expected == NULL ? "NULL" : expected);
	}
	else if (strcmp(actual, expected) != 0)
		unit_fail(file, line, "%s is \"%s\", not \"%s\"", what, actual,
				  expected);
}

void
unit_equal_bytes(const char *file, int line, const char *what,
				 ReefSlice actual, ReefSlice expected)
{
	size_t		i;

	for (i = 0; i < actual.size && i < expected.size; i++)
	{
		if (actual.data[i] != expected.data[i])
			unit_fail(file, line, "%s has %02x at offset %zu, not %02x", what,
					  actual.data[i], i, expected.data[i]);
	}
	if (actual.size != expected.size)
		unit_fail(file, line, "%s has %zu bytes, not %zu", what, actual.size,
				  expected.size);
}

void
unit_code(const char *file, int line, const char *what, ReefCode actual,
		  ReefCode expected, const ReefError *err)
{
	if (actual != expected)
	{
		if (actual == REEF_OK)
			unit_fail(file, line, "%s is REEF_OK, not %s", what,
					  reef_code_name(expected));
		unit_fail(file, line, "%s is %s, not %s: %s (%s)", what,
				  reef_code_name(actual), reef_code_name(expected),
				  err->message, err->detail);
	}
	if (expected != REEF_OK && err->code != expected)
		unit_fail(file, line, "%s returned %s, but the error says %s", what,
				  reef_code_name(actual), reef_code_name(err->code));
}

int
main(int argc, char **argv)
{
	const char *filter = argc > 1 ? argv[1] : "";
	static int	passed;			/* static: must survive the long jump */
	static int	failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (current = tests; current != NULL; current = current->next)
	{
		if (strstr(current->name, filter) == NULL)
			continue;
		random_state = UNIT_SEED;
		if (setjmp(leave_test) == 0)
		{
			current->run();
			passed++;
		}
		else
			failed++;
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
