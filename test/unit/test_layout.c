/*
 * test_layout.c
 *	  Object names.
 */
#include "unit.h"

#include <stdio.h>

#include "format/layout.h"

static const uint8_t a_uuid[16] = {
	0x01, 0x93, 0x5a, 0x00, 0x00, 0x01, 0x70, 0x02,
	0x80, 0x03, 0x04, 0x05, 0x06, 0x07, 0xff, 0x09
};

static void
check_escaping(const char *name, const char *expected)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		back[REEF_NAMESPACE_MAX_SIZE + 1];
	ReefError	err;

	UNIT_OK(reef_layout_namespace_prefix(name, prefix, &err), &err);
	UNIT_EQUAL_STRING(prefix, expected);
	UNIT_CHECK(reef_layout_namespace_name(prefix, back, sizeof(back)));
	UNIT_EQUAL_STRING(back, name);
}

UNIT_TEST(test_layout__names_are_escaped_as_documented)
{
	check_escaping("public/orders", "public/orders");
	check_escaping("public/Kunden 2024", "public/Kunden_202024");
	check_escaping("sales_2024", "sales_5F2024");
	check_escaping("order_items", "order_items");
	check_escaping(".hidden/a.b", "_2Ehidden/a.b");
	check_escaping("wal/manifest", "_77al/_6Danifest");
	check_escaping("public/k\303\244se", "public/k_C3_A4se");
	check_escaping("..", "_2E.");
	check_escaping("segment", "_73egment");
	check_escaping("a/quarantine", "a/_71uarantine");
	check_escaping("wal2/walx", "wal2/walx");
	check_escaping("__41", "__5F41");
	check_escaping("_", "_");
	check_escaping("a_4", "a_4");
	check_escaping("_2e", "_2e");
	check_escaping("\x7f\x01*?", "_7F_01_2A_3F");
}

UNIT_TEST(test_layout__impossible_names_are_refused)
{
	static const char *const names[] = {"", "/", "a/", "/a", "a//b", "a/b/c"};
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		long_name[REEF_NAMESPACE_MAX_SIZE + 2];
	ReefError	err;
	size_t		i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		UNIT_CODE(reef_layout_namespace_prefix(names[i], prefix, &err),
				  REEF_INVALID, &err);

	memset(long_name, 'x', sizeof(long_name));
	long_name[REEF_NAMESPACE_MAX_SIZE + 1] = '\0';
	UNIT_CODE(reef_layout_namespace_prefix(long_name, prefix, &err),
			  REEF_INVALID, &err);
	long_name[REEF_NAMESPACE_MAX_SIZE] = '\0';
	UNIT_OK(reef_layout_namespace_prefix(long_name, prefix, &err), &err);

	/* 86 bytes take 258, more than a file's name may have */
	memset(long_name, '\303', sizeof(long_name));
	long_name[86] = '\0';
	UNIT_CODE(reef_layout_namespace_prefix(long_name, prefix, &err),
			  REEF_INVALID, &err);
	long_name[85] = '\0';
	UNIT_OK(reef_layout_namespace_prefix(long_name, prefix, &err), &err);
}

/* From few bytes, so that names collide if they can. */
static void
random_name(char *name)
{
	static const char alphabet[] = "_45FAfwl.a \303/";
	static const char *const words[] = {"wal", "segment", "manifest"};
	size_t		size = 1 + unit_random_below(6);
	size_t		i;

	if (unit_random_below(4) == 0)
	{
		snprintf(name, 16, "%s", words[unit_random_below(3)]);
		return;
	}
	for (i = 0; i < size; i++)
		name[i] = alphabet[unit_random_below(sizeof(alphabet) - 1)];
	name[size] = '\0';
}

