/*
 * test_schema.c
 *	  Which types widen to which, and what becomes of a schema when writers
 *	  declare different ones.
 */
#include <stdio.h>
#include <string.h>

#include "base/schema.h"
#include "unit.h"

/* The types of the matrix; "widens" lists the other types each one widens to. */
static const struct
{
	ReefType	type;
	const char *widens;
}			types[] = {
	{{REEF_KIND_BOOL, 0, 0, -1, "boolean"}, ""},
	{{REEF_KIND_INT16, 0, 0, -1, "smallint"}, "integer|bigint"},
	{{REEF_KIND_INT32, 0, 0, -1, "integer"}, "bigint"},
	{{REEF_KIND_INT64, 0, 0, -1, "bigint"}, ""},
	{{REEF_KIND_FLOAT32, 0, 0, -1, "real"}, "double precision"},
	{{REEF_KIND_FLOAT64, 0, 0, -1, "double precision"}, ""},
	{{REEF_KIND_DECIMAL64, 5, 2, -1, "numeric(5,2)"},
	"numeric(18,2)|numeric(30,2)"},
	{{REEF_KIND_DECIMAL64, 18, 2, -1, "numeric(18,2)"}, "numeric(30,2)"},
	{{REEF_KIND_DECIMAL128, 30, 2, -1, "numeric(30,2)"}, ""},
	{{REEF_KIND_DECIMAL64, 18, 3, -1, "numeric(18,3)"}, ""},
	{{REEF_KIND_TEXT, 0, 0, 10, "character varying(10)"},
	"character varying(20)|character varying|text"},
	{{REEF_KIND_TEXT, 0, 0, 20, "character varying(20)"},
	"character varying|text"},
	/* these two hold the same values */
	{{REEF_KIND_TEXT, 0, 0, -1, "character varying"}, "text"},
	{{REEF_KIND_TEXT, 0, 0, -1, "text"}, "character varying"},
	{{REEF_KIND_TEXT, 0, 0, 10, "character(10)"}, ""},
	{{REEF_KIND_TEXT, 0, 0, 20, "character(20)"}, ""},
	{{REEF_KIND_BYTES, 0, 0, -1, "bytea"}, ""},
	{{REEF_KIND_UUID, 0, 0, -1, "uuid"}, ""},
	{{REEF_KIND_DATE, 0, 0, -1, "date"}, ""},
	{{REEF_KIND_TIME, 0, 0, -1, "time without time zone"}, ""},
	{{REEF_KIND_TIMESTAMP, 0, 0, -1, "timestamp without time zone"}, ""},
	{{REEF_KIND_TIMESTAMP, 0, 0, -1, "timestamp(3) without time zone"}, ""},
	{{REEF_KIND_TIMESTAMPTZ, 0, 0, -1, "timestamp with time zone"}, ""},
	{{REEF_KIND_JSON, 0, 0, -1, "json"}, ""},
	{{REEF_KIND_JSON, 0, 0, -1, "jsonb"}, ""},
	{{REEF_KIND_OTHER, 0, 0, -1, "inet"}, ""},
	{{REEF_KIND_OTHER, 0, 0, -1, "numeric"}, ""},
};

#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

static const ReefType *
type_named(const char *pg_type)
{
	size_t		i;

	for (i = 0; i < TYPE_COUNT; i++)
	{
		if (strcmp(types[i].type.pg_type, pg_type) == 0)
			return &types[i].type;
	}
	UNIT_FAIL("no type %s", pg_type);
}

/* Is "word" one of the words between bars? */
static bool
list_has(const char *list, const char *word)
{
	size_t		size = strlen(word);

	while (*list != '\0')
	{
		size_t		length = strcspn(list, "|");

		if (length == size && strncmp(list, word, size) == 0)
			return true;
		list += length + (list[length] == '|');
	}
	return false;
}

UNIT_TEST(test_schema__types_widen_as_documented_and_in_no_other_way)
{
	size_t		from;
	size_t		to;

	for (from = 0; from < TYPE_COUNT; from++)
	{
		for (to = 0; to < TYPE_COUNT; to++)
		{
			const char *to_name = types[to].type.pg_type;
			bool		expected = from == to ||
				list_has(types[from].widens, to_name);

			if (reef_type_widens(&types[from].type, &types[to].type) !=
				expected)
				UNIT_FAIL("%s widens to %s: should be %d",
						  types[from].type.pg_type, to_name, expected);
		}
	}
}

static ReefColumn
column(const char *name, const char *pg_type, int key_position)
{
	ReefColumn	result = {
		.name = name, .type = *type_named(pg_type),
		.key_position = key_position, .not_null = key_position > 0
	};

	return result;
}

