/*
 * test_plain.c
 */
#include "parquet/plain.h"

#include "parquet/type.h"
#include "unit.h"

static const uint16_t first[] = {0, 1, 2};

static void
check_stored(ReefKind kind, const void *values, size_t count,
			 const char *expected, size_t size)
{
	ReefVector	vector = {kind, NULL, values};
	ReefError	err;
	ReefBuf		buf;

	reef_buf_init(&buf);
	UNIT_OK(reef_plain_append(&buf, &vector, first, count, &err), &err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf), reef_slice(expected, size));
	reef_buf_release(&buf);
}

UNIT_TEST(test_plain__bytes_are_those_of_the_specification)
{
	static const int16_t shorts[] = {-2, 256};
	static const ReefSlice texts[] = {{(const uint8_t *) "ab", 2}, {NULL, 0}};
	static const int32_t dates[] = {0, INT32_MIN};
	static const int64_t times[] = {0, INT64_MAX};
	static const float floats[] = {-0.0f};
	ReefInt128	decimal = -2;

	check_stored(REEF_KIND_INT16, shorts, 2, "\xfe\xff\xff\xff\0\1\0\0", 8);
	check_stored(REEF_KIND_TEXT, texts, 2, "\2\0\0\0ab\0\0\0\0", 10);
	check_stored(REEF_KIND_FLOAT32, floats, 1, "\0\0\0\x80", 4);
	check_stored(REEF_KIND_DATE, dates, 2, "\xcd\x2a\0\0\1\0\0\x80", 8);
	check_stored(REEF_KIND_TIMESTAMP, times, 2,
				 "\x00\xe0\x37\x3b\x01\x5d\x03\x00"
				 "\xff\xff\xff\xff\xff\xff\xff\x7f", 16);
	check_stored(REEF_KIND_DECIMAL128, &decimal, 1,
				 "\xff\xff\xff\xff\xff\xff\xff\xff"
				 "\xff\xff\xff\xff\xff\xff\xff\xfe", 16);
}

UNIT_TEST(test_plain__every_postgresql_timestamp_keeps_its_value)
{
	static const int64_t edges[] = {INT64_MIN, INT64_MAX,
		-INT64_C(211813488000000000), INT64_C(9223371331199999999),
		INT64_C(9222425352054775806), INT64_C(9222425352054775807),
	INT64_C(9222425352054775808), 0, -1};

	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
	{
		int64_t		stored;
		int64_t		back;

		UNIT_CHECK(reef_timestamp_to_unix(edges[i], &stored));
		UNIT_CHECK(reef_timestamp_of_unix(stored, &back));
		UNIT_EQUAL_INT(back, edges[i]);
		/* only the infinities are stored as infinities */
		UNIT_CHECK((stored == INT64_MAX) == (edges[i] == INT64_MAX));
		UNIT_CHECK((stored == -INT64_MAX) == (edges[i] == INT64_MIN));
	}
}

UNIT_TEST(test_plain__a_value_without_a_place_is_refused)
{
	static const int64_t times[] = {REEF_TIMESTAMP_EXCESS_BASE - 1};
	static const int32_t dates[] = {INT32_MAX - 1};
	ReefVector	vector = {REEF_KIND_TIMESTAMP, NULL, times};
	ReefError	err;
	ReefBuf		buf;

	reef_buf_init(&buf);
	reef_error_init(&err);
	UNIT_CODE(reef_plain_append(&buf, &vector, first, 1, &err), REEF_INVALID,
			  &err);
	vector.kind = REEF_KIND_DATE;
	vector.values = dates;
	UNIT_CODE(reef_plain_append(&buf, &vector, first, 1, &err), REEF_INVALID,
			  &err);
	reef_buf_release(&buf);
}

UNIT_TEST(test_plain__sizes_that_do_not_fit_are_refused)
{
	static const uint8_t text[] = {5, 0, 0, 0, 'a', 'b'};
	static const uint8_t wide[] = {0, 0, 1, 0};	/* 65536 as an int16 */
	ReefSlice	slices[1];
	int16_t		shorts[1];
	int64_t		longs[1];

	UNIT_CHECK(!reef_plain_decode(REEF_KIND_TEXT, reef_slice(text, 6), slices,
								  1));
	UNIT_CHECK(!reef_plain_decode(REEF_KIND_TEXT, reef_slice(text, 3), slices,
								  1));
	UNIT_CHECK(!reef_plain_decode(REEF_KIND_INT16, reef_slice(wide, 4), shorts,
								  1));
	UNIT_CHECK(!reef_plain_decode(REEF_KIND_INT64, reef_slice(wide, 4), longs,
								  1));
}
