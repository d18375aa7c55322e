/*
 * wal.c
 *	  The WAL record around its frames (wal.h has the layout).
 *
 * A record must be recognized as whole or as damaged from its bytes alone, and
 * the next record must be able to name it.  So checksums are nested: one a
 * frame, one over the table of the frames' checksums, and one over the header
 * that contains the latter.  The header's checksum therefore stands for the
 * whole record, and is what the next record repeats.
 */
#include "format/wal.h"

#include "base/crc32c.h"

#define TABLE_ENTRY_SIZE 8

/* Places in the header. */
#define MAGIC_OFFSET 0
#define VERSION_OFFSET 8
#define FLAGS_OFFSET 10
#define FRAME_COUNT_OFFSET 12
#define NAMESPACE_ID_OFFSET 16
#define CLUSTER_ID_OFFSET 32
#define NONCE_OFFSET 48
#define LSN_OFFSET 64
#define EPOCH_OFFSET 72
#define TIME_OFFSET 80
#define RECORD_SIZE_OFFSET 88
#define PREVIOUS_CRC_OFFSET 96
#define TABLE_CRC_OFFSET 100
#define RESERVED_OFFSET 104
#define RESERVED_SIZE 20
#define CRC_OFFSET 124

_Static_assert(RESERVED_OFFSET + RESERVED_SIZE == CRC_OFFSET &&
			   CRC_OFFSET + 4 == REEF_WAL_HEADER_SIZE,
			   "the header's fields fill it");

static const char magic[8] = {'R', 'E', 'E', 'F', '-', 'W', 'A', 'L'};

static void
fill_header(const ReefWalHeader *header, uint64_t record_size,
			uint32_t table_crc, uint8_t place[REEF_WAL_HEADER_SIZE])
{
	memset(place, 0, REEF_WAL_HEADER_SIZE);
	memcpy(place + MAGIC_OFFSET, magic, sizeof(magic));
	reef_put_u16(place + VERSION_OFFSET, REEF_WAL_FORMAT_VERSION);
	reef_put_u32(place + FRAME_COUNT_OFFSET, header->frame_count);
	memcpy(place + NAMESPACE_ID_OFFSET, header->namespace_id, 16);
	memcpy(place + CLUSTER_ID_OFFSET, header->cluster_id, 16);
	memcpy(place + NONCE_OFFSET, header->nonce, 16);
	reef_put_u64(place + LSN_OFFSET, header->lsn);
	reef_put_u64(place + EPOCH_OFFSET, header->epoch);
	reef_put_u64(place + TIME_OFFSET, (uint64_t) header->time_ms);
	reef_put_u64(place + RECORD_SIZE_OFFSET, record_size);
	reef_put_u32(place + PREVIOUS_CRC_OFFSET, header->previous_crc);
	reef_put_u32(place + TABLE_CRC_OFFSET, table_crc);
	reef_put_u32(place + CRC_OFFSET, reef_crc32c(0, place, CRC_OFFSET));
}

ReefCode
reef_wal_encode(ReefWalHeader *header, const ReefSlice *frames, ReefBuf *out,
				ReefError *err)
{
	size_t		table_size = (size_t) header->frame_count * TABLE_ENTRY_SIZE;
	uint64_t	size = REEF_WAL_HEADER_SIZE + (uint64_t) table_size;
	uint8_t    *place;
	uint32_t	i;

	if (header->frame_count > REEF_WAL_MAX_FRAMES)
		return reef_error_set(err, REEF_LIMIT, "WAL record is too large",
							  "%u frames, the limit is %d",
							  header->frame_count, REEF_WAL_MAX_FRAMES);
	if (header->lsn == 0 || header->lsn > INT64_MAX ||
		header->epoch > INT64_MAX)
		return reef_error_set(err, REEF_INVALID, "invalid WAL record",
							  "LSN %llu, epoch %llu",
							  (unsigned long long) header->lsn,
							  (unsigned long long) header->epoch);
	for (i = 0; i < header->frame_count; i++)
	{
		if (frames[i].size > UINT32_MAX)
			return reef_error_set(err, REEF_LIMIT, "WAL record is too large",
								  "frame %u has %zu bytes", i,
								  frames[i].size);
		size += frames[i].size;
	}
	place = reef_buf_reserve(out, size);
	if (place == NULL)
		return reef_buf_check(out, err);
	for (i = 0; i < header->frame_count; i++)
	{
		uint8_t    *entry = place + REEF_WAL_HEADER_SIZE +
			i * TABLE_ENTRY_SIZE;

		reef_put_u32(entry, (uint32_t) frames[i].size);
		reef_put_u32(entry + 4,
					 reef_crc32c(0, frames[i].data, frames[i].size));
	}
	fill_header(header, size,
				reef_crc32c(0, place + REEF_WAL_HEADER_SIZE, table_size),
				place);
	header->crc = reef_get_u32(place + CRC_OFFSET);
	out->size += REEF_WAL_HEADER_SIZE + table_size;
	for (i = 0; i < header->frame_count; i++)
		reef_buf_append(out, frames[i].data, frames[i].size);
	return reef_buf_check(out, err);
}

static ReefCode
damaged(const char *key, size_t offset, const char *what, ReefError *err)
{
	return reef_error_set(err, REEF_CORRUPT, "WAL record is damaged",
						  "\"%s\": %s at byte %zu", key, what, offset);
}

/*
 * Is this a header, of whatever version?  Magic, version and checksum are at
 * the same places in all of them, so that a newer record is told from a
 * damaged one.
 */
