/*
 * layout.c
 *	  Object names: escaping, making, parsing.
 *
 * A namespace's name is whatever a user calls it, while object keys are made
 * of a few bytes that every store, every signature and every file system
 * treats alike.  So names are escaped, part by part, into that alphabet.  The
 * escaping is canonical: to recognize a prefix is to unescape it, escape the
 * result again and compare, so that no two prefixes ever mean one namespace
 * and a key that we would not have made is never taken for ours.
 */
#include "format/layout.h"

#include <stdio.h>

#define NUMBER_DIGITS 20

/* What a part of a namespace is never called. */
static const struct
{
	const char *folder;
	const char *suffix;			/* NULL: anything may follow */
	ReefObjectKind kind;
}			folders[] =
{
	{"wal", ".wal", REEF_OBJECT_WAL},
	{"manifest", ".json", REEF_OBJECT_MANIFEST},
	{"segment", ".parquet", REEF_OBJECT_SEGMENT},
	{"quarantine", NULL, REEF_OBJECT_QUARANTINE},
};

#define FOLDER_COUNT ((int) (sizeof(folders) / sizeof(folders[0])))

/* The folder of that name, or -1. */
static int
folder_of_name(const char *name, size_t size)
{
	int			i;

	for (i = 0; i < FOLDER_COUNT; i++)
	{
		if (strlen(folders[i].folder) == size &&
			memcmp(folders[i].folder, name, size) == 0)
			return i;
	}
	return -1;
}

static const char *
folder_of_kind(ReefObjectKind kind)
{
	int			i;

	for (i = 0; i < FOLDER_COUNT; i++)
	{
		if (folders[i].kind == kind)
			return folders[i].folder;
	}
	return "";
}

/* The value of one of 0-9 and letter_a to letter_a + 5, or -1. */
static int
hex_value(char c, char letter_a)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= letter_a && c <= letter_a + 5)
		return c - letter_a + 10;
	return -1;
}

/* Do two characters that make an escape follow this '_'? */
static bool
is_escape(const char *underscore, size_t left)
{
	return left >= 3 && hex_value(underscore[1], 'A') >= 0 &&
		hex_value(underscore[2], 'A') >= 0;
}

static bool
is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/*
 * Escape one part into "out", which has room for REEF_NAMESPACE_PART_SIZE
 * bytes and a NUL.  Returns the escaped size, 0 if it does not fit.
 */
static size_t
escape_part(const char *part, size_t size, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	bool		is_reserved = folder_of_name(part, size) >= 0;
	size_t		used = 0;
	size_t		i;

	for (i = 0; i < size; i++)
	{
		unsigned	byte = (unsigned char) part[i];
		bool		escape = !is_plain(part[i]) ||
			(i == 0 && (part[i] == '.' || is_reserved)) ||
			(part[i] == '_' && is_escape(part + i, size - i));

		if (used + (escape ? 3 : 1) > REEF_NAMESPACE_PART_SIZE)
			return 0;
		if (escape)
		{
			out[used++] = '_';
			out[used++] = digits[byte >> 4];
			out[used++] = digits[byte & 15];
		}
		else
			out[used++] = part[i];
	}
	out[used] = '\0';
	return used;
}

ReefCode
reef_layout_namespace_prefix(const char *name, char prefix[REEF_OBJECT_KEY_SIZE],
							 ReefError *err)
{
	const char *part = name;
	size_t		used = 0;
	int			parts = 0;

	if (strlen(name) > REEF_NAMESPACE_MAX_SIZE)
		return reef_error_set(err, REEF_INVALID, "namespace name is too long",
							  "\"%.64s...\" has %zu bytes, the limit is %d",
							  name, strlen(name), REEF_NAMESPACE_MAX_SIZE);
	for (;;)
	{
		size_t		size = strcspn(part, "/");
		size_t		escaped;

		if (size == 0)
			return reef_error_set(err, REEF_INVALID, "invalid namespace name",
								  "\"%s\" has an empty part", name);
		if (++parts > 2)
			return reef_error_set(err, REEF_INVALID, "invalid namespace name",
								  "\"%s\" has more than two parts", name);
		escaped = escape_part(part, size, prefix + used);
		if (escaped == 0)
			return reef_error_set(err, REEF_INVALID,
								  "namespace name is too long",
								  "a part of \"%s\" takes more than %d bytes "
								  "in an object name", name,
								  REEF_NAMESPACE_PART_SIZE);
		used += escaped;
		if (part[size] == '\0')
			return REEF_OK;
		prefix[used++] = '/';
		prefix[used] = '\0';
		part += size + 1;
	}
}

