/*
 * compact_plan.c
 *	  Which segments to merge next.
 *
 * Problem: a reader asks every run of segments that may have a key, so there
 * should be few; but each merge writes all rows of its inputs again, so each
 * should get rid of much for what it writes.
 *
 * Mechanism: level 0 is seen as RUNS, oldest first: neighbours in the list
 * that have no keys in common count as one, however many segments they are.
 * Level 1 is one more, the oldest.  While there are few runs and little is
 * hidden nothing is done.  Then, in this order:
 *
 *	promote	part of level 0 and what it overlaps in level 1 into level 1, if
 *			it brings at least PROMOTE_PERCENT of the largest run in it (in
 *			bytes, or in rows that hide others): so a byte of level 1 is
 *			written again only when nearly as much came in.  Of all parts the
 *			one with the best ratio; a part begins with one segment and needs
 *			all older ones that it overlaps, because level 1 hides nothing
 *			[I8].
 *	tier	neighbouring runs into one, if the largest is no larger than the
 *			others together: then a row's run at least doubles each time it is
 *			written.  Of all such windows the one that gets rid of runs for
 *			the fewest bytes.  With IDLE_RUNS places, n folds cost a row about
 *			as many merges as it takes for (IDLE_RUNS + m choose m) to reach n:
 *			2.5 for 100.
 *	gather	neighbouring small segments, also of one run: keys that only grow
 *			make one run of thousands of small folds.
 *
 * Consequence: simulated with random upserts that replace a table ten times,
 * in folds of 1 % of it, each row is written 4.3 times, fold included.
 *
 * Everything is decided by sizes, counts, key and LSN ranges in the manifest.
 */
#include "engine/compact_plan.h"

#include <stdlib.h>

#define PROMOTE_PERCENT 75

/* So many small neighbours are gathered, and no more than that at a time. */
#define GATHER_MIN 8
#define GATHER_MAX 64
/* A segment below this part of the target is small. */
#define SMALL_PART 4

/* Runs that one merge reads at a time.  Each keeps a page of every column in
 * memory. */
#define RUNS_MAX 16
#define RUNS_MIN (REEF_COMPACT_IDLE_RUNS + 2)
#define COLUMNS_MAX 1024

/* Parts of fewer runs wait until they are worth an object. */
#define FEW_RUNS 3

/* Parts that are looked at; the rest of a very long level 0 waits. */
#define SEEDS_MAX 64

typedef struct Planner
{
	const ReefManifest *manifest;
	ReefArena  *arena;
	uint64_t	small_size;
	int			runs_max;
	int			level_1_count;	/* segments; level 0 begins behind them */
	int			count;			/* all segments */
	int		   *runs;			/* [count] run of each, level 1 is run 0 */
	int			run_count;		/* of level 0 */
	uint64_t   *run_bytes;		/* [run_count + 1] */
	bool	   *chosen;			/* [count] the part that is looked at */
} Planner;

/* A part of level 0 and what it overlaps in level 1. */
typedef struct Part
{
	int			seed;
	int			first_1;		/* of level 1 ... */
	int			end_1;
	int			run_count;		/* with level 1 */
	uint64_t	bytes;			/* of all of it */
	double		byte_ratio;		/* what comes in, to the largest run */
	double		row_ratio;		/* the same, rows that hide others */
} Part;

static bool
overlap(const ReefSegmentMeta *a, ReefSlice key_min, ReefSlice key_max)
{
	return reef_slice_compare(a->key_min, key_max) <= 0 &&
		reef_slice_compare(key_min, a->key_max) <= 0;
}

/* ---- runs ---- */

/* Has "meta" keys in common with the segments [first, end)? */
static bool
overlaps_any(const ReefManifest *manifest, int first, int end,
			 const ReefSegmentMeta *meta)
{
	int			i;

	for (i = first; i < end; i++)
	{
		if (overlap(&manifest->segments[i], meta->key_min, meta->key_max))
			return true;
	}
	return false;
}

