/*
 * test_dictionary.c
 */
#include "parquet/dictionary.h"

#include "unit.h"

static const uint32_t *
indexes_of(const ReefDictionary *d)
{
	return (const uint32_t *) (const void *) d->indexes.data;
}

UNIT_TEST(test_dictionary__numbers_follow_the_order_of_appearance)
{
	static const char values[] = "\1\0\0\0b" "\0\0\0\0" "\1\0\0\0b" "\2\0\0\0bb"
		"\0\0\0\0";
	ReefDictionary d;

	reef_dictionary_init(&d, REEF_KIND_TEXT);
	reef_dictionary_add(&d, reef_slice(values, sizeof(values) - 1), 5);
	UNIT_EQUAL_INT(d.count, 3);
	UNIT_EQUAL_INT(indexes_of(&d)[0], 0);
	UNIT_EQUAL_INT(indexes_of(&d)[1], 1);
	UNIT_EQUAL_INT(indexes_of(&d)[2], 0);
	UNIT_EQUAL_INT(indexes_of(&d)[3], 2);
	UNIT_EQUAL_INT(indexes_of(&d)[4], 1);
	reef_dictionary_release(&d);
}

UNIT_TEST(test_dictionary__indexes_lead_back_to_the_values)
{
	static uint64_t values[4000];
	ReefDictionary d;

	reef_dictionary_init(&d, REEF_KIND_FLOAT64);
	for (int round = 0; round < 3; round++)
	{
		for (int i = 0; i < 4000; i++)
			values[i] = unit_random_below(1500) << 50;
		for (int i = 0; i < 4000; i += 100)
			reef_dictionary_add(&d, reef_slice(values + i, 800), 100);
		UNIT_CHECK(!d.is_given_up);
		UNIT_CHECK(d.count <= 1500);
		for (int i = 0; i < 4000; i++)
			UNIT_CHECK(memcmp(d.values.data + 8 * indexes_of(&d)[i],
							  &values[i], 8) == 0);
		reef_dictionary_reset(&d);
	}
	reef_dictionary_release(&d);
}

UNIT_TEST(test_dictionary__distinct_values_end_it_and_a_reset_revives_it)
{
	static uint64_t values[10000];
	ReefDictionary d;

	for (size_t i = 0; i < 10000; i++)
		values[i] = i;
	reef_dictionary_init(&d, REEF_KIND_INT64);
	reef_dictionary_add(&d, reef_slice(values, sizeof(values)), 10000);
	UNIT_CHECK(d.is_given_up);
	UNIT_EQUAL_INT(reef_dictionary_memory(&d), 0);
	reef_dictionary_reset(&d);
	UNIT_CHECK(!d.is_given_up);
	reef_dictionary_add(&d, reef_slice(values, 8), 1);
	UNIT_EQUAL_INT(d.count, 1);
	reef_dictionary_release(&d);
}

UNIT_TEST(test_dictionary__a_size_beyond_the_limit_ends_it)
{
	static uint8_t value[4 + 300000];
	ReefDictionary d;

	reef_put_u32(value, 300000);
	reef_dictionary_init(&d, REEF_KIND_BYTES);
	for (uint8_t i = 0; i < 4; i++)
	{
		UNIT_CHECK(!d.is_given_up);
		value[100] = i;
		reef_dictionary_add(&d, reef_slice(value, sizeof(value)), 1);
	}
	UNIT_CHECK(d.is_given_up);
	reef_dictionary_release(&d);
}