bool
reef_layout_namespace_name(const char *prefix, char *name, size_t name_size)
{
	char		again[REEF_OBJECT_KEY_SIZE];
	ReefError	ignored;
	size_t		size = strlen(prefix);
	size_t		used = 0;
	size_t		i = 0;

	while (i < size)
	{
		char		c = prefix[i];
		size_t		taken = 1;

		if (c == '_' && is_escape(prefix + i, size - i))
		{
			c = (char) (hex_value(prefix[i + 1], 'A') * 16 +
						hex_value(prefix[i + 2], 'A'));
			taken = 3;
		}
		if (used + 1 >= name_size)
			return false;
		name[used++] = c;
		i += taken;
	}
	if (name_size == 0)
		return false;
	name[used] = '\0';

	/* Only the canonical escaping of a possible name counts. */
	return reef_layout_namespace_prefix(name, again, &ignored) == REEF_OK &&
		strcmp(again, prefix) == 0;
}

void
reef_layout_wal_key(const char *prefix, uint64_t lsn,
					char key[REEF_OBJECT_KEY_SIZE])
{
	snprintf(key, REEF_OBJECT_KEY_SIZE, "%s/wal/%020llu.wal", prefix,
			 (unsigned long long) lsn);
}

void
reef_layout_manifest_key(const char *prefix, uint64_t version,
						 char key[REEF_OBJECT_KEY_SIZE])
{
	snprintf(key, REEF_OBJECT_KEY_SIZE, "%s/manifest/%020llu.json", prefix,
			 (unsigned long long) version);
}

void
reef_layout_segment_key(const char *prefix, const uint8_t uuid[16],
						char key[REEF_OBJECT_KEY_SIZE])
{
	char		text[37];

	reef_uuid_format(uuid, text);
	snprintf(key, REEF_OBJECT_KEY_SIZE, "%s/segment/%s.parquet", prefix, text);
}

bool
reef_layout_quarantine_key(const char *prefix, const char *key,
						   const uint8_t run[16],
						   char out[REEF_OBJECT_KEY_SIZE])
{
	size_t		size = strlen(prefix);
	char		text[37];
	int			length;

	if (strncmp(key, prefix, size) != 0 || key[size] != '/')
		return false;
	reef_uuid_format(run, text);
	length = snprintf(out, REEF_OBJECT_KEY_SIZE, "%s/quarantine/%s%s", prefix,
					  text, key + size);
	return length < REEF_OBJECT_KEY_SIZE;
}

void
reef_layout_list_prefix(const char *prefix, ReefObjectKind kind,
						char key[REEF_OBJECT_KEY_SIZE])
{
	const char *folder = folder_of_kind(kind);

	snprintf(key, REEF_OBJECT_KEY_SIZE, "%s/%s%s", prefix, folder,
			 folder[0] == '\0' ? "" : "/");
}

