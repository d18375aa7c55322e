/*
 * fuzz_wal.c
 *	  Any bytes as a record and as a frame.
 *
 * Checksums would stop nearly every input at the door, so the record's are
 * made right first, and the bytes are read as a bare frame too.
 */
#include <stdlib.h>

#include "base/crc32c.h"
#include "format/wal.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_frame(ReefSlice frame, ReefArena *arena)
{
	ReefFrameReader reader;
	ReefError	err;
	ReefOp		op;
	ReefCode	rc = reef_frame_reader_init(&reader, frame, arena, &err);

	while (rc == REEF_OK)
		rc = reef_frame_reader_next(&reader, &op, &err);
	if (rc != REEF_NOT_FOUND && rc != REEF_CORRUPT && rc != REEF_NO_MEMORY)
		abort();
}

/* Make the checksums of the header, the table and the frames right. */
static void
seal(uint8_t *record, size_t size)
{
	uint32_t	count = reef_get_u32(record + 12);
	size_t		offset;
	uint32_t	i;

	if (count > (size - 128) / 8)
		return;
	offset = 128 + (size_t) count * 8;
	for (i = 0; i < count; i++)
	{
		uint8_t    *entry = record + 128 + (size_t) i * 8;
		size_t		frame_size = reef_get_u32(entry);

		if (frame_size > size - offset)
			break;
		reef_put_u32(entry + 4, reef_crc32c(0, record + offset, frame_size));
		offset += frame_size;
	}
	reef_put_u32(record + 100, reef_crc32c(0, record + 128,
										   (size_t) count * 8));
	reef_put_u32(record + 124, reef_crc32c(0, record, 124));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ReefWalHeader header;
	ReefSlice  *frames;
	ReefArena	arena;
	ReefError	err;

	reef_arena_init(&arena, 64 * 1024 * 1024);
	read_frame(reef_slice(data, size), &arena);
	if (size >= 128)
	{
		uint8_t    *record = malloc(size);
		uint32_t	i;

		memcpy(record, data, size);
		seal(record, size);
		if (reef_wal_decode(reef_slice(record, size),
							reef_get_u64(record + 64), "key", &arena, &header,
							&frames, &err) == REEF_OK)
		{
			for (i = 0; i < header.frame_count; i++)
				read_frame(frames[i], &arena);
		}
		free(record);
	}
	reef_arena_release(&arena);
	return 0;
}
