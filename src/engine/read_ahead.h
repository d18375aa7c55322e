/*
 * read_ahead.h
 *	  Pages of segments far away: fetch the next ones with the same request.
 */
#ifndef REEF_ENGINE_READ_AHEAD_H
#define REEF_ENGINE_READ_AHEAD_H

#include <stdint.h>

#include "base/error.h"

#define REEF_READ_AHEAD_STREAMS 32

/* One place in a file that is read on and on. */
typedef struct ReefReadStream
{
	uint8_t		id[16];			/* of the file */
	uint64_t	next;			/* where the last read here ended */
	uint64_t	start;			/* of the bytes in memory */
	uint64_t	end;
	size_t		window;			/* fetched at last; 0: no more than asked for */
	uint8_t    *bytes;			/* NULL: none in memory */
	uint64_t	used;			/* when; 0: the stream is free */
} ReefReadStream;

/* Begins zeroed. */
typedef struct ReefReadAhead
{
	ReefReadStream streams[REEF_READ_AHEAD_STREAMS];
	size_t		size;			/* of all bytes in memory */
	uint64_t	clock;
} ReefReadAhead;

/* A file that never changes. */
typedef struct ReefReadSource
{
	const uint8_t *id;			/* 16 bytes */
	uint64_t	size;
	ReefCode	(*fetch) (void *arg, uint64_t offset, size_t size, void *out,
						  ReefError *err);
	void	   *arg;
} ReefReadSource;

extern ReefCode reef_read_ahead_get(ReefReadAhead *ahead,
									const ReefReadSource *source,
									uint64_t offset, size_t size, void *out,
									ReefError *err) REEF_MUST_CHECK;
/* Nobody reads this file any more; NULL: nor any other. */
extern void reef_read_ahead_forget(ReefReadAhead *ahead, const uint8_t *id);

#endif							/* REEF_ENGINE_READ_AHEAD_H */
