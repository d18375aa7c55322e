/*
 * test_compact_plan.c
 *	  Which segments are merged, on shapes that nobody has to write first.
 *
 * Keys are two bytes, so that a shape can be said in numbers.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/compact_plan.h"
#include "unit.h"

#define TARGET 1000
#define SEGMENTS_MAX 4000

typedef struct Shape
{
	ReefManifest manifest;
	ReefColumn	columns[4];
	ReefSegmentMeta segments[SEGMENTS_MAX];
	uint8_t		keys[SEGMENTS_MAX][4];
	uint64_t	lsn;
	ReefArena	arena;
	ReefCompactPlan plan;
} Shape;

static Shape *
shape_new(void)
{
	Shape	   *shape = calloc(1, sizeof(*shape));

	reef_arena_init(&shape->arena, 0);
	shape->manifest.segments = shape->segments;
	shape->manifest.schema.columns = shape->columns;
	shape->manifest.schema.column_count = 4;
	return shape;
}

static void
shape_free(Shape *shape)
{
	reef_arena_release(&shape->arena);
	free(shape);
}

/* Behind all others; its LSNs follow theirs.  "hiding" of 100 rows. */
static ReefSegmentMeta *
add(Shape *shape, int level, int low, int high, uint64_t size, uint64_t hiding)
{
	int			i = shape->manifest.segment_count++;
	ReefSegmentMeta *meta = &shape->segments[i];
	uint8_t    *keys = shape->keys[i];

	keys[0] = (uint8_t) (low >> 8);
	keys[1] = (uint8_t) low;
	keys[2] = (uint8_t) (high >> 8);
	keys[3] = (uint8_t) high;
	meta->level = level;
	meta->key_min = reef_slice(keys, 2);
	meta->key_max = reef_slice(keys + 2, 2);
	meta->size = size;
	meta->row_count = 100;
	meta->superseding_count = hiding;
	meta->lsn_min = ++shape->lsn;
	shape->lsn += 9;
	meta->lsn_max = shape->lsn;
	return meta;
}

static const ReefCompactPlan *
plan_of(Shape *shape, bool full)
{
	ReefError	err;

	reef_arena_reset(&shape->arena);
	UNIT_OK(reef_compact_plan(&shape->manifest, TARGET, full, &shape->arena,
							  &shape->plan, &err), &err);
	return &shape->plan;
}

/* "inputs" end with -1. */
static void
check_plan(Shape *shape, bool full, int level, const int *inputs)
{
	const ReefCompactPlan *plan = plan_of(shape, full);
	int			i;

	for (i = 0; i < plan->input_count; i++)
		UNIT_EQUAL_INT(plan->inputs[i], inputs[i]);
	UNIT_EQUAL_INT(inputs[i], -1);
	UNIT_EQUAL_INT(plan->level, i > 0 ? level : 0);
}

UNIT_TEST(test_compact_plan__few_runs_are_left_alone)
{
	Shape	   *shape = shape_new();

	UNIT_EQUAL_INT(plan_of(shape, false)->input_count, 0);
	UNIT_EQUAL_INT(plan_of(shape, true)->input_count, 0);
	add(shape, 1, 0, 999, 5000, 0);
	/* level 1 alone is clean */
	UNIT_EQUAL_INT(plan_of(shape, true)->input_count, 0);
	for (int i = 0; i < REEF_COMPACT_IDLE_RUNS; i++)
		add(shape, 0, i, 900, 100, 0);
	UNIT_EQUAL_INT(plan_of(shape, false)->input_count, 0);
	add(shape, 0, 3, 900, 100, 0);
	UNIT_EQUAL_INT(plan_of(shape, false)->input_count, 7);
	shape_free(shape);
}

UNIT_TEST(test_compact_plan__neighbours_of_like_size_are_merged)
{
	Shape	   *shape = shape_new();
	static const int inputs[] = {3, 4, 5, 6, 7, -1};

	add(shape, 1, 0, 999, 50000, 0);
	add(shape, 0, 0, 999, 9000, 0);
	add(shape, 0, 0, 999, 4000, 0);
	for (int i = 0; i < 5; i++)
		add(shape, 0, 0, 999, 100, 0);
	check_plan(shape, false, 0, inputs);
	shape_free(shape);
}

/* A small run between two large ones, and a very large one at the end. */
UNIT_TEST(test_compact_plan__a_merge_takes_neighbours_only)
{
	Shape	   *shape = shape_new();
	const ReefCompactPlan *plan;

	add(shape, 1, 0, 999, 5000000, 0);
	for (int i = 0; i < 8; i++)
		add(shape, 0, 0, 999, i % 2 == 0 ? 10 : 100000, 0);
	plan = plan_of(shape, false);
	UNIT_CHECK(plan->input_count >= 2);
	for (int i = 1; i < plan->input_count; i++)
		UNIT_EQUAL_INT(plan->inputs[i], plan->inputs[i - 1] + 1);
	shape_free(shape);
}

