/*
 * keyrange.c
 *	  The ranges of encoded keys that the values of a running query select.
 *
 * The columns that are bound to values give a prefix, or several if one is
 * bound to a list; conditions on the order of the next column limit what may
 * follow a prefix.  No column's encoding is a prefix of another value's, so
 * all keys that begin with some bytes P lie between P and successor(P).
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "pg/convert.h"
#include "pg/keyrange.h"

/* One condition, ready to run. */
typedef struct KeyCondition
{
	int			key_position;
	int			strategy;
	bool		is_array;
	ExprState  *value;
	Oid			value_type;		/* of an element, if it is an array */
	int16		value_length;
	bool		value_byval;
	char		value_align;
	ReefPgColumnConverter converter;
	const ReefType *column_type;
} KeyCondition;

struct ReefPgKeyRanges
{
	int			condition_count;
	KeyCondition *conditions;
	bool		is_complete;	/* every key column is bound */
	ReefBuf		scratch;
	MemoryContext context;		/* of the ranges; reset by every build */
	int			count;
	ReefKeyRange *ranges;
};

/* What became of a value as part of a key. */
typedef enum KeyFit
{
	FIT_EXACT,
	FIT_ROUNDED,				/* to the next lower */
	FIT_BELOW_ALL,
	FIT_ABOVE_ALL
} KeyFit;

static void
release_scratch(void *arg)
{
	reef_buf_release(&((ReefPgKeyRanges *) arg)->scratch);
}

static void
condition_init(KeyCondition *condition, const ReefPgTable *table, List *plan,
			   Expr *value, PlanState *parent)
{
	int			index;

	condition->key_position = linitial_int(plan);
	condition->strategy = lsecond_int(plan);
	condition->is_array = lthird_int(plan) != 0;
	index = reef_schema_key_column(&table->schema, condition->key_position);
	condition->column_type = &table->schema.columns[index].type;
	condition->value = ExecInitExpr(value, parent);
	condition->value_type = exprType((Node *) value);
	if (condition->is_array)
	{
		condition->value_type = get_base_element_type(condition->value_type);
		get_typlenbyvalalign(condition->value_type, &condition->value_length,
							 &condition->value_byval,
							 &condition->value_align);
	}
	reefpg_column_converter_init(&condition->converter, condition->value_type,
								 -1);
	/* Blanks at the end do not count in comparisons of any char(n). */
	if (condition->converter.base_type == BPCHAROID)
		condition->converter.is_padded = true;
}

ReefPgKeyRanges *
reefpg_key_ranges_new(const ReefPgTable *table, List *plan, List *exprs,
					  PlanState *parent)
{
	ReefPgKeyRanges *ranges = palloc0(sizeof(ReefPgKeyRanges));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	KeyCondition *last;
	ListCell   *plan_lc;
	ListCell   *expr_lc;

	reef_buf_init(&ranges->scratch);
	callback->func = release_scratch;
	callback->arg = ranges;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	ranges->context = AllocSetContextCreate(CurrentMemoryContext,
											"reef key ranges",
											ALLOCSET_SMALL_SIZES);
	ranges->conditions = palloc0(list_length(plan) * sizeof(KeyCondition));
	forboth(plan_lc, plan, expr_lc, exprs)
		condition_init(&ranges->conditions[ranges->condition_count++], table,
					   lfirst(plan_lc), lfirst(expr_lc), parent);
	last = &ranges->conditions[ranges->condition_count - 1];
	ranges->is_complete = last->strategy == BTEqualStrategyNumber &&
		last->key_position == reef_schema_key_count(&table->schema);
	return ranges;
}

