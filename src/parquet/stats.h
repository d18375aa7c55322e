/*
 * stats.h
 *	  Bounds of the values of a page or a column chunk, in stored form.
 *
 * Bounds are what lets a reader skip a page, so they must hold in both orders
 * that look at them, Parquet's and PostgreSQL's.  Where the two disagree there
 * are none: a float page with a NaN (PostgreSQL: the greatest; Parquet: not
 * ordered), a timestamp beyond the stored range (type.h).  A zero counts as
 * -0 in a lower and +0 in an upper bound.  Bounds of text longer than
 * REEF_STATS_MAX_SIZE are cut: the lower one is a prefix, the upper one a
 * prefix whose last character is raised.
 */
#ifndef REEF_PARQUET_STATS_H
#define REEF_PARQUET_STATS_H

#include "parquet/type.h"

#define REEF_STATS_MAX_SIZE 64

typedef struct ReefStats
{
	bool		has_min_max;
	bool		min_exact;
	bool		max_exact;
	ReefSlice	min;
	ReefSlice	max;
	uint8_t		min_bytes[REEF_STATS_MAX_SIZE];
	uint8_t		max_bytes[REEF_STATS_MAX_SIZE];
} ReefStats;

/* Of collected PLAIN values (plain.h); no bounds if there are none. */
extern void reef_stats_compute(ReefKind kind, ReefSlice values, size_t count,
							   ReefStats *stats);
/* Copies the slices, which may point elsewhere or into "from". */
extern void reef_stats_copy(ReefStats *to, const ReefStats *from);
/* Widen "stats" to hold "other" too. */
extern void reef_stats_merge(ReefKind kind, ReefStats *stats,
							 const ReefStats *other);
/* Order of two stored values, none of them NaN. */
extern int	reef_stats_compare(ReefKind kind, ReefSlice a, ReefSlice b);

#endif							/* REEF_PARQUET_STATS_H */