UNIT_TEST(test_compact_plan__level_0_goes_down_when_it_is_worth_it)
{
	Shape	   *shape = shape_new();
	static const int inputs[] = {0, 1, 2, 3, 4, 5, 6, 7, -1};

	add(shape, 1, 0, 999, 1000, 0);
	for (int i = 0; i < 7; i++)
		add(shape, 0, 0, 999, 100, 0);
	/* 700 to 1000 */
	UNIT_EQUAL_INT(plan_of(shape, false)->level, 0);
	shape->segments[3].size = 200;
	check_plan(shape, false, 1, inputs);
	shape_free(shape);
}

/* Also when there are few of them, if they hide much. */
UNIT_TEST(test_compact_plan__hidden_rows_count_too)
{
	Shape	   *shape = shape_new();
	static const int inputs[] = {0, 1, -1};

	add(shape, 1, 0, 999, 1000, 0);
	add(shape, 0, 0, 999, 300, 70);
	UNIT_EQUAL_INT(plan_of(shape, false)->input_count, 0);
	shape->segments[1].superseding_count = 80;
	check_plan(shape, false, 1, inputs);
	/* but not for so few bytes */
	shape->segments[0].size = 100;
	shape->segments[1].size = 20;
	UNIT_EQUAL_INT(plan_of(shape, false)->input_count, 0);
	shape_free(shape);
}

UNIT_TEST(test_compact_plan__the_best_part_goes_down_alone)
{
	Shape	   *shape = shape_new();
	static const int inputs[] = {1, 3, 4, 5, 6, 7, 8, 9, -1};

	add(shape, 1, 0, 99, 1000, 0);
	add(shape, 1, 100, 199, 1000, 0);
	add(shape, 1, 200, 299, 1000, 0);
	for (int i = 0; i < 7; i++)
		add(shape, 0, 110, 190, 150, 0);
	check_plan(shape, false, 1, inputs);
	shape_free(shape);
}

/*
 * What goes to level 1 hides nothing any more, so nothing older may stay in
 * level 0 that has its keys.
 */
UNIT_TEST(test_compact_plan__older_segments_with_its_keys_go_along_i8)
{
	for (int round = 0; round < 300; round++)
	{
		Shape	   *shape = shape_new();
		const ReefCompactPlan *plan;
		bool		chosen[SEGMENTS_MAX] = {false};
		int			count = 1 + (int) unit_random_below(30);

		for (int i = 0; i < 10; i++)
		{
			if (unit_random_below(3) > 0)
				add(shape, 1, i * 100, i * 100 + 50,
					1 + unit_random_below(1000), 0);
		}
		for (int i = 0; i < count; i++)
		{
			int			low = (int) unit_random_below(1000);

			add(shape, 0, low, low + (int) unit_random_below(300),
				1 + unit_random_below(1000), unit_random_below(101));
		}
		plan = plan_of(shape, unit_random_below(4) == 0);
		for (int i = 0; i < plan->input_count; i++)
			chosen[plan->inputs[i]] = true;
		for (int i = 0; i < plan->input_count; i++)
		{
			const ReefSegmentMeta *input = &shape->segments[plan->inputs[i]];

			UNIT_CHECK(plan->level == 1 || input->level == 0);
			UNIT_CHECK(i == 0 || plan->inputs[i] > plan->inputs[i - 1]);
			UNIT_CHECK(i == 0 || plan->runs[i] - plan->runs[i - 1] <= 1);
			for (int j = 0; j < shape->manifest.segment_count; j++)
			{
				const ReefSegmentMeta *other = &shape->segments[j];
				bool		overlaps =
					reef_slice_compare(other->key_min, input->key_max) <= 0 &&
					reef_slice_compare(input->key_min, other->key_max) <= 0;

				if (plan->level == 1 && overlaps && j < plan->inputs[i])
					UNIT_CHECK(chosen[j]);
				/* runs have no keys in common */
				for (int k = 0; k < i; k++)
				{
					if (overlaps && plan->inputs[k] == j)
						UNIT_CHECK(plan->runs[k] < plan->runs[i]);
				}
			}
		}
		shape_free(shape);
	}
}

/* Of level 1, the inputs are neighbours: nothing lies between the outputs. */
UNIT_TEST(test_compact_plan__no_hole_is_left_in_level_1_i8)
{
	Shape	   *shape = shape_new();
	static const int inputs[] = {0, 1, 2, 3, 4, -1};

	add(shape, 1, 0, 99, 1000, 0);
	add(shape, 1, 100, 199, 1000, 0);
	add(shape, 1, 200, 299, 1000, 0);
	add(shape, 0, 10, 20, 10, 0);
	add(shape, 0, 210, 220, 10, 0);
	check_plan(shape, true, 1, inputs);
	shape_free(shape);
}

