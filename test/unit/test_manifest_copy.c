/*
 * test_manifest_copy.c
 *	  A manifest as text: what other programs made of one, and damage.
 *
 * test/compat/v1/manifest-copy.txt is manifest-basic.json through `zstd -19`
 * and `base64 -w0`.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "format/manifest_copy.h"

#define KEY "s/t/segment/01935a00-0001-7002-8003-040506070809.parquet"

static void
read_file(const char *path, ReefBuf *out)
{
	FILE	   *file = fopen(path, "rb");
	int			c;

	reef_buf_init(out);
	if (file == NULL)
		UNIT_FAIL("cannot open %s", path);
	while ((c = getc(file)) != EOF)
		reef_buf_append_u8(out, (uint8_t) c);
	fclose(file);
}

/* The manifest's own encoding of what the text stands for. */
static ReefCode
decode(const char *text, ReefBuf *encoded, ReefError *err)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefCode	rc;

	reef_error_init(err);
	reef_arena_init(&arena, 0);
	rc = reef_manifest_copy_decode(text, KEY, &arena, &manifest, err);
	if (rc == REEF_OK)
		rc = reef_manifest_encode(&manifest, encoded, err);
	reef_arena_release(&arena);
	return rc;
}

UNIT_TEST(test_manifest_copy__what_zstd_and_base64_made_is_read)
{
	static ReefBuf text;
	static ReefBuf expected;
	static ReefBuf encoded;
	ReefError	err;

	read_file("test/compat/v1/manifest-copy.txt", &text);
	reef_buf_append_u8(&text, 0);
	read_file("test/compat/v1/manifest-basic.json", &expected);
	reef_buf_init(&encoded);
	UNIT_OK(decode((const char *) text.data, &encoded, &err), &err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&encoded), reef_buf_slice(&expected));
	reef_buf_release(&text);
	reef_buf_release(&expected);
	reef_buf_release(&encoded);
}

/* Sizes of the compressed bytes with every remainder by three. */
UNIT_TEST(test_manifest_copy__every_length_comes_back)
{
	static ReefBuf text;
	static ReefBuf encoded;
	static ReefBuf expected;
	static uint8_t key[64];
	ReefIdempotencyEntry entry = {.key = {key, 0},.lsn = 3,.time_ms = 5};
	ReefManifest manifest = {
		.version = 7,.parent_version = 6,.last_applied_lsn = 4,
		.idempotency_count = 1,.idempotency = &entry
	};
	ReefError	err;
	bool		fits;

	for (entry.key.size = 1; entry.key.size <= sizeof(key); entry.key.size++)
	{
		key[entry.key.size - 1] = (uint8_t) unit_random();
		reef_buf_init(&text);
		reef_buf_init(&encoded);
		reef_buf_init(&expected);
		UNIT_OK(reef_manifest_copy_encode(&manifest, &text, &fits, &err),
				&err);
		UNIT_CHECK(fits);
		UNIT_EQUAL_INT(text.data[text.size - 1], 0);
		UNIT_EQUAL_INT(strlen((const char *) text.data) + 1, text.size);
		UNIT_OK(decode((const char *) text.data, &encoded, &err), &err);
		UNIT_OK(reef_manifest_encode(&manifest, &expected, &err), &err);
		UNIT_EQUAL_BYTES(reef_buf_slice(&encoded), reef_buf_slice(&expected));
		reef_buf_release(&text);
		reef_buf_release(&encoded);
		reef_buf_release(&expected);
	}
}

/* Damaged text is damage, or stands for the same manifest. */
static void
check_damaged(const char *text, ReefSlice expected, const char *what,
			  size_t place)
{
	ReefBuf		encoded;
	ReefError	err;
	ReefCode	rc;

	reef_buf_init(&encoded);
	rc = decode(text, &encoded, &err);
	if (rc != REEF_CORRUPT &&
		!(rc == REEF_OK && reef_slice_equal(reef_buf_slice(&encoded),
											expected)))
		UNIT_FAIL("%s at %zu gives code %d", what, place, (int) rc);
	if (rc == REEF_CORRUPT)
		UNIT_CHECK(strstr(err.detail, KEY) != NULL);
	reef_buf_release(&encoded);
}

UNIT_TEST(test_manifest_copy__a_changed_or_cut_text_is_never_another_manifest)
{
	static ReefBuf text;
	static ReefBuf expected;
	char	   *changed;
	size_t		size;
	size_t		i;

	read_file("test/compat/v1/manifest-copy.txt", &text);
	read_file("test/compat/v1/manifest-basic.json", &expected);
	size = text.size;
	changed = malloc(size + 1);
	for (i = 0; i < size; i++)
	{
		int			bit;

		memcpy(changed, text.data, size);
		changed[size] = '\0';
		for (bit = 0; bit < 8; bit++)
		{
			changed[i] = (char) (text.data[i] ^ (1 << bit));
			check_damaged(changed, reef_buf_slice(&expected), "a bit", i);
		}
		changed[i] = '\0';
		check_damaged(changed, reef_buf_slice(&expected), "a cut", i);
	}
	free(changed);
	reef_buf_release(&text);
	reef_buf_release(&expected);
}

UNIT_TEST(test_manifest_copy__a_size_that_cannot_be_takes_no_memory)
{
	ReefBuf		encoded;
	ReefError	err;

	reef_buf_init(&encoded);
	UNIT_CODE(decode("1 9000000000000000000 AAAA", &encoded, &err),
			  REEF_CORRUPT, &err);
	UNIT_CODE(decode("1 99999999999999999999 AAAA", &encoded, &err),
			  REEF_CORRUPT, &err);
	UNIT_CODE(decode("1 70000 AAAA", &encoded, &err), REEF_CORRUPT, &err);
	UNIT_CODE(decode("1 10 AAA", &encoded, &err), REEF_CORRUPT, &err);
	UNIT_CODE(decode("1 10 AA=A", &encoded, &err), REEF_CORRUPT, &err);
	UNIT_CODE(decode("", &encoded, &err), REEF_CORRUPT, &err);
	reef_buf_release(&encoded);
}