UNIT_TEST(test_layout__different_names_have_different_prefixes_and_folders)
{
	char		names[2][16];
	char		prefixes[2][REEF_OBJECT_KEY_SIZE];
	char		back[REEF_OBJECT_KEY_SIZE];
	char		key[REEF_OBJECT_KEY_SIZE];
	ReefObjectName parsed;
	ReefError	err;
	int			compared = 0;
	int			round;

	for (round = 0; round < 50000; round++)
	{
		random_name(names[0]);
		random_name(names[1]);
		if (reef_layout_namespace_prefix(names[0], prefixes[0], &err) != REEF_OK
			|| reef_layout_namespace_prefix(names[1], prefixes[1], &err) !=
			REEF_OK)
			continue;
		compared++;
		UNIT_EQUAL_INT(strcmp(prefixes[0], prefixes[1]) == 0,
					   strcmp(names[0], names[1]) == 0);
		UNIT_EQUAL_INT(strspn(prefixes[0],
							  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
							  "uvwxyz0123456789._-/"), strlen(prefixes[0]));
		UNIT_CHECK(reef_layout_namespace_name(prefixes[0], back,
											  sizeof(back)));
		UNIT_EQUAL_STRING(back, names[0]);

		/* An object is of its own namespace and of no other. */
		reef_layout_wal_key(prefixes[0], 1, key);
		reef_layout_parse(prefixes[1], key, &parsed);
		UNIT_EQUAL_INT(parsed.kind == REEF_OBJECT_WAL,
					   strcmp(names[0], names[1]) == 0);
		reef_layout_list_prefix(prefixes[1], REEF_OBJECT_WAL, back);
		UNIT_EQUAL_INT(strncmp(key, back, strlen(back)) == 0,
					   strcmp(names[0], names[1]) == 0);
		UNIT_CHECK(reef_layout_parse_any(key, back, &parsed));
		UNIT_EQUAL_STRING(back, prefixes[0]);
	}
	UNIT_CHECK(compared > 10000);
}

UNIT_TEST(test_layout__only_the_canonical_escaping_is_a_prefix)
{
	static const char *const prefixes[] = {
		"_41", "a_2F", "a_00", "wal", ".a", "a b", "a/_62", "a/b/c",
		"a/", "", "_77a", "x/wal"
	};
	char		name[REEF_NAMESPACE_MAX_SIZE + 1];
	size_t		i;

	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
	{
		if (reef_layout_namespace_name(prefixes[i], name, sizeof(name)))
			UNIT_FAIL("\"%s\" was taken for \"%s\"", prefixes[i], name);
	}
	/* a buffer that is too small */
	UNIT_CHECK(!reef_layout_namespace_name("abc", name, 3));
	UNIT_CHECK(reef_layout_namespace_name("abc", name, 4));
}

UNIT_TEST(test_layout__keys_are_made_and_parsed)
{
	char		key[REEF_OBJECT_KEY_SIZE];
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectName name;

	reef_layout_wal_key("s/t", 42, key);
	UNIT_EQUAL_STRING(key, "s/t/wal/00000000000000000042.wal");
	reef_layout_parse("s/t", key, &name);
	UNIT_EQUAL_INT(name.kind, REEF_OBJECT_WAL);
	UNIT_EQUAL_INT(name.number, 42);
	UNIT_CHECK(reef_layout_parse_any(key, prefix, &name));
	UNIT_EQUAL_STRING(prefix, "s/t");

	reef_layout_manifest_key("t", INT64_MAX, key);
	UNIT_EQUAL_STRING(key, "t/manifest/09223372036854775807.json");
	reef_layout_parse("t", key, &name);
	UNIT_EQUAL_INT(name.kind, REEF_OBJECT_MANIFEST);
	UNIT_EQUAL_INT(name.number, INT64_MAX);

	reef_layout_segment_key("t", a_uuid, key);
	UNIT_EQUAL_STRING(key, "t/segment/01935a00-0001-7002-8003-04050607ff09"
					  ".parquet");
	UNIT_CHECK(reef_layout_parse_any(key, prefix, &name));
	UNIT_EQUAL_STRING(prefix, "t");
	UNIT_EQUAL_INT(name.kind, REEF_OBJECT_SEGMENT);
	UNIT_EQUAL_BYTES(reef_slice(name.uuid, 16), reef_slice(a_uuid, 16));

	UNIT_CHECK(reef_layout_quarantine_key("t", "t/wal/x", a_uuid, key));
	UNIT_EQUAL_STRING(key, "t/quarantine/01935a00-0001-7002-8003-04050607ff09"
					  "/wal/x");
	reef_layout_parse("t", key, &name);
	UNIT_EQUAL_INT(name.kind, REEF_OBJECT_QUARANTINE);
	UNIT_CHECK(!reef_layout_quarantine_key("t", "tt/wal/x", a_uuid, key));

	reef_layout_list_prefix("t", REEF_OBJECT_SEGMENT, key);
	UNIT_EQUAL_STRING(key, "t/segment/");
	reef_layout_list_prefix("t", REEF_OBJECT_FOREIGN, key);
	UNIT_EQUAL_STRING(key, "t/");
}

