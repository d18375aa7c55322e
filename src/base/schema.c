/*
 * schema.c
 *	  Columns by name, and the union of what writers declare.
 *
 * Tables in several clusters may share a namespace and be altered one at a
 * time, so the stored schema only ever grows: it gains columns, and a column
 * gains width.  Rows that were written before keep their old bytes and are
 * widened when they are read; keys need no change at all, because a column's
 * key encoding is the same for every width it can grow to (document.h).
 */
#include "base/schema.h"

#include <assert.h>
#include <string.h>

/* May be absent: the engine's own columns have no PostgreSQL type. */
static bool
pg_types_equal(const ReefType *a, const ReefType *b)
{
	if (a->pg_type == NULL || b->pg_type == NULL)
		return a->pg_type == b->pg_type;
	return strcmp(a->pg_type, b->pg_type) == 0;
}

static const char *
type_name(const ReefType *type)
{
	return type->pg_type != NULL ? type->pg_type : reef_kind_name(type->kind);
}

static ReefCode
copy_column(ReefArena *arena, const ReefColumn *column, ReefColumn *copy,
			ReefError *err)
{
	*copy = *column;
	copy->name = reef_arena_strdup(arena, column->name);
	if (copy->name == NULL)
		return reef_error_no_memory(err, strlen(column->name) + 1);
	if (column->type.pg_type != NULL)
	{
		copy->type.pg_type = reef_arena_strdup(arena, column->type.pg_type);
		if (copy->type.pg_type == NULL)
			return reef_error_no_memory(err, strlen(column->type.pg_type) + 1);
	}
	return REEF_OK;
}

/* Copy into an array that has room for "capacity" columns. */
static ReefCode
copy_columns(ReefArena *arena, const ReefSchema *schema, int capacity,
			 ReefSchema *copy, ReefError *err)
{
	size_t		size = (size_t) capacity * sizeof(ReefColumn);
	int			i;

	copy->column_count = schema->column_count;
	copy->columns = reef_arena_alloc(arena, size);
	if (copy->columns == NULL)
		return reef_error_no_memory(err, size);
	for (i = 0; i < schema->column_count; i++)
		REEF_TRY(copy_column(arena, &schema->columns[i], &copy->columns[i],
							 err));
	return REEF_OK;
}

ReefCode
reef_schema_copy(ReefArena *arena, const ReefSchema *schema, ReefSchema *copy,
				 ReefError *err)
{
	return copy_columns(arena, schema, schema->column_count, copy, err);
}

int
reef_schema_find(const ReefSchema *schema, const char *name)
{
	int			i;

	for (i = 0; i < schema->column_count; i++)
	{
		if (strcmp(schema->columns[i].name, name) == 0)
			return i;
	}
	return -1;
}

int
reef_schema_key_count(const ReefSchema *schema)
{
	int			count = 0;
	int			i;

	for (i = 0; i < schema->column_count; i++)
	{
		if (schema->columns[i].key_position > 0)
			count++;
	}
	return count;
}

int
reef_schema_key_column(const ReefSchema *schema, int key_position)
{
	int			i;

	assert(key_position > 0);
	for (i = 0; i < schema->column_count; i++)
	{
		if (schema->columns[i].key_position == key_position)
			return i;
	}
	return -1;
}

static bool
is_decimal(ReefKind kind)
{
	return kind == REEF_KIND_DECIMAL64 || kind == REEF_KIND_DECIMAL128;
}

/*
 * char(n) is stored without its padding, and reads as itself only: as text it
 * would compare by other rules.
 */
static bool
is_padded_text(const ReefType *type)
{
	return type->pg_type != NULL &&
		(strncmp(type->pg_type, "character(", 10) == 0 ||
		 strcmp(type->pg_type, "bpchar") == 0);
}

bool
reef_type_widens(const ReefType *stored, const ReefType *wanted)
{
	if (is_decimal(stored->kind) && is_decimal(wanted->kind))
		return stored->scale == wanted->scale &&
			stored->precision <= wanted->precision;

	switch (stored->kind)
	{
		case REEF_KIND_INT16:
			return wanted->kind == REEF_KIND_INT16 ||
				wanted->kind == REEF_KIND_INT32 ||
				wanted->kind == REEF_KIND_INT64;
		case REEF_KIND_INT32:
			return wanted->kind == REEF_KIND_INT32 ||
				wanted->kind == REEF_KIND_INT64;
		case REEF_KIND_FLOAT32:
			return wanted->kind == REEF_KIND_FLOAT32 ||
				wanted->kind == REEF_KIND_FLOAT64;
		case REEF_KIND_TEXT:
			if (wanted->kind != REEF_KIND_TEXT)
				return false;
			if (is_padded_text(stored) || is_padded_text(wanted))
				return pg_types_equal(stored, wanted);
			return wanted->length < 0 ||
				(stored->length >= 0 && stored->length <= wanted->length);
		case REEF_KIND_BOOL:
		case REEF_KIND_INT64:
		case REEF_KIND_FLOAT64:
		case REEF_KIND_BYTES:
		case REEF_KIND_UUID:
		case REEF_KIND_DATE:
			return stored->kind == wanted->kind;
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			/* timestamp(3), json or jsonb, ...: only the name tells */
			return stored->kind == wanted->kind &&
				pg_types_equal(stored, wanted);
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_DECIMAL128:
			return false;
	}
	return false;
}

