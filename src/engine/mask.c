/*
 * mask.c
 *	  Which rows of a source are hidden by newer ones?
 *
 * Problem: a row that was updated or deleted is still in the segment that it
 * was first written to, and a scan that emits each source on its own must
 * leave it out; but most tables are mostly inserts, and then looking at keys
 * at all would cost more than everything else a scan does.
 *
 * Mechanism: only rows that may hide something take part.  A skip list notes
 * their keys as the scan passes them (it is emitted before whatever is older);
 * a segment says in its description how many it has.  Before a page's keys are
 * decoded its bounds are held against those; then two sorted sequences of keys
 * are merged, each skipping ahead to the other by doubling steps, so that few
 * keys against many cost few comparisons.
 *
 * Consequence: a segment of pure inserts costs other sources nothing, and one
 * with a handful of updates costs the pages they fall on.
 */
#include "engine/scan.h"

#include <stdlib.h>

static bool
can_hide(const ReefSource *source)
{
	return source->rows != NULL || source->meta->superseding_count > 0;
}

/* May rows of "newer" be newer than rows of "older"?  Equal stamps: the one
 * that comes first in the list is newer. */
static bool
may_mask(const ReefScan *scan, int newer, int older)
{
	const ReefSource *n = &scan->sources[newer];
	const ReefSource *o = &scan->sources[older];

	if (n->stamp_max < o->stamp_min ||
		(n->stamp_max == o->stamp_min && newer > older))
		return false;
	/* a skip list's hiding keys are known once it has been passed */
	if (n->rows != NULL)
		return newer < older;
	return o->meta == NULL ||
		(reef_slice_compare(n->meta->key_min, o->meta->key_max) <= 0 &&
		 reef_slice_compare(o->meta->key_min, n->meta->key_max) <= 0);
}

static bool
is_surely_newer(const ReefScan *scan, int newer, int older)
{
	const ReefSource *n = &scan->sources[newer];
	const ReefSource *o = &scan->sources[older];

	return n->stamp_min > o->stamp_max ||
		(n->stamp_min == o->stamp_max && newer < older);
}

ReefCode
reef_mask_plan(ReefScan *scan, ReefError *err)
{
	size_t		size = sizeof(int) * (size_t) (scan->source_count + 1);
	int		   *hiders = reef_arena_alloc(&scan->restart_arena, size);
	int			hider_count = 0;
	int			i;
	int			j;

	if (hiders == NULL)
		return reef_error_no_memory(err, size);
	for (i = 0; i < scan->source_count; i++)
	{
		if (can_hide(&scan->sources[i]))
			hiders[hider_count++] = i;
	}
	for (i = 0; i < scan->source_count; i++)
	{
		ReefSource *source = &scan->sources[i];
		int			count = 0;

		for (j = 0; j < hider_count; j++)
			count += hiders[j] != i && may_mask(scan, hiders[j], i);
		if (count == 0)
			continue;
		source->maskers = reef_arena_alloc(&scan->restart_arena,
										   sizeof(int) * (size_t) count);
		if (source->maskers == NULL)
			return reef_error_no_memory(err, sizeof(int) * (size_t) count);
		for (j = 0; j < hider_count; j++)
		{
			if (hiders[j] == i || !may_mask(scan, hiders[j], i))
				continue;
			source->maskers[source->masker_count++] = hiders[j];
			if (!is_surely_newer(scan, hiders[j], i))
				source->needs_stamps = true;
		}
	}
	return REEF_OK;
}

ReefCode
reef_mask_add(ReefSource *source, ReefSlice key, uint64_t stamp,
			  ReefError *err)
{
	if (source->hiding_count == source->hiding_capacity)
	{
		size_t		capacity = source->hiding_capacity * 2 + 64;
		ReefSlice  *keys;
		uint64_t   *stamps;

		keys = realloc(source->hiding_keys, sizeof(*keys) * capacity);
		if (keys == NULL)
			return reef_error_no_memory(err, sizeof(*keys) * capacity);
		source->hiding_keys = keys;
		stamps = realloc(source->hiding_stamps, sizeof(*stamps) * capacity);
		if (stamps == NULL)
			return reef_error_no_memory(err, sizeof(*stamps) * capacity);
		source->hiding_stamps = stamps;
		source->hiding_capacity = capacity;
	}
	source->hiding_keys[source->hiding_count] = key;
	source->hiding_stamps[source->hiding_count] = stamp;
	source->hiding_count++;
	return REEF_OK;
}