typedef struct Merge
{
	ReefArena	arena;
	ReefSchema	merged;
	bool		changed;
	ReefError	err;
	ReefCode	rc;
} Merge;

static void
merge(Merge *m, ReefColumn *stored, int stored_count, ReefColumn *declared,
	  int declared_count)
{
	ReefSchema	stored_schema = {stored_count, stored};
	ReefSchema	declared_schema = {declared_count, declared};

	memset(m, 0, sizeof(*m));
	reef_arena_init(&m->arena, 0);
	m->rc = reef_schema_merge(&m->arena, &stored_schema, &declared_schema,
							  &m->merged, &m->changed, &m->err);
}

UNIT_TEST(test_schema__the_first_writer_decides)
{
	ReefColumn	declared[] = {column("id", "integer", 1),
	column("note", "text", 0)};
	Merge		m;

	declared[1].not_null = true;
	merge(&m, NULL, 0, declared, 2);
	UNIT_OK(m.rc, &m.err);
	UNIT_CHECK(m.changed);
	UNIT_EQUAL_INT(m.merged.column_count, 2);
	UNIT_EQUAL_STRING(m.merged.columns[1].name, "note");
	UNIT_EQUAL_STRING(m.merged.columns[1].type.pg_type, "text");
	UNIT_CHECK(m.merged.columns[1].not_null);
	UNIT_EQUAL_INT(m.merged.columns[0].key_position, 1);
	reef_arena_release(&m.arena);
}

UNIT_TEST(test_schema__the_same_schema_again_changes_nothing)
{
	ReefColumn	columns[] = {column("id", "integer", 1),
	column("note", "text", 0), column("n", "character varying(10)", 0)};
	Merge		m;

	columns[1].not_null = true;
	columns[2].has_bloom = true;
	merge(&m, columns, 3, columns, 3);
	UNIT_OK(m.rc, &m.err);
	UNIT_CHECK(!m.changed);
	UNIT_EQUAL_INT(m.merged.column_count, 3);
	UNIT_CHECK(m.merged.columns[1].not_null);
	UNIT_CHECK(m.merged.columns[2].has_bloom);
	reef_arena_release(&m.arena);
}

UNIT_TEST(test_schema__new_columns_are_added_and_may_be_null)
{
	ReefColumn	stored[] = {column("id", "integer", 1)};
	ReefColumn	declared[] = {column("added", "date", 0),
	column("id", "integer", 1)};
	Merge		m;

	declared[0].not_null = true;
	merge(&m, stored, 1, declared, 2);
	UNIT_OK(m.rc, &m.err);
	UNIT_CHECK(m.changed);
	UNIT_EQUAL_INT(m.merged.column_count, 2);
	UNIT_EQUAL_STRING(m.merged.columns[0].name, "id");
	UNIT_EQUAL_STRING(m.merged.columns[1].name, "added");
	UNIT_CHECK(!m.merged.columns[1].not_null);
	reef_arena_release(&m.arena);
}

UNIT_TEST(test_schema__a_column_that_a_writer_leaves_out_may_be_null)
{
	ReefColumn	stored[] = {column("id", "integer", 1),
	column("a", "text", 0)};
	ReefColumn	declared[] = {column("id", "integer", 1)};
	Merge		m;

	stored[1].not_null = true;
	merge(&m, stored, 2, declared, 1);
	UNIT_OK(m.rc, &m.err);
	UNIT_CHECK(m.changed);
	UNIT_EQUAL_INT(m.merged.column_count, 2);
	UNIT_CHECK(m.merged.columns[0].not_null);
	UNIT_CHECK(!m.merged.columns[1].not_null);

	reef_arena_release(&m.arena);
	stored[1].not_null = false;
	merge(&m, stored, 2, declared, 1);
	UNIT_OK(m.rc, &m.err);
	UNIT_CHECK(!m.changed);
	reef_arena_release(&m.arena);
}

