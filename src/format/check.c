/*
 * check.c
 *	  What must hold of schemas, segments' descriptions and manifests.
 */
#include "format/check.h"

#include <stdlib.h>

#include "base/document.h"

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Sorts "names"; one that occurs twice, or NULL. */
static const char *
find_duplicate(const char **names, int count)
{
	int			i;

	qsort(names, (size_t) count, sizeof(names[0]), compare_names);
	for (i = 1; i < count; i++)
	{
		if (strcmp(names[i - 1], names[i]) == 0)
			return names[i];
	}
	return NULL;
}

bool
reef_utf8_is_valid(ReefSlice text)
{
	size_t		i = 0;

	while (i < text.size)
	{
		unsigned	lead = text.data[i++];
		uint32_t	point;
		uint32_t	min;
		int			more;

		if (lead < 0x80)
			continue;
		if (lead < 0xc2 || lead > 0xf4)
			return false;
		more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
		min = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
		point = lead & (0x3fU >> more);
		for (; more > 0; more--)
		{
			if (i == text.size || (text.data[i] & 0xc0) != 0x80)
				return false;
			point = point << 6 | (text.data[i++] & 0x3f);
		}
		if (point < min || point > 0x10ffff ||
			(point >= 0xd800 && point <= 0xdfff))
			return false;
	}
	return true;
}

static bool
name_is_valid(const char *name)
{
	return name != NULL && name[0] != '\0' &&
		strlen(name) <= REEF_COLUMN_NAME_MAX_SIZE &&
		reef_utf8_is_valid(reef_slice_of_string(name));
}

/* What is wrong with a type, or NULL. */
static const char *
type_problem(const ReefType *type)
{
	int			max_precision = 0;
	int			min_precision = 0;

	if (type->kind == 0 || !reef_kind_is_valid(type->kind))
		return "a kind that does not exist";
	if (type->kind == REEF_KIND_DECIMAL64)
	{
		min_precision = 1;
		max_precision = 18;
	}
	else if (type->kind == REEF_KIND_DECIMAL128)
	{
		min_precision = 1;
		max_precision = 38;
	}
	if (type->precision < min_precision || type->precision > max_precision)
		return "a precision that its kind cannot have";
	if (type->scale > type->precision)
		return "a scale that its precision cannot have";
	if (type->length < -1)
		return "a negative length";
	if (type->pg_type != NULL &&
		(strlen(type->pg_type) > REEF_TYPE_NAME_MAX_SIZE ||
		 !reef_utf8_is_valid(reef_slice_of_string(type->pg_type))))
		return "a type name that is too long or not UTF-8";
	return NULL;
}

static ReefCode
schema_error(ReefCode code, int column, const char *problem, ReefError *err)
{
	return reef_error_set(err, code,
						  code == REEF_CORRUPT ? "stored schema is damaged" :
						  "invalid schema", "column %d has %s", column,
						  problem);
}

ReefCode
reef_schema_check(const ReefSchema *schema, ReefCode code, ReefError *err)
{
	const char *names[REEF_COLUMN_MAX_COUNT];
	uint8_t		key_columns[REEF_COLUMN_MAX_COUNT + 1] = {0};
	int			key_count = 0;
	int			i;

	if (schema->column_count < 0 ||
		schema->column_count > REEF_COLUMN_MAX_COUNT)
		return reef_error_set(err, code, "too many columns",
							  "%d columns, the limit is %d",
							  schema->column_count, REEF_COLUMN_MAX_COUNT);
	for (i = 0; i < schema->column_count; i++)
	{
		const ReefColumn *column = &schema->columns[i];
		const char *problem = type_problem(&column->type);
		int			position = column->key_position;

		if (!name_is_valid(column->name))
			problem = "no name, one that is too long or not UTF-8";
		else if (position < 0 || position > schema->column_count ||
				 (position > 0 && key_columns[position] != 0))
			problem = "an impossible key position";
		else if (problem == NULL && position > 0 &&
				 !reef_key_kind_is_allowed(column->type.kind))
			problem = "a kind that cannot be in a key";
		if (problem != NULL)
			return schema_error(code, i, problem, err);
		names[i] = column->name;
		if (position > 0)
		{
			key_columns[position] = 1;
			key_count++;
		}
	}
	for (i = 1; i <= key_count; i++)
	{
		if (key_columns[i] == 0)
			return reef_error_set(err, code, "invalid schema",
								  "no column has key position %d", i);
	}
	if (find_duplicate(names, schema->column_count) != NULL)
		return reef_error_set(err, code, "invalid schema",
							  "column \"%s\" occurs twice",
							  find_duplicate(names, schema->column_count));
	return REEF_OK;
}

