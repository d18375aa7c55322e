/*
 * test_value.c
 *	  Kinds, the order of values, and fetching values from vectors.
 */
#include <math.h>
#include <string.h>

#include "base/value.h"
#include "unit.h"

UNIT_TEST(test_value__names_of_kinds_are_reversible)
{
	unsigned	kind;
	unsigned	other;

	for (kind = 1; kind <= REEF_KIND_MAX; kind++)
	{
		const char *name = reef_kind_name((ReefKind) kind);

		UNIT_CHECK(reef_kind_is_valid(kind));
		UNIT_EQUAL_INT(reef_kind_of_name(name), kind);
		for (other = 1; other < kind; other++)
			UNIT_CHECK(strcmp(name, reef_kind_name((ReefKind) other)) != 0);
	}
	UNIT_EQUAL_STRING(reef_kind_name(REEF_KIND_INT32), "int4");
	UNIT_EQUAL_INT(reef_kind_of_name("varchar"), 0);
	UNIT_EQUAL_INT(reef_kind_of_name(""), 0);
	UNIT_CHECK(!reef_kind_is_valid(0));
	UNIT_CHECK(!reef_kind_is_valid(REEF_KIND_MAX + 1));
	UNIT_CHECK(!reef_kind_is_valid(UINT32_MAX));
}

/* The stored numbers, as value.h documents them. */
UNIT_TEST(test_value__stored_numbers_and_widths_do_not_change)
{
	static const struct
	{
		ReefKind	kind;
		int			number;
		int			width;
	}			cases[] = {
		{REEF_KIND_BOOL, 1, 1},
		{REEF_KIND_INT16, 2, 2},
		{REEF_KIND_INT32, 3, 4},
		{REEF_KIND_INT64, 4, 8},
		{REEF_KIND_FLOAT32, 5, 4},
		{REEF_KIND_FLOAT64, 6, 8},
		{REEF_KIND_DECIMAL64, 7, 8},
		{REEF_KIND_DECIMAL128, 8, 16},
		{REEF_KIND_TEXT, 9, 0},
		{REEF_KIND_BYTES, 10, 0},
		{REEF_KIND_UUID, 11, 16},
		{REEF_KIND_DATE, 12, 4},
		{REEF_KIND_TIME, 13, 8},
		{REEF_KIND_TIMESTAMP, 14, 8},
		{REEF_KIND_TIMESTAMPTZ, 15, 8},
		{REEF_KIND_JSON, 16, 0},
		{REEF_KIND_OTHER, 17, 0},
	};
	size_t		i;

	UNIT_EQUAL_INT(sizeof(cases) / sizeof(cases[0]), REEF_KIND_MAX);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		UNIT_EQUAL_INT(cases[i].kind, cases[i].number);
		UNIT_EQUAL_INT(reef_kind_width(cases[i].kind), cases[i].width);
		UNIT_EQUAL_INT(reef_kind_is_variable(cases[i].kind),
					   cases[i].width == 0);
		UNIT_EQUAL_INT(reef_vector_element_size(cases[i].kind),
					   cases[i].width == 0 ? sizeof(ReefSlice) :
					   (size_t) cases[i].width);
	}
}

/* Check that values[0] < values[1] < ..., in both directions. */
static void
check_ascending(ReefKind kind, const ReefValue *values, int count)
{
	int			a;
	int			b;

	for (a = 0; a < count; a++)
	{
		for (b = 0; b < count; b++)
		{
			int			order = reef_value_compare(kind, &values[a],
												   &values[b]);

			UNIT_EQUAL_INT((order > 0) - (order < 0), (a > b) - (a < b));
		}
	}
}

#define COUNT(array) ((int) (sizeof(array) / sizeof((array)[0])))

UNIT_TEST(test_value__integers_are_ordered_by_value)
{
	const ReefValue int16s[] = {
		{.as.int16 = INT16_MIN}, {.as.int16 = -1}, {.as.int16 = 0},
		{.as.int16 = 255}, {.as.int16 = 256}, {.as.int16 = INT16_MAX}
	};
	const ReefValue int32s[] = {
		{.as.int32 = INT32_MIN}, {.as.int32 = -1}, {.as.int32 = 0},
		{.as.int32 = 65536}, {.as.int32 = INT32_MAX}
	};
	const ReefValue int64s[] = {
		{.as.int64 = INT64_MIN}, {.as.int64 = -1}, {.as.int64 = 0},
		{.as.int64 = INT64_C(1) << 32}, {.as.int64 = INT64_MAX}
	};
	const ReefValue int128s[] = {
		{.as.int128 = -REEF_DECIMAL128_NAN},
		{.as.int128 = -((ReefInt128) 1 << 64)}, {.as.int128 = -1},
		{.as.int128 = 0}, {.as.int128 = (ReefInt128) 1 << 64},
		{.as.int128 = REEF_DECIMAL128_NAN}
	};
	const ReefValue bools[] = {{.as.boolean = false}, {.as.boolean = true}};

	check_ascending(REEF_KIND_BOOL, bools, COUNT(bools));
	check_ascending(REEF_KIND_INT16, int16s, COUNT(int16s));
	check_ascending(REEF_KIND_INT32, int32s, COUNT(int32s));
	check_ascending(REEF_KIND_DATE, int32s, COUNT(int32s));
	check_ascending(REEF_KIND_INT64, int64s, COUNT(int64s));
	check_ascending(REEF_KIND_DECIMAL64, int64s, COUNT(int64s));
	check_ascending(REEF_KIND_TIME, int64s, COUNT(int64s));
	check_ascending(REEF_KIND_TIMESTAMP, int64s, COUNT(int64s));
	check_ascending(REEF_KIND_TIMESTAMPTZ, int64s, COUNT(int64s));
	check_ascending(REEF_KIND_DECIMAL128, int128s, COUNT(int128s));
}