static void
number_runs(Planner *planner)
{
	const ReefManifest *manifest = planner->manifest;
	ReefSlice	low = reef_slice(NULL, 0);	/* of the run so far */
	ReefSlice	high = reef_slice(NULL, 0);
	int			first = planner->level_1_count;
	int			i;

	for (i = 0; i < planner->count; i++)
	{
		const ReefSegmentMeta *meta = &manifest->segments[i];

		if (i == planner->level_1_count ||
			(i > first && overlap(meta, low, high) &&
			 overlaps_any(manifest, first, i, meta)))
		{
			planner->run_count++;
			first = i;
			low = meta->key_min;
			high = meta->key_max;
		}
		if (reef_slice_compare(meta->key_min, low) < 0)
			low = meta->key_min;
		if (reef_slice_compare(meta->key_max, high) > 0)
			high = meta->key_max;
		planner->runs[i] = planner->run_count;
		planner->run_bytes[planner->run_count] += meta->size;
	}
}

static ReefCode
planner_init(Planner *planner, const ReefManifest *manifest,
			 size_t target_segment_size, ReefArena *arena, ReefError *err)
{
	size_t		count = (size_t) manifest->segment_count;
	int			columns = manifest->schema.column_count + 1;

	memset(planner, 0, sizeof(*planner));
	planner->manifest = manifest;
	planner->arena = arena;
	planner->small_size = target_segment_size / SMALL_PART;
	planner->runs_max = COLUMNS_MAX / columns;
	if (planner->runs_max > RUNS_MAX)
		planner->runs_max = RUNS_MAX;
	if (planner->runs_max < RUNS_MIN)
		planner->runs_max = RUNS_MIN;
	planner->count = manifest->segment_count;
	while (planner->level_1_count < planner->count &&
		   manifest->segments[planner->level_1_count].level > 0)
		planner->level_1_count++;
	planner->runs = reef_arena_calloc(arena, (count + 1) *
									  sizeof(*planner->runs));
	planner->run_bytes = reef_arena_calloc(arena, (count + 2) *
										   sizeof(*planner->run_bytes));
	planner->chosen = reef_arena_calloc(arena, count + 1);
	if (planner->runs == NULL || planner->run_bytes == NULL ||
		planner->chosen == NULL)
		return reef_error_no_memory(err, count * sizeof(*planner->run_bytes));
	number_runs(planner);
	return REEF_OK;
}

/* Make the chosen segments the plan's inputs. */
static ReefCode
take_chosen(const Planner *planner, int level, ReefCompactPlan *plan,
			ReefError *err)
{
	size_t		size = sizeof(int) * ((size_t) planner->count + 1);
	int			last_run = -1;
	int			i;

	plan->level = level;
	plan->inputs = reef_arena_alloc(planner->arena, size);
	plan->runs = reef_arena_alloc(planner->arena, size);
	if (plan->inputs == NULL || plan->runs == NULL)
		return reef_error_no_memory(err, size);
	for (i = 0; i < planner->count; i++)
	{
		if (!planner->chosen[i])
			continue;
		if (planner->runs[i] != last_run)
			plan->run_count++;
		last_run = planner->runs[i];
		plan->inputs[plan->input_count] = i;
		plan->runs[plan->input_count++] = plan->run_count - 1;
		plan->bytes += planner->manifest->segments[i].size;
	}
	return REEF_OK;
}

static void
choose_range(Planner *planner, int first, int end)
{
	int			i;

	for (i = 0; i < planner->count; i++)
		planner->chosen[i] = i >= first && i < end;
}

/* ---- promote ---- */

/*
 * Choose the segment and all older ones of level 0 that have keys in common
 * with what is chosen.
 */
static void
close_over_older(Planner *planner, int seed, ReefSlice *low, ReefSlice *high)
{
	const ReefSegmentMeta *segments = planner->manifest->segments;
	uint64_t	lsn_max = segments[seed].lsn_max;
	bool		has_grown = true;
	int			i;

	choose_range(planner, seed, seed + 1);
	*low = segments[seed].key_min;
	*high = segments[seed].key_max;
	while (has_grown)
	{
		has_grown = false;
		for (i = planner->count - 1; i >= planner->level_1_count; i--)
		{
			const ReefSegmentMeta *meta = &segments[i];

			if (planner->chosen[i] || meta->lsn_min > lsn_max ||
				!overlap(meta, *low, *high))
				continue;
			planner->chosen[i] = true;
			has_grown = true;
			if (reef_slice_compare(meta->key_min, *low) < 0)
				*low = meta->key_min;
			if (reef_slice_compare(meta->key_max, *high) > 0)
				*high = meta->key_max;
			if (lsn_max < meta->lsn_max)
				lsn_max = meta->lsn_max;
		}
	}
}

/* Choose what [low, high] touches of level 1, and a small neighbour on either
 * side, so that the ends of merges do not stay small for ever. */
