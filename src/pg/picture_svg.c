/*
 * picture_svg.c
 *	  The drawings of reef_report.
 *
 * Keys of all types have an order but no distances.  So the horizontal axis
 * counts bounds: all lowest and highest keys of segments, in order, the same
 * distance from one another.  What overlaps in the picture overlaps in the
 * table, and only that; how wide a bar is says nothing, so its size stands in
 * it.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "pg/picture.h"

#define WIDTH 1040
#define LEFT 110				/* where the axis begins */
#define LANE_HEIGHT 22
#define LANES_MAX 60			/* of a level; more are only counted */
#define CHARACTER_WIDTH 6.2

/* Shares of dead rows, and their colours. */
static const struct
{
	double		up_to;
	const char *colour;
	const char *name;
}			shades[] =
{
	{
		0.0, "#2a9d8f", "nothing"
	},
	{
		0.1, "#8ab17d", "up to 10%"
	},
	{
		0.3, "#e9c46a", "up to 30%"
	},
	{
		0.6, "#f4a261", "up to 60%"
	},
	{
		1.0, "#e76f51", "more"
	}
};

/*
 * Whatever encoding the database has and the page will be read in: beyond
 * ASCII there are only character references.
 */
void
reefpg_html_text(StringInfo html, const char *text)
{
	const unsigned char *next;

	text = pg_server_to_any(text, (int) strlen(text), PG_UTF8);
	next = (const unsigned char *) text;
	while (*next != '\0')
	{
		int			length = pg_utf_mblen(next);

		if (length > 1 &&
			strnlen((const char *) next, length) == (size_t) length &&
			pg_utf8_islegal(next, length))
		{
			appendStringInfo(html, "&#%u;", (unsigned) utf8_to_unicode(next));
			next += length;
			continue;
		}
		if (strchr("&<>\"'`", *next) != NULL || *next < ' ' || *next > '~')
			appendStringInfo(html, "&#%d;",
							 *next < ' ' || *next > '~' ? '?' : *next);
		else
			appendStringInfoChar(html, (char) *next);
		next++;
	}
}

const char *
reefpg_html_bytes(uint64 bytes)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	double		amount = (double) bytes;
	int			unit = 0;

	while (amount >= 1024 && unit < (int) lengthof(units) - 1)
	{
		amount /= 1024;
		unit++;
	}
	return psprintf(unit == 0 || amount >= 100 ? "%.0f %s" : "%.1f %s", amount,
					units[unit]);
}

const char *
reefpg_html_number(uint64 number)
{
	char	   *plain = psprintf(UINT64_FORMAT, number);
	int			length = (int) strlen(plain);
	StringInfoData grouped;

	initStringInfo(&grouped);
	for (int i = 0; i < length; i++)
	{
		if (i > 0 && (length - i) % 3 == 0)
			appendStringInfoChar(&grouped, ',');
		appendStringInfoChar(&grouped, plain[i]);
	}
	return grouped.data;
}

/* What is dead in a segment, or makes something dead in others. */
static double
dead_share(const ReefPicSegment *segment)
{
	return segment->rows == 0 ? 0 :
		Min(1.0, (double) (segment->tombstones + segment->superseding) /
			(double) segment->rows);
}

static const char *
shade_of(double share)
{
	for (int i = 0; i < (int) lengthof(shades); i++)
	{
		if (share <= shades[i].up_to)
			return shades[i].colour;
	}
	return shades[lengthof(shades) - 1].colour;
}

/* ---- places ---- */

typedef struct Bound
{
	ReefSlice	key;
	int		   *place;
} Bound;

static int
compare_bounds(const void *left, const void *right)
{
	const Bound *a = left;
	const Bound *b = right;

	return reef_slice_compare(a->key, b->key);
}

/* Number the bounds; returns how many different ones there are. */
static int
number_bounds(ReefPicSegments *segments)
{
	Bound	   *bounds = palloc(sizeof(Bound) * 2 * segments->count);
	int			place = 0;

	for (int i = 0; i < segments->count; i++)
	{
		ReefPicSegment *segment = &segments->segments[i];

		bounds[2 * i].key = segment->key_min;
		bounds[2 * i].place = &segment->left;
		bounds[2 * i + 1].key = segment->key_max;
		bounds[2 * i + 1].place = &segment->right;
	}
	qsort(bounds, 2 * segments->count, sizeof(Bound), compare_bounds);
	for (int i = 0; i < 2 * segments->count; i++)
	{
		if (i > 0 && compare_bounds(&bounds[i - 1], &bounds[i]) != 0)
			place++;
		*bounds[i].place = place;
	}
	pfree(bounds);
	return place + 1;
}