UNIT_TEST(test_value__nan_is_above_everything_and_zeros_are_equal)
{
	const ReefValue doubles[] = {
		{.as.float64 = -INFINITY}, {.as.float64 = -1.5},
		{.as.float64 = -5e-324}, {.as.float64 = 0.0},
		{.as.float64 = 5e-324}, {.as.float64 = 1e308},
		{.as.float64 = INFINITY}, {.as.float64 = NAN}
	};
	const ReefValue floats[] = {
		{.as.float32 = -INFINITY}, {.as.float32 = -1.5f},
		{.as.float32 = 0.0f}, {.as.float32 = 1e-45f},
		{.as.float32 = INFINITY}, {.as.float32 = NAN}
	};
	const ReefValue zero = {.as.float64 = 0.0};
	const ReefValue minus_zero = {.as.float64 = -0.0};
	const ReefValue nan = {.as.float64 = NAN};
	const ReefValue minus_nan = {.as.float64 = -NAN};

	check_ascending(REEF_KIND_FLOAT64, doubles, COUNT(doubles));
	check_ascending(REEF_KIND_FLOAT32, floats, COUNT(floats));
	UNIT_EQUAL_INT(reef_value_compare(REEF_KIND_FLOAT64, &zero, &minus_zero),
				   0);
	UNIT_EQUAL_INT(reef_value_compare(REEF_KIND_FLOAT64, &nan, &minus_nan), 0);
}

UNIT_TEST(test_value__the_rest_is_ordered_bytewise)
{
	static const ReefKind kinds[] = {
		REEF_KIND_TEXT, REEF_KIND_BYTES, REEF_KIND_JSON, REEF_KIND_OTHER
	};
	const ReefValue values[] = {
		{.as.bytes = {NULL, 0}},
		{.as.bytes = {(const uint8_t *) "\0", 1}},
		{.as.bytes = {(const uint8_t *) "B", 1}},
		{.as.bytes = {(const uint8_t *) "a", 1}},
		{.as.bytes = {(const uint8_t *) "aa", 2}},
		{.as.bytes = {(const uint8_t *) "\xc3\xa9", 2}},
	};
	const ReefValue uuids[] = {
		{.as.uuid = {0}}, {.as.uuid = {0, 1}}, {.as.uuid = {1}},
		{.as.uuid = {0x80}}
	};
	size_t		i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		check_ascending(kinds[i], values, COUNT(values));
	check_ascending(REEF_KIND_UUID, uuids, COUNT(uuids));
}

/* Three rows of each kind, the second null. */
static void
check_vector(ReefKind kind, const void *values, const ReefValue *expected)
{
	static const uint8_t nulls[3] = {0, 1, 0};
	ReefVector	vector = {kind, nulls, values};
	ReefValue	value;

	reef_vector_get(&vector, 0, &value);
	UNIT_CHECK(!value.is_null);
	reef_vector_get(&vector, 1, &value);
	UNIT_CHECK(value.is_null);
	reef_vector_get(&vector, 2, &value);
	UNIT_CHECK(!value.is_null);
	UNIT_EQUAL_INT(reef_value_compare(kind, &value, expected), 0);

	vector.nulls = NULL;
	reef_vector_get(&vector, 1, &value);
	UNIT_CHECK(!value.is_null);
}

UNIT_TEST(test_value__vectors_give_their_values)
{
	const uint8_t bools[3] = {0, 0, 1};
	const int16_t int16s[3] = {1, 2, -3};
	const int32_t int32s[3] = {1, 2, -3};
	const int64_t int64s[3] = {1, 2, -3};
	const float floats[3] = {1, 2, -3};
	const double doubles[3] = {1, 2, -3};
	const ReefInt128 int128s[3] = {1, 2, -3};
	const uint8_t uuids[3][16] = {{1}, {2}, {3}};
	const ReefSlice slices[3] = {{NULL, 0}, {NULL, 0},
	{(const uint8_t *) "xy", 2}};
	const ReefValue boolean = {.as.boolean = true};
	const ReefValue int16 = {.as.int16 = -3};
	const ReefValue int32 = {.as.int32 = -3};
	const ReefValue int64 = {.as.int64 = -3};
	const ReefValue float32 = {.as.float32 = -3};
	const ReefValue float64 = {.as.float64 = -3};
	const ReefValue int128 = {.as.int128 = -3};
	const ReefValue uuid = {.as.uuid = {3}};
	const ReefValue bytes = {.as.bytes = {(const uint8_t *) "xy", 2}};

	check_vector(REEF_KIND_BOOL, bools, &boolean);
	check_vector(REEF_KIND_INT16, int16s, &int16);
	check_vector(REEF_KIND_INT32, int32s, &int32);
	check_vector(REEF_KIND_DATE, int32s, &int32);
	check_vector(REEF_KIND_INT64, int64s, &int64);
	check_vector(REEF_KIND_TIMESTAMPTZ, int64s, &int64);
	check_vector(REEF_KIND_FLOAT32, floats, &float32);
	check_vector(REEF_KIND_FLOAT64, doubles, &float64);
	check_vector(REEF_KIND_DECIMAL128, int128s, &int128);
	check_vector(REEF_KIND_UUID, uuids, &uuid);
	check_vector(REEF_KIND_TEXT, slices, &bytes);
}