/* A number as we print it, from 1 to INT64_MAX, then exactly "suffix". */
static bool
parse_number(const char *text, const char *suffix, uint64_t *number)
{
	uint64_t	value = 0;
	int			i;

	for (i = 0; i < NUMBER_DIGITS; i++)
	{
		unsigned	digit = (unsigned) (text[i] - '0');

		if (text[i] < '0' || text[i] > '9' ||
			value > ((uint64_t) INT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*number = value;
	return value > 0 && strcmp(text + NUMBER_DIGITS, suffix) == 0;
}

/* Parse what follows "<prefix>/". */
static void
parse_relative(const char *rest, ReefObjectName *name)
{
	size_t		folder_size = strcspn(rest, "/");
	int			folder = folder_of_name(rest, folder_size);
	const char *base = rest + folder_size + 1;
	char		uuid_text[37];
	bool		is_ours = false;

	memset(name, 0, sizeof(*name));
	name->kind = REEF_OBJECT_FOREIGN;
	if (folder < 0 || rest[folder_size] == '\0')
		return;
	switch (folders[folder].kind)
	{
		case REEF_OBJECT_WAL:
		case REEF_OBJECT_MANIFEST:
			is_ours = parse_number(base, folders[folder].suffix,
								   &name->number);
			break;
		case REEF_OBJECT_SEGMENT:
			if (strlen(base) > 36)
			{
				memcpy(uuid_text, base, 36);
				uuid_text[36] = '\0';
				is_ours = reef_uuid_parse(uuid_text, name->uuid) &&
					strcmp(base + 36, folders[folder].suffix) == 0;
			}
			break;
		case REEF_OBJECT_QUARANTINE:
			is_ours = *base != '\0';
			break;
		case REEF_OBJECT_FOREIGN:
			break;
	}
	if (is_ours)
		name->kind = folders[folder].kind;
	else
	{
		memset(name, 0, sizeof(*name));
		name->kind = REEF_OBJECT_FOREIGN;
	}
}

void
reef_layout_parse(const char *prefix, const char *key, ReefObjectName *name)
{
	size_t		size = strlen(prefix);

	if (strncmp(key, prefix, size) == 0 && key[size] == '/')
		parse_relative(key + size + 1, name);
	else
	{
		memset(name, 0, sizeof(*name));
		name->kind = REEF_OBJECT_FOREIGN;
	}
}

bool
reef_layout_parse_any(const char *key, char prefix[REEF_OBJECT_KEY_SIZE],
					  ReefObjectName *name)
{
	char		namespace_name[REEF_NAMESPACE_MAX_SIZE + 1];
	size_t		size = 0;
	int			parts;

	memset(name, 0, sizeof(*name));
	name->kind = REEF_OBJECT_FOREIGN;

	/*
	 * No part of a prefix is a folder's name, so the first one that is ends
	 * the prefix.
	 */
	for (parts = 0; parts <= 2; parts++)
	{
		size_t		part = strcspn(key + size, "/");

		if (key[size + part] == '\0')
			return false;
		if (parts > 0 && folder_of_name(key + size, part) >= 0)
			break;
		size += part + 1;
		if (size >= REEF_OBJECT_KEY_SIZE)
			return false;
	}
	if (parts > 2)
		return false;
	memcpy(prefix, key, size - 1);
	prefix[size - 1] = '\0';
	parse_relative(key + size, name);
	return name->kind != REEF_OBJECT_FOREIGN &&
		reef_layout_namespace_name(prefix, namespace_name,
								   sizeof(namespace_name));
}

void
reef_uuid_format(const uint8_t uuid[16], char text[37])
{
	static const char digits[] = "0123456789abcdef";
	int			i;

	for (i = 0; i < 16; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[uuid[i] >> 4];
		*text++ = digits[uuid[i] & 15];
	}
	*text = '\0';
}

bool
reef_uuid_parse(const char *text, uint8_t uuid[16])
{
	int			i;

	for (i = 0; i < 16; i++)
	{
		int			high;
		int			low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		high = hex_value(text[0], 'a');
		if (high < 0)
			return false;
		low = hex_value(text[1], 'a');
		if (low < 0)
			return false;
		uuid[i] = (uint8_t) (high * 16 + low);
		text += 2;
	}
	return *text == '\0';
}

void
reef_uuid_v7(int64_t now_us, const uint8_t random10[10], uint8_t uuid[16])
{
	uint64_t	ms = now_us > 0 ? (uint64_t) now_us / 1000 : 0;
	int			i;

	/* RFC 9562: the time in network order, so that text order is time order */
	for (i = 0; i < 6; i++)
		uuid[i] = (uint8_t) (ms >> (40 - 8 * i));
	memcpy(uuid + 6, random10, 10);
	uuid[6] = (uint8_t) ((uuid[6] & 0x0f) | 0x70);
	uuid[8] = (uint8_t) ((uuid[8] & 0x3f) | 0x80);
}