static int
compare_age(const void *left, const void *right)
{
	const ReefPicSegment *a = left;
	const ReefPicSegment *b = right;

	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	if (a->lsn_max != b->lsn_max)
		return a->lsn_max > b->lsn_max ? -1 : 1;
	return a->left < b->left ? -1 : a->left > b->left;
}

/* Each segment goes into the first lane of its level where nothing is in its
 * way, newest first; returns the number of lanes. */
static int
assign_lanes(ReefPicSegments *segments, int level)
{
	int			lanes = 0;

	for (int i = 0; i < segments->count; i++)
	{
		ReefPicSegment *segment = &segments->segments[i];
		bool		is_free = false;

		if (segment->level != level)
			continue;
		for (segment->lane = 0; segment->lane < lanes; segment->lane++)
		{
			is_free = true;
			for (int other = 0; other < i && is_free; other++)
			{
				const ReefPicSegment *placed = &segments->segments[other];

				is_free = placed->level != level ||
					placed->lane != segment->lane ||
					placed->right < segment->left ||
					placed->left > segment->right;
			}
			if (is_free)
				break;
		}
		if (!is_free)
			lanes = segment->lane + 1;
		if (lanes > LANES_MAX)
			break;				/* the rest is counted, not drawn */
	}
	return lanes;
}

/* ---- drawing ---- */

static void
draw_label(StringInfo html, int y, const char *text)
{
	appendStringInfo(html,
					 "<text class=\"label\" x=\"%d\" y=\"%d\">%s</text>\n",
					 LEFT - 12, y, text);
}

static void
draw_segment(StringInfo html, const ReefPicSegment *segment, int places, int y)
{
	double		step = places > 1 ? (double) (WIDTH - LEFT - 4) / (places - 1) :
		WIDTH - LEFT - 4;
	double		x = LEFT + segment->left * step;
	double		width = places > 1 ? (segment->right - segment->left) * step :
		step;
	double		share = dead_share(segment);
	char	   *text = psprintf("%s, %s rows", reefpg_html_bytes(segment->bytes),
								reefpg_html_number(segment->rows));

	width = Max(width, 3);
	appendStringInfo(html,
					 "<g><title>%s\n%s, %s rows\n%s tombstones, %s superseding\nLSN " UINT64_FORMAT " to " UINT64_FORMAT "</title>"
					 "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" fill=\"%s\"/>",
					 segment->id, reefpg_html_bytes(segment->bytes),
					 reefpg_html_number(segment->rows),
					 reefpg_html_number(segment->tombstones),
					 reefpg_html_number(segment->superseding),
					 segment->lsn_min, segment->lsn_max, x, y, width,
					 LANE_HEIGHT - 4, shade_of(share));
	if (share > 0)
		text = psprintf("%s, %.0f%% dead", text, share * 100);
	if (strlen(text) * CHARACTER_WIDTH > width)
		text = pstrdup(reefpg_html_bytes(segment->bytes));
	if (strlen(text) * CHARACTER_WIDTH <= width)
		appendStringInfo(html,
						 "<text class=\"bar\" x=\"%.1f\" y=\"%d\">%s</text>",
						 x + width / 2, y + 13, text);
	appendStringInfoString(html, "</g>\n");
}

static int
draw_level(StringInfo html, const ReefPicSegments *segments, int level,
		   int lanes, int places, int y)
{
	int			hidden = 0;
	int			count = 0;

	for (int i = 0; i < segments->count; i++)
	{
		const ReefPicSegment *segment = &segments->segments[i];

		if (segment->level != level)
			continue;
		count++;
		if (segment->lane >= LANES_MAX)
			hidden++;
		else
			draw_segment(html, segment, places,
						 y + segment->lane * LANE_HEIGHT);
	}
	draw_label(html, y + 13, psprintf("level %d (%d)", level, count));
	y += Max(Min(lanes, LANES_MAX), 1) * LANE_HEIGHT;
	if (count == 0)
		appendStringInfo(html,
						 "<text class=\"none\" x=\"%d\" y=\"%d\">none</text>\n",
						 LEFT, y - LANE_HEIGHT + 13);
	if (hidden > 0)
	{
		appendStringInfo(html,
						 "<text class=\"none\" x=\"%d\" y=\"%d\">and %d more</text>\n",
						 LEFT, y + 13, hidden);
		y += LANE_HEIGHT;
	}
	return y + 10;
}

