/*
 * fuzz_manifest.c
 *	  Any bytes as a manifest, and as the body of one whose first line is right.
 *
 * What decodes must encode again, and then decode to the same bytes.
 */
#include <stdlib.h>

#include "base/crc32c.h"
#include "format/manifest.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The version that a decoder would ask for, by its name's number. */
static uint64_t
find_version(ReefSlice object)
{
	static const char member[] = "\"version\": ";
	uint64_t	version = 0;
	size_t		i = 0;

	while (i + sizeof(member) < object.size &&
		   memcmp(object.data + i, member, sizeof(member) - 1) != 0)
		i++;
	for (i += sizeof(member) - 1; i < object.size && object.data[i] >= '0' &&
		 object.data[i] <= '9'; i++)
		version = version * 10 + (uint64_t) (object.data[i] - '0');
	return version;
}

static void
check_round_trip(const ReefManifest *manifest, ReefArena *arena)
{
	ReefManifest again;
	ReefBuf		first;
	ReefBuf		second;
	ReefError	err;

	reef_buf_init(&first);
	reef_buf_init(&second);
	if (reef_manifest_encode(manifest, &first, &err) != REEF_OK ||
		reef_manifest_decode(reef_buf_slice(&first), manifest->version, "key",
							 arena, &again, &err) != REEF_OK ||
		reef_manifest_encode(&again, &second, &err) != REEF_OK ||
		!reef_slice_equal(reef_buf_slice(&first), reef_buf_slice(&second)))
		abort();
	reef_buf_release(&first);
	reef_buf_release(&second);
}

static void
decode(ReefSlice object)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefError	err;

	reef_arena_init(&arena, 256 * 1024 * 1024);
	if (reef_manifest_decode(object, find_version(object), "key", &arena,
							 &manifest, &err) == REEF_OK)
		check_round_trip(&manifest, &arena);
	reef_arena_release(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ReefBuf		object;

	decode(reef_slice(data, size));
	reef_buf_init(&object);
	reef_buf_printf(&object, "reef-manifest 1 %zu %08x\n", size,
					reef_crc32c(0, data, size));
	reef_buf_append(&object, data, size);
	decode(reef_buf_slice(&object));
	reef_buf_release(&object);
	return 0;
}
