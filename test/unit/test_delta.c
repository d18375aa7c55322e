/*
 * test_delta.c
 */
#include "parquet/delta.h"

#include <stdlib.h>

#include "unit.h"

UNIT_TEST(test_delta__the_specification_s_example)
{
	/* 7, 5, 3, 1, 2, 3, 4, 5: smallest difference -2, two bits each.  The
	 * specification shows it with its own block size; ours is 128 in 4. */
	static const int64_t values[] = {7, 5, 3, 1, 2, 3, 4, 5};
	static const uint8_t expected[] = {0x80, 0x01, 0x04, 0x08, 0x0e, 0x03, 0x02,
	0x00, 0x00, 0x00, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0};
	uint8_t		plain[64];
	ReefBuf		buf;

	for (int i = 0; i < 8; i++)
		reef_put_u64(plain + 8 * i, (uint64_t) values[i]);
	reef_buf_init(&buf);
	reef_delta_encode(&buf, plain, 8, 8);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf),
					 reef_slice(expected, sizeof(expected)));
	reef_buf_release(&buf);
}

static int64_t
random_value(int style, int64_t previous)
{
	switch (style)
	{
		case 0:
			return (int64_t) ((uint64_t) previous + unit_random_below(4));
		case 1:
			return (int64_t) unit_random();
		case 2:
			return unit_random_below(2) == 0 ? INT64_MAX : INT64_MIN;
		default:
			/* differences of each width */
			return (int64_t) ((uint64_t) previous +
							  (unit_random() >> unit_random_below(64)));
	}
}

UNIT_TEST(test_delta__any_values_come_back)
{
	static uint8_t plain[8 * 1000];
	static int64_t values[1000];
	static int64_t decoded[1000];

	for (int round = 0; round < 400; round++)
	{
		size_t		count = unit_random_below(1000) + (round % 2);
		int			width = round % 3 == 0 ? 4 : 8;
		int			style = (int) unit_random_below(4);
		int64_t		previous = 0;
		uint8_t    *exact;
		ReefBuf		buf;

		for (size_t i = 0; i < count; i++)
		{
			values[i] = random_value(style, previous);
			if (width == 4)
				values[i] = (int32_t) values[i];
			previous = values[i];
			if (width == 4)
				reef_put_u32(plain + 4 * i, (uint32_t) values[i]);
			else
				reef_put_u64(plain + 8 * i, (uint64_t) values[i]);
		}
		reef_buf_init(&buf);
		reef_delta_encode(&buf, plain, width, count);
		exact = malloc(buf.size);
		UNIT_CHECK(exact != NULL);
		memcpy(exact, buf.data, buf.size);
		UNIT_CHECK(reef_delta_decode(reef_slice(exact, buf.size), true,
									 decoded, count));
		for (size_t i = 0; i < count; i++)
			UNIT_EQUAL_INT(width == 4 ? (int32_t) decoded[i] : decoded[i],
						   values[i]);
		UNIT_CHECK(!reef_delta_decode(reef_slice(exact, buf.size - 1), true,
									  decoded, count));
		free(exact);
		reef_buf_release(&buf);
	}
}

UNIT_TEST(test_delta__a_hostile_header_is_refused)
{
	/* block size, miniblocks: 0; 100 in 3; 2^40 in 4; widths above 64 */
	static const uint8_t zero[] = {0x00, 0x04, 0x02, 0x00};
	static const uint8_t uneven[] = {0x64, 0x03, 0x02, 0x00};
	static const uint8_t huge[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x04,
	0x02, 0x00};
	static const uint8_t wide[] = {0x80, 0x01, 0x04, 0x02, 0x00, 0x00, 65, 0, 0,
	0, 1, 2, 3, 4, 5, 6, 7, 8};
	int64_t		values[2];

	UNIT_CHECK(!reef_delta_decode(reef_slice(zero, 4), false, values, 2));
	UNIT_CHECK(!reef_delta_decode(reef_slice(uneven, 4), false, values, 2));
	UNIT_CHECK(!reef_delta_decode(reef_slice(huge, 9), false, values, 2));
	UNIT_CHECK(!reef_delta_decode(reef_slice(wide, 18), false, values, 2));
}