/* What is wrong with one column's statistics, or NULL. */
static const char *
stats_problem(const ReefSegmentMeta *meta, const ReefColumnStats *stats)
{
	if (!name_is_valid(stats->name))
		return "without a valid name";
	if (stats->null_count > meta->row_count)
		return "with more nulls than rows";
	if (!stats->has_min_max)
		return NULL;
	if (stats->kind == 0 || !reef_kind_is_valid(stats->kind))
		return "of a kind that does not exist";
	if (stats->min.is_null || stats->max.is_null)
		return "with a null as a bound";
	if (reef_value_compare(stats->kind, &stats->min, &stats->max) > 0)
		return "with a minimum above its maximum";
	return NULL;
}

ReefCode
reef_segment_meta_check(const ReefSegmentMeta *meta, ReefCode code,
						ReefError *err)
{
	const char *names[REEF_COLUMN_MAX_COUNT];
	const char *message = code == REEF_CORRUPT ?
		"description of a segment is damaged" : "invalid segment";
	const char *problem = NULL;
	int			i;

	if (meta->level < 0 || meta->level > 1)
		problem = "its level does not exist";
	else if (meta->row_count > INT64_MAX || meta->size > INT64_MAX)
		problem = "its size is impossible";
	else if (meta->level == 1 && meta->tombstone_count > 0)
		problem = "it has tombstones in level 1";
	else if (meta->tombstone_count > meta->row_count ||
			 meta->superseding_count > meta->row_count)
		problem = "it counts more rows than it has";
	else if (meta->key_min.size > REEF_KEY_MAX_SIZE ||
			 meta->key_max.size > REEF_KEY_MAX_SIZE)
		problem = "a key is too large";
	else if (reef_slice_compare(meta->key_min, meta->key_max) > 0)
		problem = "its lowest key is above its highest";
	else if (meta->stats_count < 0 ||
			 meta->stats_count > REEF_COLUMN_MAX_COUNT)
		problem = "it has statistics of too many columns";
	if (problem != NULL)
		return reef_error_set(err, code, message, "%s", problem);

	for (i = 0; i < meta->stats_count; i++)
	{
		problem = stats_problem(meta, &meta->stats[i]);
		if (problem != NULL)
			return reef_error_set(err, code, message,
								  "it has statistics %s (column %d)", problem,
								  i);
		names[i] = meta->stats[i].name;
	}
	if (find_duplicate(names, meta->stats_count) != NULL)
		return reef_error_set(err, code, message,
							  "it has two statistics of column \"%s\"",
							  find_duplicate(names, meta->stats_count));
	return REEF_OK;
}

static int
compare_slices(const void *a, const void *b)
{
	return reef_slice_compare(*(const ReefSlice *) a, *(const ReefSlice *) b);
}

/* REEF_OK if all are different; sorts "slices". */
static ReefCode
check_different(ReefSlice *slices, int count, const char *what, ReefCode code,
				ReefError *err)
{
	int			i;

	qsort(slices, (size_t) count, sizeof(slices[0]), compare_slices);
	for (i = 1; i < count; i++)
	{
		if (reef_slice_equal(slices[i - 1], slices[i]))
			return reef_error_set(err, code, "invalid manifest",
								  "it names one %s twice", what);
	}
	return REEF_OK;
}