/* The first of keys[from .. count) that is >= key, near "from" if possible. */
static size_t
seek_forward(const ReefSlice *keys, size_t from, size_t count, ReefSlice key)
{
	size_t		step = 1;
	size_t		end;

	if (from >= count || reef_slice_compare(keys[from], key) >= 0)
		return from;
	while (from + step < count &&
		   reef_slice_compare(keys[from + step], key) < 0)
	{
		from += step;
		step *= 2;
	}
	end = from + step < count ? from + step : count;
	from++;
	while (from < end)
	{
		size_t		middle = from + (end - from) / 2;

		if (reef_slice_compare(keys[middle], key) < 0)
			from = middle + 1;
		else
			end = middle;
	}
	return from;
}

/* ---- page bounds ---- */

static ReefCode
check_segment(ReefScan *scan, ReefSource *masker, ReefSlice low,
			  ReefSlice high, bool *may_hide, ReefError *err)
{
	int			group;
	int			page;
	bool		found;

	REEF_TRY(reef_scan_open_source(scan, masker, err));
	REEF_TRY(reef_segment_seek(masker->segment, low, &group, &page, &found,
							   err));
	while (found && !*may_hide)
	{
		ReefPage   *keys;
		size_t		place;

		if (reef_key_is_beyond(masker->segment->groups[group].pages[page].low,
							   high))
			break;
		REEF_TRY(reef_segment_pin(masker->segment, group, page, REEF_PAGE_KEYS,
								  reef_scan_page_use(scan), &keys, err));
		place = seek_forward(keys->keys, 0, keys->row_count, low);
		found = place == keys->row_count;
		*may_hide = !found && !reef_key_is_beyond(keys->keys[place], high);
		reef_page_unpin(keys);
		if (found)
			REEF_TRY(reef_segment_next_page(masker->segment, &group, &page,
											&found, err));
	}
	return REEF_OK;
}

ReefCode
reef_mask_check(ReefScan *scan, const ReefSource *source, ReefSlice low,
				ReefSlice high, bool *may_hide, ReefError *err)
{
	int			i;

	*may_hide = false;
	for (i = 0; i < source->masker_count && !*may_hide; i++)
	{
		ReefSource *masker = &scan->sources[source->maskers[i]];
		size_t		place;

		if (masker->rows == NULL)
		{
			REEF_TRY(check_segment(scan, masker, low, high, may_hide, err));
			continue;
		}
		place = seek_forward(masker->hiding_keys, 0, masker->hiding_count,
							 low);
		*may_hide = place < masker->hiding_count &&
			!reef_key_is_beyond(masker->hiding_keys[place], high);
	}
	return REEF_OK;
}

/* ---- merging ---- */

/* Keys of a masker, in order, with their stamps. */
typedef struct MaskerKeys
{
	const ReefSlice *keys;
	size_t		count;
	const uint64_t *stamps;		/* or */
	const ReefVector *lsns;		/* of a segment's rows, or */
	uint64_t	stamp;			/* of all */
	bool		is_first;		/* equal stamps: the masker's row is newer */
} MaskerKeys;

static uint64_t
masker_stamp(const MaskerKeys *masker, size_t i)
{
	ReefValue	value;

	if (masker->stamps != NULL)
		return masker->stamps[i];
	if (masker->lsns == NULL)
		return masker->stamp;
	reef_vector_get(masker->lsns, (int) i, &value);
	return value.is_null ? masker->stamp :
		reef_stamp_of_lsn((uint64_t) value.as.int64);
}

