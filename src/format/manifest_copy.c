/*
 * manifest_copy.c
 *	  A manifest as text, for the footer of a segment.
 */
#include "format/manifest_copy.h"

#include <inttypes.h>

#include "base/compress.h"

/* It is written with every fold: speed counts, and JSON gets small anyway. */
#define COMPRESSION_LEVEL 3

#define MAX_EXPANSION(size) ((uint64_t) (size) * 1000 + 64 * 1024)

/* ---- base64 ---- */

static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t
base64_size(size_t size)
{
	return (size + 2) / 3 * 4;
}

static void
base64_append(ReefBuf *text, ReefSlice bytes)
{
	uint8_t    *out = reef_buf_reserve(text, base64_size(bytes.size));
	size_t		i;

	if (out == NULL)
		return;
	for (i = 0; i < bytes.size; i += 3)
	{
		size_t		left = bytes.size - i;
		unsigned	first = bytes.data[i];
		unsigned	second = left > 1 ? bytes.data[i + 1] : 0;
		unsigned	third = left > 2 ? bytes.data[i + 2] : 0;

		*out++ = (uint8_t) digits[first >> 2];
		*out++ = (uint8_t) digits[(first & 3) << 4 | second >> 4];
		*out++ = left > 1 ?
			(uint8_t) digits[(second & 15) << 2 | third >> 6] : '=';
		*out++ = left > 2 ? (uint8_t) digits[third & 63] : '=';
	}
	text->size += base64_size(bytes.size);
}

/* 0 .. 63, or -1 */
static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four digits into up to three bytes; how many, or -1. */
static int
decode_group(const char *text, bool is_last, uint8_t out[3])
{
	int			padding = 0;
	uint32_t	group = 0;
	int			i;

	if (is_last && text[3] == '=')
		padding = text[2] == '=' ? 2 : 1;
	for (i = 0; i < 4; i++)
	{
		int			value = i >= 4 - padding ? 0 : digit_value(text[i]);

		if (value < 0)
			return -1;
		group = group << 6 | (uint32_t) value;
	}
	/* bits behind the end would make different texts of equal bytes */
	if ((padding == 1 && (group & 0xff) != 0) ||
		(padding == 2 && (group & 0xffff) != 0))
		return -1;
	out[0] = (uint8_t) (group >> 16);
	out[1] = (uint8_t) (group >> 8 & 0xff);
	out[2] = (uint8_t) (group & 0xff);
	return 3 - padding;
}

/* REEF_CORRUPT, without an error set, if it is not base64. */
static ReefCode
base64_decode(const char *text, ReefBuf *bytes, ReefError *err)
{
	size_t		size = strlen(text);
	size_t		i;

	if (size % 4 != 0)
		return REEF_CORRUPT;
	for (i = 0; i < size; i += 4)
	{
		uint8_t		group[3];
		int			count = decode_group(text + i, i + 4 == size, group);

		if (count < 0)
			return REEF_CORRUPT;
		reef_buf_append(bytes, group, (size_t) count);
	}
	return reef_buf_check(bytes, err);
}

/* ---- copies ---- */

ReefCode
reef_manifest_copy_encode(const ReefManifest *manifest, ReefBuf *text,
						  bool *fits, ReefError *err)
{
	ReefBuf		plain;
	ReefBuf		packed;
	ReefCode	rc;

	*fits = false;
	reef_buf_init(&plain);
	reef_buf_init(&packed);
	rc = reef_manifest_encode(manifest, &plain, err);
	if (rc == REEF_OK)
		rc = reef_compress(REEF_CODEC_ZSTD, COMPRESSION_LEVEL,
						   reef_buf_slice(&plain), &packed, err);
	if (rc == REEF_OK)
		*fits = base64_size(packed.size) + 64 <= REEF_MANIFEST_COPY_MAX_SIZE;
	if (*fits)
	{
		reef_buf_printf(text, "%" PRIu64 " %zu ", manifest->version,
						plain.size);
		base64_append(text, reef_buf_slice(&packed));
		reef_buf_append_u8(text, 0);
		rc = reef_buf_check(text, err);
	}
	reef_buf_release(&plain);
	reef_buf_release(&packed);
	return rc;
}

/* A number and the blank behind it; false if there is none. */
static bool
read_number(const char **text, uint64_t *number)
{
	const char *p = *text;

	*number = 0;
	if (*p == '0')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
	{
		if (*number > (INT64_MAX - 9) / 10)
			return false;
		*number = *number * 10 + (uint64_t) (*p - '0');
	}
	if (p == *text || *p != ' ')
		return false;
	*text = p + 1;
	return true;
}

static ReefCode
decode_text(const char *text, uint64_t *version, ReefBuf *packed,
			ReefBuf *plain, ReefError *err)
{
	uint64_t	size;

	if (!read_number(&text, version) || !read_number(&text, &size))
		return REEF_CORRUPT;
	REEF_TRY(base64_decode(text, packed, err));
	if (size > MAX_EXPANSION(packed->size))
		return REEF_CORRUPT;
	(void) reef_buf_reserve(plain, (size_t) size);
	REEF_TRY(reef_buf_check(plain, err));
	plain->size = (size_t) size;
	return reef_decompress(REEF_CODEC_ZSTD, reef_buf_slice(packed),
						   plain->data, plain->size, err);
}

ReefCode
reef_manifest_copy_decode(const char *text, const char *key, ReefArena *arena,
						  ReefManifest *manifest, ReefError *err)
{
	uint64_t	version;
	ReefBuf		packed;
	ReefBuf		plain;
	ReefCode	rc;

	reef_buf_init(&packed);
	reef_buf_init(&plain);
	rc = decode_text(text, &version, &packed, &plain, err);
	if (rc == REEF_CORRUPT)
		(void) reef_error_set(err, rc, "damaged copy of a manifest",
							  "footer of object \"%s\"", key);
	if (rc == REEF_OK)
		rc = reef_manifest_decode(reef_buf_slice(&plain), version, key, arena,
								  manifest, err);
	reef_buf_release(&packed);
	reef_buf_release(&plain);
	return rc;
}