static ReefCode
check_header(ReefSlice bytes, const char *key, ReefError *err)
{
	const uint8_t *place = bytes.data;
	unsigned	version;
	int			i;

	if (bytes.size < REEF_WAL_HEADER_SIZE)
		return damaged(key, bytes.size, "it ends inside its header", err);
	if (memcmp(place + MAGIC_OFFSET, magic, sizeof(magic)) != 0)
		return damaged(key, MAGIC_OFFSET, "not a WAL record's magic", err);
	if (reef_get_u32(place + CRC_OFFSET) != reef_crc32c(0, place, CRC_OFFSET))
		return damaged(key, CRC_OFFSET, "wrong checksum of the header", err);
	version = reef_get_u16(place + VERSION_OFFSET);
	if (version > REEF_WAL_FORMAT_VERSION)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "WAL record has a newer format",
							  "\"%s\" has version %u, we know up to %d", key,
							  version, REEF_WAL_FORMAT_VERSION);
	if (version == 0)
		return damaged(key, VERSION_OFFSET, "an impossible version", err);
	if (reef_get_u16(place + FLAGS_OFFSET) != 0)
		return damaged(key, FLAGS_OFFSET, "unknown flags", err);
	for (i = 0; i < RESERVED_SIZE; i++)
	{
		if (place[RESERVED_OFFSET + i] != 0)
			return damaged(key, (size_t) (RESERVED_OFFSET + i),
						   "a reserved byte that is not zero", err);
	}
	return REEF_OK;
}

static void
read_header(const uint8_t *place, ReefWalHeader *header)
{
	memset(header, 0, sizeof(*header));
	memcpy(header->namespace_id, place + NAMESPACE_ID_OFFSET, 16);
	memcpy(header->cluster_id, place + CLUSTER_ID_OFFSET, 16);
	memcpy(header->nonce, place + NONCE_OFFSET, 16);
	header->lsn = reef_get_u64(place + LSN_OFFSET);
	header->epoch = reef_get_u64(place + EPOCH_OFFSET);
	header->time_ms = (int64_t) reef_get_u64(place + TIME_OFFSET);
	header->previous_crc = reef_get_u32(place + PREVIOUS_CRC_OFFSET);
	header->frame_count = reef_get_u32(place + FRAME_COUNT_OFFSET);
	header->crc = reef_get_u32(place + CRC_OFFSET);
}

/* Cut the record, whose header is sound, into its frames. */
static ReefCode
read_frames(ReefSlice bytes, const char *key, ReefArena *arena,
			uint32_t count, ReefSlice **frames, ReefError *err)
{
	uint64_t	record_size = reef_get_u64(bytes.data + RECORD_SIZE_OFFSET);
	const uint8_t *table = bytes.data + REEF_WAL_HEADER_SIZE;
	size_t		table_size = (size_t) count * TABLE_ENTRY_SIZE;
	size_t		offset = REEF_WAL_HEADER_SIZE + table_size;
	ReefSlice  *made;
	uint32_t	i;

	if (count > REEF_WAL_MAX_FRAMES)
		return damaged(key, FRAME_COUNT_OFFSET, "too many frames", err);
	if (record_size > bytes.size || record_size < offset)
		return reef_error_set(err, REEF_CORRUPT, "WAL record is damaged",
							  "\"%s\" has %zu bytes, but says %llu at byte %d",
							  key, bytes.size,
							  (unsigned long long) record_size,
							  RECORD_SIZE_OFFSET);
	if (reef_get_u32(bytes.data + TABLE_CRC_OFFSET) !=
		reef_crc32c(0, table, table_size))
		return damaged(key, REEF_WAL_HEADER_SIZE,
					   "wrong checksum of the frame table", err);
	made = reef_arena_alloc(arena, count * sizeof(*made));
	if (made == NULL)
		return reef_error_no_memory(err, count * sizeof(*made));
	for (i = 0; i < count; i++)
	{
		const uint8_t *entry = table + i * TABLE_ENTRY_SIZE;
		size_t		size = reef_get_u32(entry);

		if (size > record_size - offset)
			return damaged(key, (size_t) (entry - bytes.data),
						   "a frame longer than the record", err);
		if (reef_get_u32(entry + 4) !=
			reef_crc32c(0, bytes.data + offset, size))
			return damaged(key, offset, "wrong checksum of the frame", err);
		made[i] = reef_slice(bytes.data + offset, size);
		offset += size;
	}
	if (offset != record_size)
		return damaged(key, offset, "bytes that belong to no frame", err);
	*frames = made;
	return REEF_OK;
}

ReefCode
reef_wal_decode(ReefSlice bytes, uint64_t lsn, const char *key,
				ReefArena *arena, ReefWalHeader *header, ReefSlice **frames,
				ReefError *err)
{
	*frames = NULL;
	REEF_TRY(check_header(bytes, key, err));
	read_header(bytes.data, header);
	if (header->lsn != lsn || lsn == 0 || lsn > INT64_MAX)
		return reef_error_set(err, REEF_CORRUPT,
							  "WAL record is not the one its name says",
							  "\"%s\" contains record %llu at byte %d", key,
							  (unsigned long long) header->lsn, LSN_OFFSET);
	if (header->epoch > INT64_MAX)
		return damaged(key, EPOCH_OFFSET, "an impossible epoch", err);
	return read_frames(bytes, key, arena, header->frame_count, frames, err);
}