static void
hide_rows(ReefMaskRows *rows, const MaskerKeys *masker, bool needs_stamps)
{
	size_t		row = 0;
	size_t		m = seek_forward(masker->keys, 0, masker->count,
								 rows->keys[0]);

	while (row < rows->count && m < masker->count)
	{
		int			order = reef_slice_compare(rows->keys[row],
											   masker->keys[m]);

		if (order < 0)
			row = seek_forward(rows->keys, row, rows->count, masker->keys[m]);
		else if (order > 0)
			m = seek_forward(masker->keys, m, masker->count, rows->keys[row]);
		else
		{
			bool		is_newer = true;

			if (needs_stamps)
			{
				uint64_t	stamp = rows->stamps == NULL ? rows->stamp :
					rows->stamps[row];
				uint64_t	other = masker_stamp(masker, m);

				is_newer = other > stamp ||
					(other == stamp && masker->is_first);
			}
			if (is_newer && rows->hidden[row] == 0)
			{
				rows->hidden[row] = 1;
				rows->hidden_count++;
			}
			row++;
			m++;
		}
	}
}

static ReefCode
apply_page(ReefScan *scan, ReefSource *masker, int group, int page,
		   MaskerKeys *keys, ReefMaskRows *rows, bool needs_stamps,
		   ReefError *err)
{
	ReefPage   *page_keys;
	ReefPage   *lsns = NULL;
	ReefCode	rc = REEF_OK;

	REEF_TRY(reef_segment_pin(masker->segment, group, page, REEF_PAGE_KEYS,
							  reef_scan_page_use(scan), &page_keys, err));
	if (needs_stamps && masker->stamp_min != masker->stamp_max)
		rc = reef_segment_pin(masker->segment, group, page,
							  masker->segment->lsn_column,
							  reef_scan_page_use(scan), &lsns, err);
	if (rc == REEF_OK)
	{
		keys->keys = page_keys->keys;
		keys->count = page_keys->row_count;
		keys->lsns = lsns == NULL ? NULL : &lsns->vector;
		hide_rows(rows, keys, needs_stamps);
	}
	reef_page_unpin(lsns);
	reef_page_unpin(page_keys);
	return rc;
}

static ReefCode
apply_segment(ReefScan *scan, ReefSource *masker, MaskerKeys *keys,
			  ReefMaskRows *rows, bool needs_stamps, ReefError *err)
{
	ReefSlice	last = rows->keys[rows->count - 1];
	int			group;
	int			page;
	bool		found;

	REEF_TRY(reef_scan_open_source(scan, masker, err));
	REEF_TRY(reef_segment_seek(masker->segment, rows->keys[0], &group, &page,
							   &found, err));
	while (found &&
		   reef_slice_compare(masker->segment->groups[group].pages[page].low,
							  last) <= 0)
	{
		REEF_TRY(apply_page(scan, masker, group, page, keys, rows,
							needs_stamps, err));
		REEF_TRY(reef_segment_next_page(masker->segment, &group, &page, &found,
										err));
	}
	return REEF_OK;
}

ReefCode
reef_mask_apply(ReefScan *scan, const ReefSource *source, ReefMaskRows *rows,
				ReefError *err)
{
	int			index = (int) (source - scan->sources);
	int			i;

	rows->hidden_count = 0;
	for (i = 0; i < source->masker_count && rows->count > 0; i++)
	{
		ReefSource *masker = &scan->sources[source->maskers[i]];
		bool		needs_stamps = !is_surely_newer(scan, source->maskers[i],
													index);
		MaskerKeys	keys;

		memset(&keys, 0, sizeof(keys));
		keys.stamp = masker->stamp_max;
		keys.is_first = source->maskers[i] < index;
		if (masker->rows == NULL)
			REEF_TRY(apply_segment(scan, masker, &keys, rows, needs_stamps,
								   err));
		else
		{
			keys.keys = masker->hiding_keys;
			keys.stamps = masker->hiding_stamps;
			keys.count = masker->hiding_count;
			if (keys.count > 0)
				hide_rows(rows, &keys, needs_stamps);
		}
	}
	scan->counters.rows_masked += rows->hidden_count;
	return REEF_OK;
}
