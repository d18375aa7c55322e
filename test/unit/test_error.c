/*
 * test_error.c
 *	  What a ReefError says after each of the calls that fill it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

UNIT_TEST(test_error__set_replaces_everything_that_was_there)
{
	ReefError	err;
	ReefCode	rc;

	memset(&err, 0x5a, sizeof(err));
	rc = reef_error_set(&err, REEF_CORRUPT, "object is damaged",
						"object %s, frame %d", "wal-7", 3);
	UNIT_EQUAL_INT(rc, REEF_CORRUPT);
	UNIT_EQUAL_INT(err.code, REEF_CORRUPT);
	UNIT_EQUAL_INT(err.os_errno, 0);
	UNIT_EQUAL_INT(err.http_status, 0);
	UNIT_EQUAL_STRING(err.message, "object is damaged");
	UNIT_EQUAL_STRING(err.detail, "object wal-7, frame 3");
}

UNIT_TEST(test_error__a_missing_detail_is_empty)
{
	ReefError	err;

	memset(&err, 0x5a, sizeof(err));
	(void) reef_error_set(&err, REEF_LIMIT, "too large", NULL);
	UNIT_EQUAL_STRING(err.detail, "");
}

UNIT_TEST(test_error__errno_is_kept_and_named)
{
	ReefError	err;
	char		expected[200];

	UNIT_EQUAL_INT(reef_error_set_errno(&err, REEF_UNAVAILABLE, EIO,
										"could not read", "object %s", "x"),
				   REEF_UNAVAILABLE);
	UNIT_EQUAL_INT(err.os_errno, EIO);
	(void) snprintf(expected, sizeof(expected), "object x: %s", strerror(EIO));
	UNIT_EQUAL_STRING(err.detail, expected);

	(void) reef_error_set_errno(&err, REEF_NO_SPACE, ENOSPC,
								"could not write", NULL);
	UNIT_EQUAL_STRING(err.detail, strerror(ENOSPC));
}

UNIT_TEST(test_error__facts_are_added_innermost_first)
{
	ReefError	err;

	(void) reef_error_set(&err, REEF_CORRUPT, "bad checksum", NULL);
	UNIT_EQUAL_INT(reef_error_add(&err, "while reading %s", "a"),
				   REEF_CORRUPT);
	UNIT_EQUAL_STRING(err.detail, "while reading a");
	(void) reef_error_add(&err, "while opening %d", 7);
	UNIT_EQUAL_STRING(err.detail, "while reading a; while opening 7");
	UNIT_EQUAL_STRING(err.message, "bad checksum");
}

/* Every start of the array is tried, so that some cut splits a character. */
UNIT_TEST(test_error__a_cut_leaves_whole_characters)
{
	static const char *const characters[] = {
		"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xaa\xb8"
	};
	char		text[2000];
	size_t		c;
	size_t		shift;

	for (c = 0; c < 4; c++)
	{
		size_t		size = strlen(characters[c]);

		for (shift = 0; shift < size; shift++)
		{
			ReefError	err;
			size_t		used = shift;

			memset(text, 'x', shift);
			while (used + size < sizeof(text))
			{
				memcpy(text + used, characters[c], size);
				used += size;
			}
			text[used] = '\0';
			(void) reef_error_set(&err, REEF_BUG, text, "%s", text);
			UNIT_EQUAL_INT((strlen(err.message) - shift) % size, 0);
			UNIT_CHECK(strlen(err.message) + size >= sizeof(err.message));
			UNIT_EQUAL_INT((strlen(err.detail) - shift) % size, 0);
			UNIT_CHECK(strlen(err.detail) + size >= sizeof(err.detail));
			UNIT_EQUAL_INT(strncmp(err.detail, text, strlen(err.detail)), 0);

			/* A full detail takes no more, and stays whole. */
			(void) reef_error_add(&err, "while reading %s", text);
			UNIT_CHECK(strlen(err.detail) < sizeof(err.detail));
		}
	}
}

UNIT_TEST(test_error__no_memory_tells_the_size)
{
	ReefError	err;

	UNIT_EQUAL_INT(reef_error_no_memory(&err, 4096), REEF_NO_MEMORY);
	UNIT_CHECK(strstr(err.detail, "4096") != NULL);
}

UNIT_TEST(test_error__each_code_has_a_name_of_its_own)
{
	int			a;
	int			b;

	UNIT_EQUAL_STRING(reef_code_name(REEF_CORRUPT), "REEF_CORRUPT");
	for (a = REEF_OK; a <= REEF_BUG; a++)
	{
		UNIT_EQUAL_INT(strncmp(reef_code_name((ReefCode) a), "REEF_", 5), 0);
		for (b = REEF_OK; b < a; b++)
			UNIT_CHECK(strcmp(reef_code_name((ReefCode) a),
							  reef_code_name((ReefCode) b)) != 0);
	}
}

static ReefCode
fail_with(ReefCode code)
{
	return code;
}

static ReefCode
try_both(ReefCode first, ReefCode second)
{
	REEF_TRY(fail_with(first));
	REEF_TRY(fail_with(second));
	return REEF_OK;
}

UNIT_TEST(test_error__try_returns_the_first_failure)
{
	UNIT_EQUAL_INT(try_both(REEF_OK, REEF_OK), REEF_OK);
	UNIT_EQUAL_INT(try_both(REEF_LIMIT, REEF_BUG), REEF_LIMIT);
	UNIT_EQUAL_INT(try_both(REEF_OK, REEF_BUG), REEF_BUG);
}