static void
choose_level_1(Planner *planner, ReefSlice low, ReefSlice high, Part *part)
{
	const ReefSegmentMeta *segments = planner->manifest->segments;
	int			i;

	part->first_1 = 0;
	while (part->first_1 < planner->level_1_count &&
		   reef_slice_compare(segments[part->first_1].key_max, low) < 0)
		part->first_1++;
	part->end_1 = part->first_1;
	while (part->end_1 < planner->level_1_count &&
		   reef_slice_compare(segments[part->end_1].key_min, high) <= 0)
		part->end_1++;
	if (part->first_1 > 0 &&
		segments[part->first_1 - 1].size < planner->small_size)
		part->first_1--;
	if (part->end_1 < planner->level_1_count &&
		segments[part->end_1].size < planner->small_size)
		part->end_1++;
	for (i = part->first_1; i < part->end_1; i++)
		planner->chosen[i] = true;
}

/* What does the part bring, and what does it cost? */
static void
weigh(const Planner *planner, Part *part)
{
	const ReefSegmentMeta *segments = planner->manifest->segments;
	uint64_t	base_bytes = 0;
	uint64_t	base_rows = 0;
	uint64_t	base_hiding = 0;
	uint64_t	hiding = 0;
	int			i = 0;

	part->run_count = 0;
	part->bytes = 0;
	while (i < planner->count)
	{
		int			run = planner->runs[i];
		uint64_t	bytes = 0;
		uint64_t	rows = 0;
		uint64_t	run_hiding = 0;

		for (; i < planner->count && planner->runs[i] == run; i++)
		{
			if (!planner->chosen[i])
				continue;
			bytes += segments[i].size;
			rows += segments[i].row_count;
			run_hiding += segments[i].superseding_count;
		}
		if (rows == 0)
			continue;
		part->run_count++;
		part->bytes += bytes;
		hiding += run_hiding;
		if (bytes > base_bytes)
		{
			base_bytes = bytes;
			base_rows = rows;
			base_hiding = run_hiding;
		}
	}
	part->byte_ratio = (double) (part->bytes - base_bytes) /
		(double) (base_bytes + 1);
	part->row_ratio = (double) (hiding - base_hiding) /
		(double) (base_rows + 1);
}

static void
choose_part(Planner *planner, int seed, Part *part)
{
	ReefSlice	low;
	ReefSlice	high;

	part->seed = seed;
	close_over_older(planner, seed, &low, &high);
	choose_level_1(planner, low, high, part);
	weigh(planner, part);
}

static bool
is_worth_promoting(const Planner *planner, const Part *part)
{
	double		limit = PROMOTE_PERCENT / 100.0;

	if (part->run_count < 2 || part->run_count > planner->runs_max)
		return false;
	if (planner->run_count > REEF_COMPACT_IDLE_RUNS &&
		part->byte_ratio >= limit)
		return true;
	/* a few rows that hide a few others do not cost what two puts cost */
	return part->row_ratio >= limit &&
		(part->bytes >= planner->small_size ||
		 part->run_count > FEW_RUNS);
}

static ReefCode
plan_promotion(Planner *planner, ReefCompactPlan *plan, ReefError *err)
{
	int			candidates = planner->count - planner->level_1_count;
	int			step = 1 + (candidates - 1) / SEEDS_MAX;
	Part		best = {.seed = -1};
	Part		part;
	int			seed;

	/* from the newest on, which overlap most */
	for (seed = planner->count - 1; seed >= planner->level_1_count;
		 seed -= step)
	{
		choose_part(planner, seed, &part);
		if (!is_worth_promoting(planner, &part))
			continue;
		if (best.seed < 0 || part.byte_ratio > best.byte_ratio)
			best = part;
	}
	if (best.seed < 0)
		return REEF_OK;
	choose_part(planner, best.seed, &part);
	return take_chosen(planner, 1, plan, err);
}

/* ---- tier ---- */

/* Neighbouring runs, or segments, and what merging them would give. */
typedef struct Window
{
	int			first;
	int			end;
	bool		is_balanced;
	double		price;			/* bytes for each one less */
} Window;

static bool
is_better(const Window *a, const Window *b)
{
	if (b->end == 0)
		return true;
	if (a->is_balanced != b->is_balanced)
		return a->is_balanced;
	if (a->price < b->price || a->price > b->price)
		return a->price < b->price;
	return a->end - a->first > b->end - b->first;
}

