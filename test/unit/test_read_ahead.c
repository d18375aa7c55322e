/*
 * test_read_ahead.c
 *	  Every byte is the file's, and a scan takes few requests.
 */
#include "engine/read_ahead.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define FILE_SIZE ((size_t) 24 * 1024 * 1024 + 12345)

typedef struct File
{
	uint8_t		id[16];
	int			requests;
	uint64_t	fetched;
	bool		fails;
} File;

/* What the file has there. */
static uint8_t
byte_at(uint64_t offset)
{
	return (uint8_t) ((offset * UINT64_C(2654435761)) >> 13);
}

static ReefCode
fetch(void *arg, uint64_t offset, size_t size, void *out, ReefError *err)
{
	File	   *file = arg;
	uint8_t    *bytes = out;

	file->requests++;
	if (file->fails || offset + size > FILE_SIZE)
		return reef_error_set(err, REEF_UNAVAILABLE, "no", NULL);
	file->fetched += size;
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(offset + i);
	return REEF_OK;
}

static ReefReadSource
source_of(File *file)
{
	return (ReefReadSource) {file->id, FILE_SIZE, fetch, file};
}

static bool
is_right(const uint8_t *bytes, uint64_t offset, size_t size)
{
	for (size_t i = 0; i < size; i++)
	{
		if (bytes[i] != byte_at(offset + i))
			return false;
	}
	return true;
}

UNIT_TEST(test_read_ahead__interleaved_columns_take_few_requests)
{
	ReefReadAhead *ahead = calloc(1, sizeof(*ahead));
	File		file = {.id = {1}};
	ReefReadSource source = source_of(&file);
	size_t		column = FILE_SIZE / 3;
	size_t		page = 60000;
	uint8_t    *out = malloc(page);
	ReefError	err;

	reef_error_init(&err);
	for (size_t at = 0; at < column; at += page)
	{
		for (size_t i = 0; i < 3; i++)
		{
			size_t		size = column - at < page ? column - at : page;

			UNIT_OK(reef_read_ahead_get(ahead, &source, i * column + at, size,
										out, &err), &err);
			UNIT_CHECK(is_right(out, i * column + at, size));
		}
	}
	UNIT_CHECK(file.requests <= 3 * 4);
	UNIT_CHECK(file.fetched < 2 * FILE_SIZE);
	reef_read_ahead_forget(ahead, file.id);
	UNIT_CHECK(ahead->size == 0);
	free(out);
	free(ahead);
}

UNIT_TEST(test_read_ahead__lookups_fetch_what_they_ask_for)
{
	ReefReadAhead *ahead = calloc(1, sizeof(*ahead));
	File		file = {.id = {1}};
	ReefReadSource source = source_of(&file);
	uint8_t		out[4096];
	ReefError	err;

	reef_error_init(&err);
	for (uint64_t i = 40; i > 0; i--)
	{
		uint64_t	offset = i * 500000;

		UNIT_OK(reef_read_ahead_get(ahead, &source, offset, sizeof(out), out,
									&err), &err);
		UNIT_CHECK(is_right(out, offset, sizeof(out)));
	}
	UNIT_EQUAL_INT(file.requests, 40);
	UNIT_EQUAL_INT(file.fetched, 40 * sizeof(out));
	UNIT_CHECK(ahead->size == 0);
	free(ahead);
}

UNIT_TEST(test_read_ahead__any_reads_of_two_files_are_right_and_bounded)
{
	ReefReadAhead *ahead = calloc(1, sizeof(*ahead));
	File		files[2] = {{.id = {1}}, {.id = {2}}};
	uint64_t	ends[8] = {0};
	uint32_t	state = 4711;
	uint8_t    *out = malloc(300000);
	ReefError	err;

	reef_error_init(&err);
	for (int i = 0; i < 400; i++)
	{
		ReefReadSource source;
		uint64_t	offset;
		size_t		size;
		int			place;

		state = state * 1664525 + 1013904223;
		place = (int) (state >> 29);
		source = source_of(&files[place & 1]);
		/* on, on behind a gap, or anywhere */
		offset = ends[place];
		if ((state >> 20 & 7) == 1)
			offset += state >> 10 & 0xffff;
		if ((state >> 20 & 7) == 2 || offset > FILE_SIZE - 300000)
			offset = (state >> 3) % (FILE_SIZE - 300000);
		size = (state >> 5) % 299999 + 1;
		files[place & 1].fails = i % 50 == 49;
		if (reef_read_ahead_get(ahead, &source, offset, size, out, &err) ==
			REEF_OK)
			UNIT_CHECK(is_right(out, offset, size));
		else
			UNIT_CHECK(files[place & 1].fails);
		files[place & 1].fails = false;
		UNIT_CHECK(ahead->size <= (size_t) 48 * 1024 * 1024);
		ends[place] = offset + size;
	}
	reef_read_ahead_forget(ahead, files[0].id);
	reef_read_ahead_forget(ahead, NULL);
	UNIT_CHECK(ahead->size == 0);
	free(out);
	free(ahead);
}

UNIT_TEST(test_read_ahead__nothing_is_fetched_beyond_the_end)
{
	ReefReadAhead *ahead = calloc(1, sizeof(*ahead));
	File		file = {.id = {1}};
	ReefReadSource source = source_of(&file);
	uint8_t		out[1000];
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_read_ahead_get(ahead, &source, FILE_SIZE - 3000, 1000, out,
								&err), &err);
	UNIT_OK(reef_read_ahead_get(ahead, &source, FILE_SIZE - 2000, 1000, out,
								&err), &err);
	UNIT_OK(reef_read_ahead_get(ahead, &source, FILE_SIZE - 1000, 1000, out,
								&err), &err);
	UNIT_CHECK(is_right(out, FILE_SIZE - 1000, 1000));
	UNIT_EQUAL_INT(file.requests, 2);
	UNIT_EQUAL_INT(reef_read_ahead_get(ahead, &source, FILE_SIZE - 10, 1000,
									   out, &err), REEF_UNAVAILABLE);
	reef_read_ahead_forget(ahead, NULL);
	free(ahead);
}
