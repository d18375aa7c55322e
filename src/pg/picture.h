/*
 * picture.h
 *	  What reef_report shows of a table, and how it is drawn.
 */
#ifndef REEF_PG_PICTURE_H
#define REEF_PG_PICTURE_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "pg/reef_fdw.h"

typedef struct ReefPicSegment
{
	char		id[37];
	int			level;
	uint64		rows;
	uint64		tombstones;
	uint64		superseding;
	uint64		lsn_min;
	uint64		lsn_max;
	uint64		bytes;
	ReefSlice	key_min;		/* malloc'd */
	ReefSlice	key_max;
	/* where it is drawn: places among all bounds in order, and the row */
	int			left;
	int			right;
	int			lane;
} ReefPicSegment;

typedef struct ReefPicSegments
{
	int			count;
	int			capacity;
	ReefPicSegment *segments;	/* malloc'd */
	const char *lowest;			/* keys, for people; palloc'd */
	const char *highest;
} ReefPicSegments;

/* in picture_svg.c */

/* Text as it stands in HTML, between tags or in quotes, in any encoding. */
extern void reefpg_html_text(StringInfo html, const char *text);
/* "12.3 MB" */
extern const char *reefpg_html_bytes(uint64 bytes);
/* "1,234,567" */
extern const char *reefpg_html_number(uint64 number);
/* The segments by level over the key range. */
extern void reefpg_svg_segments(StringInfo html, ReefPicSegments *segments,
								uint64 unfolded_records,
								uint64 unfolded_bytes);
/* How full something is; above 1 it is overdue. */
extern void reefpg_svg_gauge(StringInfo html, const char *name,
							 const char *value, double fraction);
/* A bar as long as its share of the greatest. */
extern void reefpg_svg_bar(StringInfo html, uint64 value, uint64 greatest);

#endif							/* REEF_PG_PICTURE_H */