static void
draw_axis(StringInfo html, const ReefPicSegments *segments, int y)
{
	appendStringInfo(html,
					 "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n",
					 LEFT, y, WIDTH - 4, y);
	appendStringInfo(html, "<text class=\"key\" x=\"%d\" y=\"%d\">", LEFT,
					 y + 16);
	reefpg_html_text(html, segments->lowest);
	appendStringInfo(html,
					 "</text>\n<text class=\"key end\" x=\"%d\" y=\"%d\">",
					 WIDTH - 4, y + 16);
	reefpg_html_text(html, segments->highest);
	appendStringInfo(html, "</text>\n");
	draw_label(html, y + 16, "key");
}

static void
draw_legend(StringInfo html)
{
	appendStringInfoString(html, "<p class=\"legend\">Rows that are dead or make others dead: ");
	for (int i = 0; i < (int) lengthof(shades); i++)
		appendStringInfo(html,
						 "<svg width=\"12\" height=\"12\"><rect width=\"12\" height=\"12\" rx=\"2\" fill=\"%s\"/></svg> %s ",
						 shades[i].colour, shades[i].name);
	appendStringInfoString(html,
						   "&#183; The axis counts the bounds of segments in key order: what overlaps here overlaps in the table; widths have no meaning.</p>\n");
}

void
reefpg_svg_segments(StringInfo html, ReefPicSegments *segments,
					uint64 unfolded_records, uint64 unfolded_bytes)
{
	StringInfoData body;
	int			places = segments->count > 0 ? number_bounds(segments) : 1;
	int			lanes[2];
	int			y = 4;

	qsort(segments->segments, segments->count, sizeof(ReefPicSegment),
		  compare_age);
	for (int i = 0; i < segments->count; i++)
		segments->segments[i].lane = LANES_MAX;
	for (int level = 0; level < 2; level++)
		lanes[level] = assign_lanes(segments, level);

	initStringInfo(&body);
	draw_label(&body, y + 13, "memtable");
	if (unfolded_records > 0)
		appendStringInfo(&body,
						 "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"2\" class=\"memtable\"/>"
						 "<text class=\"bar dark\" x=\"%d\" y=\"%d\">%s records not folded, %s</text>\n",
						 LEFT, y, WIDTH - LEFT - 4, LANE_HEIGHT - 4,
						 (WIDTH + LEFT) / 2, y + 13,
						 reefpg_html_number(unfolded_records),
						 reefpg_html_bytes(unfolded_bytes));
	else
		appendStringInfo(&body,
						 "<text class=\"none\" x=\"%d\" y=\"%d\">everything is folded</text>\n",
						 LEFT, y + 13);
	y += LANE_HEIGHT + 10;
	for (int level = 0; level < 2; level++)
		y = draw_level(&body, segments, level, lanes[level], places, y);
	draw_axis(&body, segments, y);
	appendStringInfo(html,
					 "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"segments by level over the key range\">\n%s</svg>\n",
					 WIDTH, y + 26, body.data);
	draw_legend(html);
}

void
reefpg_svg_gauge(StringInfo html, const char *name, const char *value,
				 double fraction)
{
	double		shown = Max(0, Min(fraction, 1));

	appendStringInfo(html, "<div class=\"gauge\"><b>%s</b> <span>%s</span>"
					 "<svg viewBox=\"0 0 300 12\" preserveAspectRatio=\"none\">"
					 "<rect width=\"300\" height=\"12\" rx=\"3\" fill=\"#e5e7eb\"/>"
					 "<rect width=\"%.1f\" height=\"12\" rx=\"3\" fill=\"%s\"/></svg></div>\n",
					 name, value, shown * 300,
					 fraction > 1 ? "#e76f51" : "#2a9d8f");
}

void
reefpg_svg_bar(StringInfo html, uint64 value, uint64 greatest)
{
	appendStringInfo(html, "<svg width=\"120\" height=\"10\"><rect width=\"%.1f\" height=\"10\" rx=\"2\" fill=\"#457b9d\"/></svg>",
					 greatest == 0 ? 0.0 :
					 Max(value > 0 ? 1.0 : 0.0,
						 120.0 * (double) value / (double) greatest));
}