/* Ids and keys that may occur only once. */
static ReefCode
check_unique(const ReefManifest *manifest, ReefCode code, ReefError *err)
{
	size_t		count = (size_t) manifest->segment_count;
	ReefSlice  *slices;
	ReefCode	rc;
	int			i;

	if (count < (size_t) manifest->idempotency_count)
		count = (size_t) manifest->idempotency_count;
	if (count < (size_t) manifest->transaction_count)
		count = (size_t) manifest->transaction_count;
	if (count == 0)
		return REEF_OK;
	slices = malloc(count * sizeof(*slices));
	if (slices == NULL)
		return reef_error_no_memory(err, count * sizeof(*slices));

	for (i = 0; i < manifest->segment_count; i++)
		slices[i] = reef_slice(manifest->segments[i].id, 16);
	rc = check_different(slices, i, "segment", code, err);
	for (i = 0; rc == REEF_OK && i < manifest->idempotency_count; i++)
		slices[i] = manifest->idempotency[i].key;
	if (rc == REEF_OK)
		rc = check_different(slices, i, "idempotency key", code, err);
	for (i = 0; rc == REEF_OK && i < manifest->transaction_count; i++)
		slices[i] = reef_slice(manifest->transactions[i].id, 16);
	if (rc == REEF_OK)
		rc = check_different(slices, i, "transaction", code, err);
	free(slices);
	return rc;
}

/* What is wrong with segment "i" by itself or after the one before. */
static const char *
segment_problem(const ReefManifest *manifest, int i)
{
	const ReefSegmentMeta *meta = &manifest->segments[i];
	const ReefSegmentMeta *before = i > 0 ? meta - 1 : NULL;

	if (meta->lsn_min > meta->lsn_max ||
		meta->lsn_max > manifest->last_applied_lsn)
		return "impossible LSNs";
	if (before == NULL)
		return NULL;
	if (meta->level > before->level)
		return "level 1 after level 0";
	if (meta->level == 1 &&
		reef_slice_compare(before->key_max, meta->key_min) >= 0)
		return "keys not above those of the one before, in level 1";
	if (meta->level == 0 && before->level == 0 &&
		meta->lsn_max < before->lsn_max)
		return "older rows than the one before";
	return NULL;
}

static ReefCode
check_segments(const ReefManifest *manifest, ReefCode code, ReefError *err)
{
	int			i;

	for (i = 0; i < manifest->segment_count; i++)
	{
		const char *problem;

		if (reef_segment_meta_check(&manifest->segments[i], code, err) !=
			REEF_OK)
			return reef_error_add(err, "segments[%d]", i);
		problem = segment_problem(manifest, i);
		if (problem != NULL)
			return reef_error_set(err, code, "invalid manifest",
								  "segments[%d] has %s", i, problem);
	}
	return REEF_OK;
}

ReefCode
reef_manifest_check(const ReefManifest *manifest, ReefCode code,
					ReefError *err)
{
	const char *problem = NULL;
	int			i;

	if (manifest->version == 0 || manifest->version > INT64_MAX)
		problem = "version is out of range";
	else if (manifest->parent_version >= manifest->version)
		problem = "parent_version is not below version";
	else if (manifest->epoch > INT64_MAX)
		problem = "epoch is out of range";
	else if (manifest->last_applied_lsn > INT64_MAX)
		problem = "last_applied_lsn is out of range";
	else if (manifest->rebuildable_lsn > manifest->last_applied_lsn)
		problem = "rebuildable_lsn is above last_applied_lsn";
	else if (manifest->live_row_count > INT64_MAX)
		problem = "live_row_count is out of range";
	else if (manifest->segment_count < 0 || manifest->idempotency_count < 0 ||
			 manifest->transaction_count < 0)
		problem = "a count is negative";
	for (i = 0; problem == NULL && i < manifest->idempotency_count; i++)
	{
		if (manifest->idempotency[i].key.size == 0 ||
			manifest->idempotency[i].key.size > REEF_IDEMPOTENCY_KEY_MAX_SIZE)
			problem = "an idempotency key is empty or too long";
		else if (manifest->idempotency[i].lsn > manifest->last_applied_lsn)
			problem = "an idempotency key is younger than last_applied_lsn";
	}
	for (i = 0; problem == NULL && i < manifest->transaction_count; i++)
	{
		if (manifest->transactions[i].lsn > manifest->last_applied_lsn)
			problem = "a transaction is younger than last_applied_lsn";
	}
	if (problem != NULL)
		return reef_error_set(err, code, "invalid manifest", "%s", problem);
	REEF_TRY(reef_schema_check(&manifest->schema, code, err));
	REEF_TRY(check_segments(manifest, code, err));
	return check_unique(manifest, code, err);
}