UNIT_TEST(test_schema__wider_types_win_whoever_declares_them)
{
	size_t		a;
	size_t		b;

	for (a = 0; a < TYPE_COUNT; a++)
	{
		for (b = 0; b < TYPE_COUNT; b++)
		{
			const char *a_name = types[a].type.pg_type;
			const char *b_name = types[b].type.pg_type;
			bool		wider = list_has(types[a].widens, b_name);
			bool		narrower = list_has(types[b].widens, a_name);
			ReefColumn	stored[] = {column("id", "integer", 1),
			column("x", a_name, 0)};
			ReefColumn	declared[] = {column("id", "integer", 1),
			column("x", b_name, 0)};
			Merge		m;

			merge(&m, stored, 2, declared, 2);
			if (a == b || narrower)
			{
				UNIT_OK(m.rc, &m.err);
				UNIT_CHECK(!m.changed);
				UNIT_EQUAL_STRING(m.merged.columns[1].type.pg_type, a_name);
			}
			else if (wider)
			{
				UNIT_OK(m.rc, &m.err);
				UNIT_CHECK(m.changed);
				UNIT_EQUAL_STRING(m.merged.columns[1].type.pg_type, b_name);
				UNIT_EQUAL_INT(m.merged.columns[1].type.kind,
							   types[b].type.kind);
			}
			else
			{
				UNIT_CODE(m.rc, REEF_TYPE_MISMATCH, &m.err);
				UNIT_CHECK(strstr(m.err.detail, "\"x\"") != NULL);
				UNIT_CHECK(strstr(m.err.detail, a_name) != NULL);
				UNIT_CHECK(strstr(m.err.detail, b_name) != NULL);
			}
			reef_arena_release(&m.arena);
		}
	}
}

UNIT_TEST(test_schema__a_key_may_widen_but_not_change)
{
	ReefColumn	stored[] = {column("a", "integer", 1),
	column("b", "text", 2)};
	ReefColumn	wider[] = {column("a", "bigint", 1), column("b", "text", 2)};
	ReefColumn	swapped[] = {column("a", "integer", 2),
	column("b", "text", 1)};
	ReefColumn	shorter[] = {column("a", "integer", 1),
	column("b", "text", 0)};
	ReefColumn	other[] = {column("a", "integer", 1), column("b", "text", 0),
	column("c", "text", 2)};
	Merge		m;

	merge(&m, stored, 2, wider, 2);
	UNIT_OK(m.rc, &m.err);
	UNIT_EQUAL_INT(m.merged.columns[0].type.kind, REEF_KIND_INT64);
	UNIT_EQUAL_INT(m.merged.columns[0].key_position, 1);
	reef_arena_release(&m.arena);
	merge(&m, stored, 2, swapped, 2);
	UNIT_CODE(m.rc, REEF_COLUMN_MISMATCH, &m.err);
	reef_arena_release(&m.arena);
	merge(&m, stored, 2, shorter, 2);
	UNIT_CODE(m.rc, REEF_COLUMN_MISMATCH, &m.err);
	reef_arena_release(&m.arena);
	merge(&m, stored, 2, other, 3);
	UNIT_CODE(m.rc, REEF_COLUMN_MISMATCH, &m.err);
	reef_arena_release(&m.arena);
}

UNIT_TEST(test_schema__not_null_is_lost_and_bloom_is_gained)
{
	ReefColumn	stored[] = {column("id", "integer", 1),
	column("a", "text", 0)};
	ReefColumn	declared[] = {column("id", "integer", 1),
	column("a", "text", 0)};
	Merge		m;

	stored[1].not_null = true;
	declared[1].has_bloom = true;
	merge(&m, stored, 2, declared, 2);
	UNIT_OK(m.rc, &m.err);
	UNIT_CHECK(m.changed);
	UNIT_CHECK(!m.merged.columns[1].not_null);
	UNIT_CHECK(m.merged.columns[1].has_bloom);
	reef_arena_release(&m.arena);

	/* and neither goes the other way */
	merge(&m, declared, 2, stored, 2);
	UNIT_OK(m.rc, &m.err);
	UNIT_CHECK(!m.changed);
	UNIT_CHECK(!m.merged.columns[1].not_null);
	UNIT_CHECK(m.merged.columns[1].has_bloom);
	reef_arena_release(&m.arena);
}

UNIT_TEST(test_schema__too_many_columns_are_a_limit)
{
	static char names[REEF_COLUMN_MAX_COUNT + 1][16];
	static ReefColumn columns[REEF_COLUMN_MAX_COUNT + 1];
	Merge		m;
	int			i;

	for (i = 0; i <= REEF_COLUMN_MAX_COUNT; i++)
	{
		(void) snprintf(names[i], sizeof(names[i]), "c%d", i);
		columns[i] = column(names[i], "integer", i == 0 ? 1 : 0);
	}
	merge(&m, columns, 1, columns, REEF_COLUMN_MAX_COUNT);
	UNIT_OK(m.rc, &m.err);
	UNIT_EQUAL_INT(m.merged.column_count, REEF_COLUMN_MAX_COUNT);
	reef_arena_release(&m.arena);
	merge(&m, columns, 1, columns, REEF_COLUMN_MAX_COUNT + 1);
	UNIT_CODE(m.rc, REEF_LIMIT, &m.err);
	reef_arena_release(&m.arena);
}