/* Make the value what the key column would have stored for it. */
static KeyFit
fit_value(KeyCondition *condition, Datum datum, ReefKind *kind,
		  ReefValue *value)
{
	const ReefType *type = condition->column_type;

	if (type->kind != REEF_KIND_DECIMAL64 && type->kind != REEF_KIND_DECIMAL128)
	{
		*kind = condition->converter.type.kind;
		reefpg_column_value(&condition->converter, datum, value);
		return FIT_EXACT;
	}
	*kind = REEF_KIND_DECIMAL128;
	value->is_null = false;
	switch (reefpg_numeric_unscale(datum, type->scale, &value->as.int128))
	{
		case REEFPG_NUMERIC_EXACT:
			return FIT_EXACT;
		case REEFPG_NUMERIC_INEXACT:
			return FIT_ROUNDED;
		case REEFPG_NUMERIC_NAN:
			value->as.int128 = REEF_DECIMAL128_NAN;
			return FIT_EXACT;
		case REEFPG_NUMERIC_TOO_LOW:
			return FIT_BELOW_ALL;
		case REEFPG_NUMERIC_TOO_HIGH:
			return FIT_ABOVE_ALL;
	}
	pg_unreachable();
}

/* prefix + the encoded value, in the current context */
static ReefSlice
extend_prefix(ReefPgKeyRanges *ranges, ReefSlice prefix, ReefKind kind,
			  const ReefValue *value)
{
	ReefError	err;
	uint8_t    *copy;

	reef_buf_reset(&ranges->scratch);
	reef_buf_append(&ranges->scratch, prefix.data, prefix.size);
	reef_key_append(&ranges->scratch, kind, value);
	reef_error_init(&err);
	REEFPG_CHECK(reef_buf_check(&ranges->scratch, &err), &err, NULL);
	copy = palloc(ranges->scratch.size);
	memcpy(copy, ranges->scratch.data, ranges->scratch.size);
	return reef_slice(copy, ranges->scratch.size);
}

/* The smallest key above all that begin with these bytes; {NULL, 0} if there
 * is no such. */
static ReefSlice
successor(ReefSlice prefix)
{
	size_t		size = prefix.size;
	uint8_t    *copy;

	while (size > 0 && prefix.data[size - 1] == 0xFF)
		size--;
	if (size == 0)
		return reef_slice(NULL, 0);
	copy = palloc(size);
	memcpy(copy, prefix.data, size);
	copy[size - 1]++;
	return reef_slice(copy, size);
}

/* The values of an equality; nulls select nothing. */
static int
equal_values(KeyCondition *condition, Datum datum, Datum **values)
{
	bool	   *nulls;
	int			count;
	int			kept = 0;
	int			i;

	if (!condition->is_array)
	{
		*values = palloc(sizeof(Datum));
		(*values)[0] = datum;
		return 1;
	}
	deconstruct_array(DatumGetArrayTypeP(datum), condition->value_type,
					  condition->value_length, condition->value_byval,
					  condition->value_align, values, &nulls, &count);
	for (i = 0; i < count; i++)
	{
		if (!nulls[i])
			(*values)[kept++] = (*values)[i];
	}
	return kept;
}

static int
compare_slices(const void *a, const void *b)
{
	return reef_slice_compare(*(const ReefSlice *) a, *(const ReefSlice *) b);
}

/* Multiply the prefixes by the values of one equality. */
static void
bind_column(ReefPgKeyRanges *ranges, KeyCondition *condition, Datum datum,
			ReefSlice **prefixes, int *count)
{
	Datum	   *values;
	int			value_count = equal_values(condition, datum, &values);
	ReefSlice  *result = palloc(Max(1, (size_t) *count * value_count) *
								sizeof(ReefSlice));
	int			result_count = 0;
	int			kept = 0;
	int			i;

	for (i = 0; i < value_count; i++)
	{
		ReefKind	kind;
		ReefValue	value;
		int			p;

		if (fit_value(condition, values[i], &kind, &value) != FIT_EXACT)
			continue;
		for (p = 0; p < *count; p++)
			result[result_count++] = extend_prefix(ranges, (*prefixes)[p],
												   kind, &value);
	}
	/* A value that is listed twice must not return its rows twice. */
	if (result_count > 1)
		qsort(result, result_count, sizeof(ReefSlice), compare_slices);
	for (i = 0; i < result_count; i++)
	{
		if (kept == 0 || !reef_slice_equal(result[kept - 1], result[i]))
			result[kept++] = result[i];
	}
	*prefixes = result;
	*count = kept;
}

/* Raise the low bound to at least "bound". */
static void
raise_low(ReefKeyRange *range, ReefSlice bound)
{
	if (bound.data != NULL && reef_slice_compare(bound, range->low) > 0)
		range->low = bound;
}

