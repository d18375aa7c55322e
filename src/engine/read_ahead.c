/*
 * read_ahead.c
 *	  Pages of segments far away: fetch the next ones with the same request.
 *
 * A scan reads a page of each column, then the next page of each; in a bucket
 * each is a request, and a thousand round trips make a scan of a second take
 * half a minute.  A page is about 64 KB, and the time of a request is worth a
 * megabyte and more.
 *
 * So each place that is read on from is a stream.  Who reads where a stream
 * ends gets much more than he asked for fetched, and the next time more again;
 * who reads elsewhere, as a key lookup does, gets just that, unless the file is
 * being scanned: then it is the next column, or row group.  What is in memory
 * serves whoever asks, so what was fetched beyond a column's end is not lost.
 */
#include "engine/read_ahead.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_FIRST ((size_t) 1024 * 1024)
#define WINDOW_MAX ((size_t) 8 * 1024 * 1024)
#define WINDOW_GROWTH 8
#define MEMORY_MAX ((size_t) 48 * 1024 * 1024)
/* Pages that are skipped do not end a stream. */
#define GAP_MAX 65536

static void
free_bytes(ReefReadAhead *ahead, ReefReadStream *stream)
{
	if (stream->bytes == NULL)
		return;
	ahead->size -= (size_t) (stream->end - stream->start);
	free(stream->bytes);
	stream->bytes = NULL;
}

/* The stream that has these bytes. */
static ReefReadStream *
find_bytes(ReefReadAhead *ahead, const ReefReadSource *source,
		   uint64_t offset, size_t size)
{
	for (int i = 0; i < REEF_READ_AHEAD_STREAMS; i++)
	{
		ReefReadStream *stream = &ahead->streams[i];

		if (stream->bytes != NULL && stream->start <= offset &&
			offset + size <= stream->end &&
			memcmp(stream->id, source->id, 16) == 0)
			return stream;
	}
	return NULL;
}

/* The stream that goes on here. */
static ReefReadStream *
find_stream(ReefReadAhead *ahead, const ReefReadSource *source,
			uint64_t offset)
{
	for (int i = 0; i < REEF_READ_AHEAD_STREAMS; i++)
	{
		ReefReadStream *stream = &ahead->streams[i];

		if (stream->used != 0 && offset >= stream->next &&
			offset <= stream->next + GAP_MAX &&
			memcmp(stream->id, source->id, 16) == 0)
			return stream;
	}
	return NULL;
}

/* The largest window of the file: 0 if nothing of it is being scanned. */
static size_t
find_window(const ReefReadAhead *ahead, const ReefReadSource *source)
{
	size_t		window = 0;

	for (int i = 0; i < REEF_READ_AHEAD_STREAMS; i++)
	{
		const ReefReadStream *stream = &ahead->streams[i];

		if (stream->used != 0 && stream->window > window &&
			memcmp(stream->id, source->id, 16) == 0)
			window = stream->window;
	}
	return window;
}

static ReefReadStream *
find_oldest(ReefReadAhead *ahead)
{
	ReefReadStream *oldest = &ahead->streams[0];

	for (int i = 1; i < REEF_READ_AHEAD_STREAMS; i++)
	{
		if (ahead->streams[i].used < oldest->used)
			oldest = &ahead->streams[i];
	}
	return oldest;
}

/* Make room for a window, from what has not been used for the longest time. */
static void
make_room(ReefReadAhead *ahead)
{
	while (ahead->size > MEMORY_MAX - WINDOW_MAX)
	{
		ReefReadStream *oldest = NULL;

		for (int i = 0; i < REEF_READ_AHEAD_STREAMS; i++)
		{
			ReefReadStream *stream = &ahead->streams[i];

			if (stream->bytes != NULL &&
				(oldest == NULL || stream->used < oldest->used))
				oldest = stream;
		}
		if (oldest == NULL)
			return;
		free_bytes(ahead, oldest);
	}
}

/* How much to fetch for a stream that goes on. */
static size_t
next_window(const ReefReadStream *stream, const ReefReadSource *source,
			uint64_t offset, size_t size)
{
	size_t		window = stream->window == 0 ? WINDOW_FIRST :
		stream->window * WINDOW_GROWTH;

	if (window > WINDOW_MAX)
		window = WINDOW_MAX;
	if (window > source->size - offset)
		window = (size_t) (source->size - offset);
	return window < size ? size : window;
}

static ReefCode
read_on(ReefReadAhead *ahead, ReefReadStream *stream,
		const ReefReadSource *source, uint64_t offset, size_t size, void *out,
		ReefError *err)
{
	size_t		window;
	uint8_t    *bytes;
	ReefCode	rc;

	free_bytes(ahead, stream);
	make_room(ahead);
	window = next_window(stream, source, offset, size);
	/* it can be done without */
	bytes = window > size ? malloc(window) : NULL;
	rc = bytes != NULL ?
		source->fetch(source->arg, offset, window, bytes, err) :
		source->fetch(source->arg, offset, size, out, err);
	if (rc != REEF_OK)
	{
		free(bytes);
		stream->used = 0;
		return rc;
	}
	stream->start = offset;
	stream->end = offset + window;
	stream->window = window;
	stream->bytes = bytes;
	if (bytes != NULL)
	{
		memcpy(out, bytes, size);
		ahead->size += window;
	}
	return REEF_OK;
}

ReefCode
reef_read_ahead_get(ReefReadAhead *ahead, const ReefReadSource *source,
					uint64_t offset, size_t size, void *out, ReefError *err)
{
	ReefReadStream *stream;
	ReefReadStream *holder;
	bool		is_scan = true;

	/* Nothing to gain; and lengths that a damaged file names add up here. */
	if (offset > source->size || size > source->size - offset ||
		size >= WINDOW_MAX)
		return source->fetch(source->arg, offset, size, out, err);
	stream = find_stream(ahead, source, offset);
	holder = find_bytes(ahead, source, offset, size);
	if (stream == NULL)
	{
		size_t		window = find_window(ahead, source);

		stream = find_oldest(ahead);
		if (stream == holder)
			holder = NULL;
		free_bytes(ahead, stream);
		memcpy(stream->id, source->id, 16);
		stream->window = window;
		is_scan = window > 0;
	}
	stream->used = ++ahead->clock;
	if (holder != NULL)
	{
		memcpy(out, holder->bytes + (offset - holder->start), size);
		holder->used = ahead->clock;
	}
	else if (is_scan)
		REEF_TRY(read_on(ahead, stream, source, offset, size, out, err));
	else
		REEF_TRY(source->fetch(source->arg, offset, size, out, err));
	stream->next = offset + size;
	return REEF_OK;
}

void
reef_read_ahead_forget(ReefReadAhead *ahead, const uint8_t *id)
{
	for (int i = 0; i < REEF_READ_AHEAD_STREAMS; i++)
	{
		ReefReadStream *stream = &ahead->streams[i];

		if (id != NULL && memcmp(stream->id, id, 16) != 0)
			continue;
		free_bytes(ahead, stream);
		stream->used = 0;
	}
}
