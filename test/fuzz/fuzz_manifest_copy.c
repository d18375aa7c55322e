/*
 * fuzz_manifest_copy.c
 *	  Any text as the copy of a manifest in a segment's footer, and any bytes as
 *	  what its base64 stands for.
 *
 * What decodes must encode again, and then be text for the same manifest.
 */
#include <stdlib.h>

#include "format/manifest_copy.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static void
decode(const char *text)
{
	ReefManifest manifest;
	ReefManifest again;
	ReefArena	arena;
	ReefBuf		first;
	ReefBuf		second;
	ReefError	err;
	ReefCode	rc;
	bool		fits;

	reef_error_init(&err);
	reef_arena_init(&arena, 256 * 1024 * 1024);
	reef_buf_init(&first);
	reef_buf_init(&second);
	rc = reef_manifest_copy_decode(text, "key", &arena, &manifest, &err);
	check(rc == REEF_OK || err.code == rc);
	if (rc == REEF_OK)
	{
		check(reef_manifest_copy_encode(&manifest, &first, &fits,
										&err) == REEF_OK && fits);
		check(reef_manifest_copy_decode((const char *) first.data, "key",
										&arena, &again, &err) == REEF_OK);
		check(reef_manifest_copy_encode(&again, &second, &fits,
										&err) == REEF_OK && fits);
		check(reef_slice_equal(reef_buf_slice(&first),
							   reef_buf_slice(&second)));
	}
	reef_buf_release(&first);
	reef_buf_release(&second);
	reef_arena_release(&arena);
}

/* The first two bytes are the size that the text tells. */
static void
decode_packed(const uint8_t *data, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	ReefBuf		text;
	size_t		i;

	reef_buf_init(&text);
	reef_buf_printf(&text, "%d %d ", data[0] % 4 + 1, reef_get_u16(data));
	for (i = 2; i < size; i += 3)
	{
		uint8_t		group[3] = {0};
		size_t		count = size - i < 3 ? size - i : 3;

		memcpy(group, data + i, count);
		reef_buf_append_u8(&text, (uint8_t) digits[group[0] >> 2]);
		reef_buf_append_u8(&text, (uint8_t)
						   digits[(group[0] & 3) << 4 | group[1] >> 4]);
		reef_buf_append_u8(&text, count < 2 ? '=' : (uint8_t)
						   digits[(group[1] & 15) << 2 | group[2] >> 6]);
		reef_buf_append_u8(&text, count < 3 ? '=' : (uint8_t)
						   digits[group[2] & 63]);
	}
	reef_buf_append_u8(&text, 0);
	decode((const char *) text.data);
	reef_buf_release(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	decode(text);
	free(text);
	if (size > 2)
		decode_packed(data, size);
	return 0;
}