static void
lower_high(ReefKeyRange *range, ReefSlice bound)
{
	if (bound.data != NULL &&
		(range->high.data == NULL ||
		 reef_slice_compare(bound, range->high) < 0))
		range->high = bound;
	range->high_exclusive = true;
}

/*
 * Narrow a range by one comparison on the column that follows the prefix;
 * false if nothing is left.  A value that was rounded down stands for what
 * lies above it, so "<" includes it.
 */
static bool
narrow_range(ReefPgKeyRanges *ranges, KeyCondition *condition, Datum datum,
			 ReefSlice prefix, ReefKeyRange *range)
{
	bool		is_upper = condition->strategy <= BTLessEqualStrategyNumber;
	ReefKind	kind;
	ReefValue	value;
	KeyFit		fit = fit_value(condition, datum, &kind, &value);
	ReefSlice	bound;

	if (fit == FIT_BELOW_ALL)
		return !is_upper;
	if (fit == FIT_ABOVE_ALL)
	{
		/* NaN is above, too, and the scan looks for it when asked to. */
		return true;
	}
	bound = extend_prefix(ranges, prefix, kind, &value);
	switch (condition->strategy)
	{
		case BTLessStrategyNumber:
			lower_high(range, fit == FIT_EXACT ? bound : successor(bound));
			break;
		case BTLessEqualStrategyNumber:
			lower_high(range, successor(bound));
			break;
		case BTGreaterEqualStrategyNumber:
			raise_low(range, bound);
			break;
		case BTGreaterStrategyNumber:
			raise_low(range, successor(bound));
			break;
	}
	return true;
}

/* The range of one prefix under the comparisons from "first" on. */
static void
add_range(ReefPgKeyRanges *ranges, ReefSlice prefix, int first,
		  const Datum *values)
{
	ReefKeyRange *range = &ranges->ranges[ranges->count];
	int			i;

	memset(range, 0, sizeof(*range));
	range->low = prefix;
	if (ranges->is_complete)
		range->high = prefix;
	else if (first == ranges->condition_count)
		range->is_prefix = true;
	else
	{
		range->high = successor(prefix);
		range->high_exclusive = true;
		for (i = first; i < ranges->condition_count; i++)
		{
			if (!narrow_range(ranges, &ranges->conditions[i], values[i],
							  prefix, range))
				return;
		}
		if (range->high.data == NULL)
			range->high_exclusive = false;
		else if (reef_slice_compare(range->low, range->high) >= 0)
			return;
	}
	ranges->count++;
}

void
reefpg_key_ranges_build(ReefPgKeyRanges *ranges, ExprContext *econtext)
{
	Datum	   *values;
	ReefSlice  *prefixes;
	int			prefix_count = 1;
	int			i;
	MemoryContext old_context;

	MemoryContextReset(ranges->context);
	ranges->count = 0;
	old_context = MemoryContextSwitchTo(ranges->context);
	values = palloc(ranges->condition_count * sizeof(Datum));
	for (i = 0; i < ranges->condition_count; i++)
	{
		bool		is_null;

		/* Our context, because the expression's is reset by every row. */
		values[i] = ExecEvalExpr(ranges->conditions[i].value, econtext,
								 &is_null);
		if (is_null)
		{
			MemoryContextSwitchTo(old_context);
			return;
		}
	}
	prefixes = palloc0(sizeof(ReefSlice));
	for (i = 0; i < ranges->condition_count; i++)
	{
		KeyCondition *condition = &ranges->conditions[i];

		if (condition->strategy != BTEqualStrategyNumber)
			break;
		bind_column(ranges, condition, values[i], &prefixes, &prefix_count);
	}
	ranges->ranges = palloc(Max(1, prefix_count) * sizeof(ReefKeyRange));
	for (int p = 0; p < prefix_count; p++)
		add_range(ranges, prefixes[p], i, values);
	MemoryContextSwitchTo(old_context);
}

int
reefpg_key_ranges_count(const ReefPgKeyRanges *ranges)
{
	return ranges->count;
}

const ReefKeyRange *
reefpg_key_ranges_get(const ReefPgKeyRanges *ranges, int i)
{
	return &ranges->ranges[i];
}
