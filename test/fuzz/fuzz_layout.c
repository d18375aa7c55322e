/*
 * fuzz_layout.c
 *	  Any text as a key, a prefix, a namespace's name and a UUID.
 *
 * What is recognized must be made again exactly.
 */
#include <stdlib.h>

#include "format/layout.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

/* What repair sets aside is in quarantine, of the same namespace. */
static void
check_quarantine(const char *prefix, const char *key)
{
	static const uint8_t run[16] = {1, 2, 3};
	char		copy[REEF_OBJECT_KEY_SIZE];
	char		copy_prefix[REEF_OBJECT_KEY_SIZE];
	ReefObjectName name;

	if (!reef_layout_quarantine_key(prefix, key, run, copy))
		return;
	check(reef_layout_parse_any(copy, copy_prefix, &name));
	check(name.kind == REEF_OBJECT_QUARANTINE &&
		  strcmp(prefix, copy_prefix) == 0);
}

static void
check_key(const char *key)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		again[REEF_OBJECT_KEY_SIZE];
	char		namespace_name[REEF_NAMESPACE_MAX_SIZE + 1];
	ReefObjectName name;
	ReefObjectName below;

	if (!reef_layout_parse_any(key, prefix, &name))
		return;
	reef_layout_parse(prefix, key, &below);
	check(memcmp(&name, &below, sizeof(name)) == 0);
	check_quarantine(prefix, key);
	check(reef_layout_namespace_name(prefix, namespace_name,
									 sizeof(namespace_name)));
	again[0] = '\0';
	if (name.kind == REEF_OBJECT_WAL)
		reef_layout_wal_key(prefix, name.number, again);
	else if (name.kind == REEF_OBJECT_MANIFEST)
		reef_layout_manifest_key(prefix, name.number, again);
	else if (name.kind == REEF_OBJECT_SEGMENT)
		reef_layout_segment_key(prefix, name.uuid, again);
	check(name.kind == REEF_OBJECT_QUARANTINE || strcmp(key, again) == 0);
}

static void
check_names(const char *text)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		name[REEF_NAMESPACE_MAX_SIZE + 1];
	ReefError	err;

	if (reef_layout_namespace_prefix(text, prefix, &err) == REEF_OK)
		check(reef_layout_namespace_name(prefix, name, sizeof(name)) &&
			  strcmp(name, text) == 0);
	if (reef_layout_namespace_name(text, name, sizeof(name)))
		check(reef_layout_namespace_prefix(name, prefix, &err) == REEF_OK &&
			  strcmp(prefix, text) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size + 1);
	char		uuid_text[37];
	uint8_t		uuid[16];

	memcpy(text, data, size);
	text[size] = '\0';
	check_key(text);
	check_names(text);
	if (reef_uuid_parse(text, uuid))
	{
		reef_uuid_format(uuid, uuid_text);
		check(strcmp(uuid_text, text) == 0);
	}
	free(text);
	return 0;
}
