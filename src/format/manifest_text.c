/*
 * manifest_text.c
 *	  The text forms of bytes and large integers in a manifest.
 */
#include "format/manifest_text.h"

#include "format/check.h"

/* 2^127 has 39 decimal digits. */
#define INT128_TEXT_SIZE 40

void
reef_text_append_hex(ReefBuf *text, ReefSlice bytes)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t    *place = reef_buf_reserve(text, bytes.size * 2);
	size_t		i;

	if (place == NULL)
		return;
	for (i = 0; i < bytes.size; i++)
	{
		place[2 * i] = (uint8_t) digits[bytes.data[i] >> 4];
		place[2 * i + 1] = (uint8_t) digits[bytes.data[i] & 15];
	}
	text->size += bytes.size * 2;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
reef_text_parse_hex(const char *text, uint8_t *out)
{
	for (; text[0] != '\0'; text += 2)
	{
		int			high = hex_value(text[0]);
		int			low = hex_value(text[1]);

		if (high < 0 || low < 0)
			return false;
		*out++ = (uint8_t) (high * 16 + low);
	}
	return true;
}

void
reef_text_append_int128(ReefBuf *text, ReefInt128 value)
{
	ReefUint128 left = value < 0 ? -(ReefUint128) value : (ReefUint128) value;
	char		digits[INT128_TEXT_SIZE];
	size_t		start = sizeof(digits);

	do
	{
		digits[--start] = (char) ('0' + (int) (left % 10));
		left /= 10;
	} while (left > 0);
	if (value < 0)
		digits[--start] = '-';
	reef_buf_append(text, digits + start, sizeof(digits) - start);
}

bool
reef_text_parse_int128(const char *text, ReefInt128 *value)
{
	bool		is_negative = text[0] == '-';
	ReefUint128 limit = (ReefUint128) 1 << 127;
	ReefUint128 sum = 0;
	const char *p = text + is_negative;

	if (!is_negative)
		limit--;
	/* no number has leading zeros, and zero has no sign */
	if (p[0] == '\0' || (p[0] == '0' && (p[1] != '\0' || is_negative)))
		return false;
	for (; *p != '\0'; p++)
	{
		unsigned	digit = (unsigned) (*p - '0');

		if (*p < '0' || *p > '9' || sum > (limit - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = (ReefInt128) (is_negative ? -sum : sum);
	return true;
}

bool
reef_text_is_plain(ReefSlice bytes)
{
	return reef_utf8_is_valid(bytes) &&
		(bytes.size == 0 || memchr(bytes.data, '\0', bytes.size) == NULL);
}