UNIT_TEST(test_layout__what_we_would_not_make_is_foreign)
{
	static const char *const keys[] = {
		"t/wal/0000000000000000042.wal",
		"t/wal/000000000000000000042.wal",
		"t/wal/00000000000000000042.WAL",
		"t/wal/00000000000000000042.wal/",
		"t/wal/00000000000000000042.wal.tmp",
		"t/wal/00000000000000000042.json",
		"t/wal/00000000000000000000.wal",
		"t/wal/09223372036854775808.wal",
		"t/wal/99999999999999999999.wal",
		"t/wal/+0000000000000000042.wal",
		"t/wal/", "t/wal", "t/", "t", "", "/", "wal/",
		"t/manifest/00000000000000000042.wal",
		"t/segment/01935a00-0001-7002-8003-04050607FF09.parquet",
		"t/segment/01935a0000017002800304050607ff09.parquet",
		"t/segment/01935a00-0001-7002-8003-04050607ff0.parquet",
		"t/segment/01935a00-0001-7002-8003-04050607ff09.parquet2",
		"t/segment/01935a00-0001-7002-8003-04050607ff09",
		"t/quarantine/",
		"t/other/00000000000000000042.wal",
		"u/wal/00000000000000000042.wal",
		"tt/wal/00000000000000000042.wal",
	};
	char		prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectName name;
	size_t		i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		reef_layout_parse("t", keys[i], &name);
		if (name.kind != REEF_OBJECT_FOREIGN)
			UNIT_FAIL("\"%s\" was taken for one of ours", keys[i]);
	}
	UNIT_CHECK(!reef_layout_parse_any("wal/00000000000000000042.wal", prefix,
									  &name));
	UNIT_CHECK(!reef_layout_parse_any("a/b/c/wal/00000000000000000042.wal",
									  prefix, &name));
	UNIT_CHECK(!reef_layout_parse_any("_41/wal/00000000000000000042.wal",
									  prefix, &name));
	UNIT_CHECK(!reef_layout_parse_any("a//wal/00000000000000000042.wal",
									  prefix, &name));
}

UNIT_TEST(test_layout__the_longest_names_fit_a_key)
{
	char		name[REEF_NAMESPACE_MAX_SIZE + 1];
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		key[REEF_OBJECT_KEY_SIZE];
	char		moved[REEF_OBJECT_KEY_SIZE];
	char		found[REEF_OBJECT_KEY_SIZE];
	ReefObjectName parsed;
	ReefError	err;

	memset(name, ' ', 171);
	name[85] = '/';
	name[171] = '\0';
	UNIT_OK(reef_layout_namespace_prefix(name, prefix, &err), &err);
	reef_layout_segment_key(prefix, a_uuid, key);
	UNIT_CHECK(reef_layout_parse_any(key, found, &parsed));
	UNIT_EQUAL_STRING(found, prefix);
	UNIT_CHECK(reef_layout_quarantine_key(prefix, key, a_uuid, moved));
	UNIT_CHECK(reef_layout_parse_any(moved, found, &parsed));
	UNIT_EQUAL_INT(parsed.kind, REEF_OBJECT_QUARANTINE);
}

UNIT_TEST(test_layout__a_uuid_carries_its_time_and_sorts_by_it)
{
	static const uint8_t random10[10] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};
	uint8_t		uuid[16];
	uint8_t		later[16];
	uint8_t		parsed[16];
	char		text[37];

	/* the example of RFC 9562, appendix A.6, with other random bits */
	reef_uuid_v7(INT64_C(1645557742000) * 1000 + 999, random10, uuid);
	reef_uuid_format(uuid, text);
	UNIT_EQUAL_STRING(text, "017f22e2-79b0-7fff-bfff-ffffffffffff");
	UNIT_CHECK(reef_uuid_parse(text, parsed));
	UNIT_EQUAL_BYTES(reef_slice(parsed, 16), reef_slice(uuid, 16));

	reef_uuid_v7(INT64_C(1645557742001) * 1000, (const uint8_t *) "\0\0\0\0\0"
				 "\0\0\0\0", later);
	UNIT_CHECK(memcmp(uuid, later, 16) < 0);
	reef_uuid_v7(-1, random10, uuid);
	reef_uuid_format(uuid, text);
	UNIT_EQUAL_STRING(text, "00000000-0000-7fff-bfff-ffffffffffff");
}