UNIT_TEST(test_schema__a_copy_shares_nothing)
{
	char		name[] = "id";
	char		pg_type[] = "integer";
	ReefColumn	columns[1];
	ReefSchema	schema = {1, columns};
	ReefSchema	copy;
	ReefArena	arena;
	ReefError	err;

	reef_error_init(&err);
	columns[0] = column("id", "integer", 1);
	columns[0].name = name;
	columns[0].type.pg_type = pg_type;
	reef_arena_init(&arena, 0);
	UNIT_OK(reef_schema_copy(&arena, &schema, &copy, &err), &err);
	memset(name, 'z', 2);
	memset(pg_type, 'z', 7);
	memset(columns, 0xff, sizeof(columns));
	UNIT_EQUAL_INT(copy.column_count, 1);
	UNIT_EQUAL_STRING(copy.columns[0].name, "id");
	UNIT_EQUAL_STRING(copy.columns[0].type.pg_type, "integer");
	UNIT_EQUAL_INT(copy.columns[0].key_position, 1);
	reef_arena_release(&arena);
}

UNIT_TEST(test_schema__an_exhausted_arena_is_an_error_at_every_step)
{
	ReefColumn	columns[] = {column("id", "integer", 1),
	column("note", "text", 0)};
	ReefSchema	schema = {2, columns};
	bool		succeeded = false;
	size_t		limit;

	for (limit = 1; !succeeded; limit += 16)
	{
		ReefArena	arena;
		ReefSchema	copy;
		ReefError	err;
		ReefCode	rc;

		UNIT_CHECK(limit < 10000);
		reef_error_init(&err);
		reef_arena_init(&arena, limit);
		rc = reef_schema_copy(&arena, &schema, &copy, &err);
		if (rc == REEF_OK)
			succeeded = true;
		else
			UNIT_CODE(rc, REEF_NO_MEMORY, &err);
		reef_arena_release(&arena);
	}
}

UNIT_TEST(test_schema__columns_are_found_by_name_and_by_place_in_the_key)
{
	ReefColumn	columns[] = {column("a", "text", 2), column("b", "text", 0),
	column("c", "text", 1)};
	ReefSchema	schema = {3, columns};

	UNIT_EQUAL_INT(reef_schema_find(&schema, "b"), 1);
	UNIT_EQUAL_INT(reef_schema_find(&schema, "B"), -1);
	UNIT_EQUAL_INT(reef_schema_key_count(&schema), 2);
	UNIT_EQUAL_INT(reef_schema_key_column(&schema, 1), 2);
	UNIT_EQUAL_INT(reef_schema_key_column(&schema, 2), 0);
	UNIT_EQUAL_INT(reef_schema_key_column(&schema, 3), -1);
}

UNIT_TEST(test_schema__widened_values_keep_their_value)
{
	ReefValue	value = {.as.int16 = INT16_MIN};

	reef_value_widen(type_named("smallint"), type_named("integer"), &value);
	UNIT_EQUAL_INT(value.as.int32, INT16_MIN);
	reef_value_widen(type_named("integer"), type_named("bigint"), &value);
	UNIT_EQUAL_INT(value.as.int64, INT16_MIN);

	memset(&value, 0, sizeof(value));
	value.as.int16 = -7;
	reef_value_widen(type_named("smallint"), type_named("bigint"), &value);
	UNIT_EQUAL_INT(value.as.int64, -7);

	value.as.float32 = -0.1f;
	reef_value_widen(type_named("real"), type_named("double precision"),
					 &value);
	UNIT_CHECK(value.as.float64 == (double) -0.1f);

	value.as.int64 = -123;
	reef_value_widen(type_named("numeric(5,2)"), type_named("numeric(18,2)"),
					 &value);
	UNIT_EQUAL_INT(value.as.int64, -123);
	reef_value_widen(type_named("numeric(5,2)"), type_named("numeric(30,2)"),
					 &value);
	UNIT_CHECK(value.as.int128 == -123);

	value.as.int64 = REEF_DECIMAL64_NAN;
	reef_value_widen(type_named("numeric(5,2)"), type_named("numeric(30,2)"),
					 &value);
	UNIT_CHECK(value.as.int128 == REEF_DECIMAL128_NAN);

	memset(&value, 0, sizeof(value));
	value.is_null = true;
	reef_value_widen(type_named("smallint"), type_named("bigint"), &value);
	UNIT_CHECK(value.is_null);
}