static void
weigh_window(int first, int end, uint64_t bytes, uint64_t largest,
			 Window *best)
{
	Window		window;

	window.first = first;
	window.end = end;
	window.is_balanced = largest <= bytes - largest;
	window.price = (double) bytes / (double) (end - first - 1);
	if (is_better(&window, best))
		*best = window;
}

static ReefCode
plan_tier(Planner *planner, ReefCompactPlan *plan, ReefError *err)
{
	Window		best = {0};
	int			first;
	int			i;

	for (first = 1; first < planner->run_count; first++)
	{
		uint64_t	bytes = planner->run_bytes[first];
		uint64_t	largest = bytes;
		int			end;

		for (end = first + 1; end <= planner->run_count &&
			 end - first < planner->runs_max; end++)
		{
			bytes += planner->run_bytes[end];
			if (largest < planner->run_bytes[end])
				largest = planner->run_bytes[end];
			weigh_window(first, end + 1, bytes, largest, &best);
		}
	}
	for (i = 0; i < planner->count; i++)
		planner->chosen[i] = planner->runs[i] >= best.first &&
			planner->runs[i] < best.end;
	return take_chosen(planner, 0, plan, err);
}

/* ---- gather ---- */

static ReefCode
plan_gathering(Planner *planner, ReefCompactPlan *plan, ReefError *err)
{
	const ReefSegmentMeta *segments = planner->manifest->segments;
	Window		best = {0};
	int			first;

	for (first = planner->level_1_count; first < planner->count; first++)
	{
		uint64_t	bytes = 0;
		uint64_t	largest = 0;
		int			end;

		for (end = first; end < planner->count && end - first < GATHER_MAX &&
			 segments[end].size < planner->small_size &&
			 planner->runs[end] - planner->runs[first] < planner->runs_max;
			 end++)
		{
			bytes += segments[end].size;
			if (largest < segments[end].size)
				largest = segments[end].size;
			if (end + 1 - first >= GATHER_MIN && largest <= bytes - largest)
				weigh_window(first, end + 1, bytes, largest, &best);
		}
	}
	if (best.end == 0)
		return REEF_OK;
	choose_range(planner, best.first, best.end);
	return take_chosen(planner, 0, plan, err);
}

/* ---- plan ---- */

/* What a compaction leaves that leaves no row (maintenance.h). */
static bool
is_remainder(const Planner *planner, const Part *part)
{
	const ReefSegmentMeta *last =
		&planner->manifest->segments[planner->count - 1];

	return planner->count - planner->level_1_count == 1 &&
		last->row_count == 1 && last->tombstone_count == 1 &&
		part->first_1 == part->end_1;
}

/* All of level 0, and of level 1 what lies between its lowest and its highest
 * key. */
static ReefCode
plan_full(Planner *planner, ReefCompactPlan *plan, ReefError *err)
{
	const ReefSegmentMeta *segments = planner->manifest->segments;
	ReefSlice	low = segments[planner->level_1_count].key_min;
	ReefSlice	high = segments[planner->level_1_count].key_max;
	Part		part;
	int			i;

	if (planner->run_count >= planner->runs_max)
		return plan_tier(planner, plan, err);
	choose_range(planner, planner->level_1_count, planner->count);
	for (i = planner->level_1_count + 1; i < planner->count; i++)
	{
		if (reef_slice_compare(segments[i].key_min, low) < 0)
			low = segments[i].key_min;
		if (reef_slice_compare(segments[i].key_max, high) > 0)
			high = segments[i].key_max;
	}
	choose_level_1(planner, low, high, &part);
	if (is_remainder(planner, &part))
		return REEF_OK;
	return take_chosen(planner, 1, plan, err);
}

ReefCode
reef_compact_plan(const ReefManifest *manifest, size_t target_segment_size,
				  bool full, ReefArena *arena, ReefCompactPlan *plan,
				  ReefError *err)
{
	Planner		planner;

	memset(plan, 0, sizeof(*plan));
	REEF_TRY(planner_init(&planner, manifest, target_segment_size, arena,
						  err));
	if (planner.run_count == 0)
		return REEF_OK;
	if (full)
		return plan_full(&planner, plan, err);
	REEF_TRY(plan_promotion(&planner, plan, err));
	if (plan->input_count == 0 && planner.run_count > REEF_COMPACT_IDLE_RUNS)
		return plan_tier(&planner, plan, err);
	if (plan->input_count == 0)
		return plan_gathering(&planner, plan, err);
	return REEF_OK;
}