UNIT_TEST(test_compact_plan__keys_that_only_grow_are_gathered)
{
	Shape	   *shape = shape_new();
	uint64_t	written = 0;
	int			merges = 0;

	for (int i = 0; i < 2000; i++)
	{
		const ReefCompactPlan *plan;

		add(shape, 0, i, i, 10, 0);
		while ((plan = plan_of(shape, false))->input_count > 0)
		{
			int			first = plan->inputs[0];
			int			end = plan->inputs[plan->input_count - 1] + 1;
			ReefSegmentMeta merged = shape->segments[first];

			UNIT_EQUAL_INT(plan->level, 0);
			UNIT_EQUAL_INT(plan->input_count, end - first);
			merged.size = plan->bytes;
			merged.key_max = shape->segments[end - 1].key_max;
			merged.lsn_max = shape->segments[end - 1].lsn_max;
			shape->segments[first] = merged;
			memmove(&shape->segments[first + 1], &shape->segments[end],
					sizeof(merged) *
					(size_t) (shape->manifest.segment_count - end));
			shape->manifest.segment_count -= end - first - 1;
			/* keys of the new ones must not be those of others */
			for (int k = 0; k < shape->manifest.segment_count; k++)
			{
				uint8_t		bytes[4];

				memcpy(bytes, shape->segments[k].key_min.data, 2);
				memcpy(bytes + 2, shape->segments[k].key_max.data, 2);
				memcpy(shape->keys[k], bytes, 4);
				shape->segments[k].key_min = reef_slice(shape->keys[k], 2);
				shape->segments[k].key_max = reef_slice(shape->keys[k] + 2, 2);
			}
			written += plan->bytes;
			merges++;
		}
	}
	/* 20000 bytes in segments of 250 and more, and some on their way */
	UNIT_CHECK(shape->manifest.segment_count <= 2000 * 10 / 250 + 8);
	UNIT_CHECK(merges > 0 && written <= 3 * 2000 * 10);
	shape_free(shape);
}

/* A table of n rows is overwritten at random; sizes are as chance would have
 * them. */
static void
check_random_upserts(double fold_share, double rounds, double limit)
{
	Shape	   *shape = shape_new();
	double		table = 1000000;
	double		folds = rounds / fold_share;
	double		written = 0;
	int			runs_max = 0;

	add(shape, 1, 0, 999, (uint64_t) table, 0)->row_count = (uint64_t) table;
	for (double fold = 0; fold < folds; fold++)
	{
		const ReefCompactPlan *plan;
		ReefSegmentMeta *meta;
		double		rows = table * fold_share;

		meta = add(shape, 0, 0, 999, (uint64_t) rows, (uint64_t) rows);
		meta->row_count = (uint64_t) rows;
		written += rows;
		while ((plan = plan_of(shape, false))->input_count > 0)
		{
			int			first = plan->inputs[0];
			int			end = plan->inputs[plan->input_count - 1] + 1;
			double		missing = 1;

			for (int i = 0; i < plan->input_count; i++)
				missing *= 1 - (double)
					shape->segments[plan->inputs[i]].row_count / table;
			rows = table * (1 - missing);
			written += rows;
			UNIT_EQUAL_INT(plan->input_count, end - first);
			meta = &shape->segments[first];
			meta->level = plan->level;
			meta->size = meta->row_count = (uint64_t) rows;
			meta->superseding_count = plan->level == 1 ? 0 : meta->row_count;
			meta->lsn_max = shape->segments[end - 1].lsn_max;
			/* all have the same keys */
			for (int i = end; i < shape->manifest.segment_count; i++)
				shape->segments[first + 1 + i - end] = shape->segments[i];
			shape->manifest.segment_count -= end - first - 1;
		}
		if (runs_max < shape->manifest.segment_count)
			runs_max = shape->manifest.segment_count;
	}
	UNIT_CHECK(runs_max <= REEF_COMPACT_IDLE_RUNS + 1);
	UNIT_CHECK(written <= limit * rounds * table);
	shape_free(shape);
}

UNIT_TEST(test_compact_plan__random_upserts_cost_little)
{
	check_random_upserts(0.5, 10, 2.2);
	check_random_upserts(0.1, 10, 2.8);
	check_random_upserts(0.01, 10, 4.8);
	check_random_upserts(0.001, 3, 7.5);
}

UNIT_TEST(test_compact_plan__wide_tables_and_many_runs_are_bounded)
{
	Shape	   *shape = shape_new();
	ReefColumn *columns = calloc(1000, sizeof(*columns));

	for (int i = 0; i < 500; i++)
		add(shape, 0, 0, 999, 1000, 50);
	UNIT_EQUAL_INT(plan_of(shape, true)->run_count, 16);
	UNIT_CHECK(plan_of(shape, false)->run_count <= 16);
	shape->manifest.schema.columns = columns;
	shape->manifest.schema.column_count = 1000;
	UNIT_EQUAL_INT(plan_of(shape, true)->run_count,
				   REEF_COMPACT_IDLE_RUNS + 2);
	free(columns);
	shape_free(shape);
}