/* The same columns at the same places of the key? */
static ReefCode
check_keys(const ReefSchema *stored, const ReefSchema *declared,
		   ReefError *err)
{
	int			stored_count = reef_schema_key_count(stored);
	int			declared_count = reef_schema_key_count(declared);
	int			position;

	if (stored_count != declared_count)
		return reef_error_set(err, REEF_COLUMN_MISMATCH,
							  "key differs from the stored one",
							  "the stored key has %d columns, the declared one has %d",
							  stored_count, declared_count);
	for (position = 1; position <= stored_count; position++)
	{
		int			s = reef_schema_key_column(stored, position);
		int			d = reef_schema_key_column(declared, position);
		const char *s_name = s < 0 ? "" : stored->columns[s].name;
		const char *d_name = d < 0 ? "" : declared->columns[d].name;

		if (strcmp(s_name, d_name) != 0)
			return reef_error_set(err, REEF_COLUMN_MISMATCH,
								  "key differs from the stored one",
								  "column %d of the stored key is \"%s\", of the declared one \"%s\"",
								  position, s_name, d_name);
	}
	return REEF_OK;
}

/* Merge a declared column into the stored one of the same name. */
static ReefCode
merge_column(ReefArena *arena, ReefColumn *column, const ReefColumn *declared,
			 bool *changed, ReefError *err)
{
	if (!reef_type_widens(&declared->type, &column->type))
	{
		ReefColumn	copy;

		if (!reef_type_widens(&column->type, &declared->type))
			return reef_error_set(err, REEF_TYPE_MISMATCH,
								  "column type differs from the stored one",
								  "column \"%s\" is stored as %s and declared as %s",
								  column->name, type_name(&column->type),
								  type_name(&declared->type));
		REEF_TRY(copy_column(arena, declared, &copy, err));
		column->type = copy.type;
		*changed = true;
	}
	if (column->not_null && !declared->not_null)
	{
		column->not_null = false;
		*changed = true;
	}
	if (declared->has_bloom && !column->has_bloom)
	{
		column->has_bloom = true;
		*changed = true;
	}
	return REEF_OK;
}

ReefCode
reef_schema_merge(ReefArena *arena, const ReefSchema *stored,
				  const ReefSchema *declared, ReefSchema *merged,
				  bool *changed, ReefError *err)
{
	bool		is_new = stored->column_count == 0;
	int			i;

	*changed = false;
	if (!is_new)
		REEF_TRY(check_keys(stored, declared, err));
	REEF_TRY(copy_columns(arena, stored,
						  stored->column_count + declared->column_count,
						  merged, err));

	/* A writer that does not know a column leaves it null. */
	for (i = 0; i < stored->column_count; i++)
	{
		ReefColumn *column = &merged->columns[i];

		if (column->not_null && reef_schema_find(declared, column->name) < 0)
		{
			column->not_null = false;
			*changed = true;
		}
	}

	for (i = 0; i < declared->column_count; i++)
	{
		const ReefColumn *column = &declared->columns[i];
		int			place = reef_schema_find(merged, column->name);

		if (place >= 0)
		{
			REEF_TRY(merge_column(arena, &merged->columns[place], column,
								  changed, err));
			continue;
		}
		if (merged->column_count >= REEF_COLUMN_MAX_COUNT)
			return reef_error_set(err, REEF_LIMIT, "too many columns",
								  "with column \"%s\" there would be more than %d",
								  column->name, REEF_COLUMN_MAX_COUNT);
		place = merged->column_count++;
		REEF_TRY(copy_column(arena, column, &merged->columns[place], err));
		/* Rows written before have no value for it. */
		if (!is_new)
			merged->columns[place].not_null = false;
		*changed = true;
	}
	return REEF_OK;
}

void
reef_value_widen(const ReefType *stored, const ReefType *wanted,
				 ReefValue *value)
{
	assert(reef_type_widens(stored, wanted));
	if (value->is_null || stored->kind == wanted->kind)
		return;

	if (stored->kind == REEF_KIND_INT16 && wanted->kind == REEF_KIND_INT32)
		value->as.int32 = value->as.int16;
	else if (stored->kind == REEF_KIND_INT16)
		value->as.int64 = value->as.int16;
	else if (stored->kind == REEF_KIND_INT32)
		value->as.int64 = value->as.int32;
	else if (stored->kind == REEF_KIND_FLOAT32)
		value->as.float64 = (double) value->as.float32;
	else if (stored->kind == REEF_KIND_DECIMAL64 &&
			 wanted->kind == REEF_KIND_DECIMAL128)
		value->as.int128 = value->as.int64 == REEF_DECIMAL64_NAN ?
			REEF_DECIMAL128_NAN : value->as.int64;
}
