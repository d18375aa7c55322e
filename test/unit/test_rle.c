/*
 * test_rle.c
 */
#include "parquet/rle.h"

#include <stdlib.h>

#include "unit.h"

UNIT_TEST(test_rle__the_specification_s_example_of_bit_packing)
{
	/* "the numbers 0 through 7 using bit width 3", Encodings.md of
	 * parquet-format */
	static const uint32_t values[] = {0, 1, 2, 3, 4, 5, 6, 7};
	static const uint8_t expected[] = {0x88, 0xc6, 0xfa};
	uint32_t	decoded[8];
	ReefBuf		buf;

	reef_buf_init(&buf);
	reef_bits_pack(&buf, values, 8, 3);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf), reef_slice(expected, 3));
	reef_bits_unpack(expected, 3, 3, decoded, 8);
	UNIT_CHECK(memcmp(decoded, values, sizeof(values)) == 0);
	reef_buf_release(&buf);
}

UNIT_TEST(test_rle__a_repeated_value_is_one_run)
{
	static const uint8_t expected[] = {0xd0, 0x0f, 0x05};	/* 1000 << 1, 5 */
	uint32_t	values[1000];
	ReefBuf		buf;

	for (int i = 0; i < 1000; i++)
		values[i] = 5;
	reef_buf_init(&buf);
	reef_rle_encode(&buf, values, 1000, 3);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf), reef_slice(expected, 3));
	reef_buf_release(&buf);
}

/* Runs of random lengths, so that both forms and their borders occur. */
static void
fill_runs(uint32_t *values, size_t count, uint64_t limit)
{
	for (size_t i = 0; i < count;)
	{
		uint32_t	v = (uint32_t) unit_random_below(limit);
		size_t		run = unit_random_below(3) == 0 ?
			unit_random_below(2000) : unit_random_below(12);

		while (run-- > 0 && i < count)
			values[i++] = v;
	}
}

UNIT_TEST(test_rle__values_of_every_width_come_back)
{
	static uint32_t values[5000];
	static uint32_t decoded[5000];

	for (int width = 0; width <= 32; width++)
		for (int round = 0; round < 10; round++)
		{
			size_t		count = unit_random_below(5000) + 1;
			ReefBuf		buf;
			uint8_t    *exact;

			fill_runs(values, count, UINT64_C(1) << width);
			reef_buf_init(&buf);
			reef_rle_encode(&buf, values, count, width);
			/* memory of exactly the size, so that the sanitizer sees overruns */
			exact = malloc(buf.size);
			UNIT_CHECK(exact != NULL);
			memcpy(exact, buf.data, buf.size);
			UNIT_CHECK(reef_rle_decode(reef_slice(exact, buf.size), width,
									   true, decoded, count));
			UNIT_CHECK(memcmp(values, decoded, count * sizeof(uint32_t)) == 0);
			UNIT_CHECK(!reef_rle_decode(reef_slice(exact, buf.size - 1), width,
										true, decoded, count));
			if (width > 0)
				UNIT_CHECK(!reef_rle_decode(reef_slice(exact, buf.size),
											width, true, decoded, count + 8));
			free(exact);
			reef_buf_release(&buf);
		}
}

UNIT_TEST(test_rle__levels_come_back_and_nulls_are_counted)
{
	static uint32_t values[5000];
	static uint8_t nulls[5000];
	static uint8_t decoded[5000];

	for (int round = 0; round < 200; round++)
	{
		size_t		count = unit_random_below(5000) + 1;
		size_t		expected = 0;
		size_t		null_count;
		ReefBuf		buf;

		fill_runs(values, count, 2);
		for (size_t i = 0; i < count; i++)
		{
			nulls[i] = (uint8_t) values[i];
			expected += values[i];
		}
		reef_buf_init(&buf);
		reef_rle_encode_levels(&buf, nulls, count);
		UNIT_CHECK(reef_rle_decode_levels(reef_buf_slice(&buf), true, decoded,
										  count, &null_count));
		UNIT_CHECK(memcmp(nulls, decoded, count) == 0);
		UNIT_EQUAL_INT(null_count, expected);
		buf.size--;
		UNIT_CHECK(!reef_rle_decode_levels(reef_buf_slice(&buf), true,
										   decoded, count, &null_count));
		reef_buf_release(&buf);
	}
}

UNIT_TEST(test_rle__padding_is_accepted_only_where_it_is_asked_for)
{
	/* two groups of eight ones where nine are wanted, then a spare byte */
	static const uint8_t bytes[] = {0x05, 0xff, 0xff, 0x00};
	uint32_t	values[3];

	UNIT_CHECK(reef_rle_decode(reef_slice(bytes, 4), 1, false, values, 3));
	UNIT_CHECK(!reef_rle_decode(reef_slice(bytes, 4), 1, true, values, 3));
}
