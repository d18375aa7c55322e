/*
 * test_bloom.c
 */
#include "parquet/bloom.h"

#include <math.h>

#include "unit.h"

UNIT_TEST(test_bloom__hashes_are_those_of_xxhash)
{
	/* published test vectors of XXH64 */
	UNIT_EQUAL_INT(reef_xxh64("", 0, 0), 0xef46db3751d8e999);
	UNIT_EQUAL_INT(reef_xxh64("a", 1, 0), 0xd24ec4f1a98c6e5b);
	UNIT_EQUAL_INT(reef_xxh64("abc", 3, 0), 0x44bc2cf5ad770999);
	UNIT_EQUAL_INT(reef_xxh64("Nobody inspects the spammish repetition", 39,
							  0), 0xfbcea83c8a378bf1);
}

static bool
contains(const ReefBuf *filter, ReefKind kind, const ReefValue *v)
{
	bool		may_contain = false;

	UNIT_CHECK(reef_bloom_check(reef_buf_slice(filter), kind, v,
								&may_contain));
	return may_contain;
}

UNIT_TEST(test_bloom__misses_nothing_and_keeps_the_false_positive_rate)
{
	static const double rates[] = {0.1, 0.01, 0.001};
	static uint64_t values[20000];

	for (int r = 0; r < 3; r++)
	{
		ReefBuf		filter;
		ReefValue	v = {0};
		int			wrong = 0;

		for (int i = 0; i < 20000; i++)
			values[i] = unit_random() | 1;
		reef_buf_init(&filter);
		reef_bloom_encode(&filter, REEF_KIND_INT64,
						  reef_slice(values, sizeof(values)), 20000, 20000,
						  rates[r]);
		for (int i = 0; i < 20000; i++)
		{
			v.as.int64 = (int64_t) values[i];
			UNIT_CHECK(contains(&filter, REEF_KIND_INT64, &v));
		}
		for (int i = 0; i < 100000; i++)
		{
			v.as.int64 = (int64_t) (unit_random() & ~UINT64_C(1));
			wrong += contains(&filter, REEF_KIND_INT64, &v);
		}
		/* the sizing formula holds for even blocks; uneven ones cost some */
		UNIT_CHECK(wrong <= 100000 * rates[r] * 2 + 20);
		UNIT_CHECK(wrong >= 100000 * rates[r] / 4);
		reef_buf_release(&filter);
	}
}

UNIT_TEST(test_bloom__equal_floats_are_found_whatever_their_bits)
{
	static const uint64_t values[] = {UINT64_C(0x8000000000000000),
	UINT64_C(0xfff0000000000123)};
	ReefBuf		filter;
	ReefValue	v = {0};

	reef_buf_init(&filter);
	reef_bloom_encode(&filter, REEF_KIND_FLOAT64,
					  reef_slice(values, sizeof(values)), 2, 2, 0.001);
	v.as.float64 = 0.0;
	UNIT_CHECK(contains(&filter, REEF_KIND_FLOAT64, &v));
	v.as.float64 = -0.0;
	UNIT_CHECK(contains(&filter, REEF_KIND_FLOAT64, &v));
	v.as.float64 = NAN;
	UNIT_CHECK(contains(&filter, REEF_KIND_FLOAT64, &v));
	v.as.float64 = 12.5;
	UNIT_CHECK(!contains(&filter, REEF_KIND_FLOAT64, &v));
	reef_buf_release(&filter);
}

UNIT_TEST(test_bloom__a_cut_filter_is_refused)
{
	ReefBuf		filter;
	ReefValue	v = {0};
	bool		may_contain;

	reef_buf_init(&filter);
	reef_bloom_encode(&filter, REEF_KIND_INT64, reef_slice(&v, 8), 1, 1, 0.01);
	for (size_t size = 0; size < filter.size; size++)
		UNIT_CHECK(!reef_bloom_check(reef_slice(filter.data, size),
									 REEF_KIND_INT64, &v, &may_contain));
	reef_buf_release(&filter);
}
