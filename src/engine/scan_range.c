/*
 * scan_range.c
 *	  Ranges of encoded keys against keys and against bounds of pages.
 *
 * A key is exact.  The bounds of a page are not: the lower one may be a prefix
 * of a key, the upper one always is (segment_cache.h).  What cannot be said
 * with certainty is left to the rows themselves.
 */
#include "engine/scan.h"

/* Compare a key with a prefix, cut to the prefix's size. */
static int
compare_prefix(ReefSlice key, ReefSlice prefix)
{
	if (key.size > prefix.size)
		key.size = prefix.size;
	return reef_slice_compare(key, prefix);
}

int
reef_range_compare(const void *arg, ReefSlice key)
{
	const ReefKeyRange *range = arg;
	int			order;

	if (range->is_prefix)
		return compare_prefix(key, range->low);
	if (range->low.size > 0)
	{
		order = reef_slice_compare(key, range->low);
		if (order < 0 || (order == 0 && range->low_exclusive))
			return -1;
	}
	if (range->high.size > 0)
	{
		order = reef_slice_compare(key, range->high);
		if (order > 0 || (order == 0 && range->high_exclusive))
			return 1;
	}
	return 0;
}

/* Is every key that is not beyond "high" below this one? */
static bool
is_all_below(ReefSlice high, ReefSlice key)
{
	size_t		size = high.size < key.size ? high.size : key.size;

	return size > 0 && memcmp(high.data, key.data, size) < 0;
}

bool
reef_range_overlaps(const ReefKeyRange *range, ReefSlice low, ReefSlice high)
{
	if (range->low.size > 0 && is_all_below(high, range->low))
		return false;
	if (range->is_prefix)
		return compare_prefix(low, range->low) <= 0;
	return range->high.size == 0 ||
		reef_slice_compare(low, range->high) <= 0;
}

bool
reef_range_contains(const ReefKeyRange *range, ReefSlice low, ReefSlice high)
{
	if (range->is_prefix)
		return range->low.size == 0 ||
			(low.size >= range->low.size && high.size >= range->low.size &&
			 compare_prefix(low, range->low) == 0 &&
			 compare_prefix(high, range->low) == 0);
	if (range->low.size > 0)
	{
		int			order = reef_slice_compare(low, range->low);

		if (order < 0 || (order == 0 && range->low_exclusive))
			return false;
	}
	return range->high.size == 0 || is_all_below(high, range->high);
}

bool
reef_range_is_point(const ReefKeyRange *range)
{
	return !range->is_prefix && range->low.size > 0 &&
		!range->low_exclusive && !range->high_exclusive &&
		reef_slice_equal(range->low, range->high);
}
