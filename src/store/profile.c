/*
 * profile.c
 *	  Profiles in the shared files "credentials" and "config".
 *
 * The files are ini files that several programs of several vendors read, each
 * a little differently.  This is the common ground: sections in brackets, in
 * the file "config" with "profile " before all names but "default"; "name =
 * value" at the beginning of a line; a comment is a line that begins with "#"
 * or ";", or what follows a blank and one of them; an indented line belongs to
 * the line before, and nothing that we want is in such a one; the last of
 * several wins.  What makes no sense is skipped, for it is somebody else's.
 *
 * The keys of a profile are taken from one file: a token of one file does not
 * go with the key of the other.
 */
#include "store/profile.h"

#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "store/credential_source.h"

#define FILE_MAX_SIZE ((size_t) 256 * 1024)
#define PATH_SIZE 4096

typedef struct Property
{
	const char *name;
	size_t		offset;
	size_t		size;
	bool		is_flag;		/* only that it is there counts */
} Property;

#define PROPERTY(name, field) \
	{name, offsetof(ReefProfile, field), \
	 sizeof(((ReefProfile *) NULL)->field), false}
#define FLAG(name, field) \
	{name, offsetof(ReefProfile, field), \
	 sizeof(((ReefProfile *) NULL)->field), true}

/* Those of the keys first. */
#define KEY_PROPERTIES 3
static const Property properties[] = {
	PROPERTY("aws_access_key_id", access_key_id),
	PROPERTY("aws_secret_access_key", secret_access_key),
	PROPERTY("aws_session_token", session_token),
	PROPERTY("role_arn", role_arn),
	PROPERTY("source_profile", source_profile),
	PROPERTY("credential_source", credential_source),
	PROPERTY("web_identity_token_file", web_identity_token_file),
	PROPERTY("role_session_name", role_session_name),
	PROPERTY("external_id", external_id),
	PROPERTY("duration_seconds", duration_seconds),
	PROPERTY("region", region),
	PROPERTY("mfa_serial", mfa_serial),
	FLAG("credential_process", credential_process),
	FLAG("sso_session", sso_session),
	FLAG("sso_start_url", sso_start_url)
};

#define PROPERTY_COUNT (sizeof(properties) / sizeof(properties[0]))

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static ReefSlice
trim(ReefSlice text)
{
	while (text.size > 0 && is_blank(text.data[0]))
	{
		text.data++;
		text.size--;
	}
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

static bool
is_text(ReefSlice slice, const char *text)
{
	return reef_slice_equal(slice, reef_slice_of_string(text));
}

/* Letters of names may be of either case. */
static bool
is_name(ReefSlice slice, const char *name)
{
	return slice.size == strlen(name) &&
		strncasecmp((const char *) slice.data, name, slice.size) == 0;
}

static ReefSlice
without_quotes(ReefSlice text)
{
	if (text.size >= 2 && text.data[0] == '"' &&
		text.data[text.size - 1] == '"')
		return reef_slice(text.data + 1, text.size - 2);
	return text;
}

/* *is_prefixed: written with "profile " */
static bool
is_section(ReefSlice line, bool is_config, const char *name, bool *is_prefixed)
{
	const uint8_t *end = memchr(line.data, ']', line.size);
	ReefSlice	section;

	*is_prefixed = false;
	if (end == NULL)
		return false;
	section = trim(reef_slice(line.data + 1, (size_t) (end - line.data - 1)));
	if (!is_config)
		return is_text(section, name);
	if (section.size > 8 && memcmp(section.data, "profile", 7) == 0 &&
		is_blank(section.data[7]))
	{
		*is_prefixed = true;
		return is_text(without_quotes(trim(reef_slice(section.data + 8,
													  section.size - 8))),
					   name);
	}
	return strcmp(name, "default") == 0 && is_text(section, name);
}

/* A comment begins after a blank. */
static ReefSlice
without_comment(ReefSlice value)
{
	for (size_t i = 0; i < value.size; i++)
	{
		if ((value.data[i] == '#' || value.data[i] == ';') &&
			(i == 0 || is_blank(value.data[i - 1])))
			return trim(reef_slice(value.data, i));
	}
	return value;
}

static ReefCode
read_property(ReefSlice line, const char *section, ReefProfile *profile,
			  ReefError *err)
{
	const uint8_t *equals = memchr(line.data, '=', line.size);
	ReefSlice	name;
	ReefSlice	value;

	if (equals == NULL)
		return REEF_OK;
	name = trim(reef_slice(line.data, (size_t) (equals - line.data)));
	value = trim(reef_slice(equals + 1,
							line.size - (size_t) (equals - line.data) - 1));
	value = without_comment(value);
	for (size_t i = 0; i < PROPERTY_COUNT; i++)
	{
		const Property *property = &properties[i];
		char	   *field = (char *) profile + property->offset;

		if (!is_name(name, property->name))
			continue;
		memset(field, 0, property->size);
		if (property->is_flag)
			field[0] = value.size > 0 ? 'y' : '\0';
		else if (value.size < property->size)
			memcpy(field, value.data, value.size);
		else
			return reef_error_set(err, REEF_INVALID,
								  "invalid profile of credentials",
								  "profile %.128s: %s has more than %zu bytes",
								  section, property->name, property->size - 1);
	}
	return REEF_OK;
}

ReefCode
reef_profile_parse(ReefSlice text, bool is_config, const char *name,
				   ReefProfile *profile, ReefError *err)
{
	static const uint8_t byte_order_mark[] = {0xef, 0xbb, 0xbf};
	bool		is_ours = false;
	bool		was_prefixed = false;

	memset(profile, 0, sizeof(*profile));
	if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)
		return reef_error_set(err, REEF_INVALID,
							  "invalid profile of credentials",
							  "the file is no text");
	if (text.size >= 3 && memcmp(text.data, byte_order_mark, 3) == 0)
		text = reef_slice(text.data + 3, text.size - 3);
	while (text.size > 0)
	{
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t		size = end == NULL ? text.size :
			(size_t) (end - text.data);
		ReefSlice	line = reef_slice(text.data, size);

		text = end == NULL ? reef_slice(text.data, 0) :
			reef_slice(end + 1, text.size - size - 1);
		if (line.size == 0 || is_blank(line.data[0]) || line.data[0] == '#' ||
			line.data[0] == ';')
			continue;
		if (line.data[0] == '[')
		{
			bool		is_prefixed;

			is_ours = is_section(line, is_config, name, &is_prefixed);
			/* [profile default] hides [default] */
			if (is_ours && is_prefixed && !was_prefixed)
				memset(profile, 0, sizeof(*profile));
			else if (is_ours && !is_prefixed && was_prefixed)
				is_ours = false;
			was_prefixed |= is_ours && is_prefixed;
			profile->is_there |= is_ours;
		}
		else if (is_ours)
			REEF_TRY(read_property(line, name, profile, err));
	}
	return REEF_OK;
}

/* Where one of the files is; false: nobody knows. */
static bool
find_path(const char *variable, const char *file, char path[PATH_SIZE])
{
	const char *given = reef_environment_get(variable);
	const char *home = reef_environment_get("HOME");
	struct passwd entry;
	struct passwd *found = NULL;
	char		names[4096];
	int			size;

	if (given != NULL)
		size = snprintf(path, PATH_SIZE, "%s", given);
	else
	{
		if (home == NULL &&
			getpwuid_r(geteuid(), &entry, names, sizeof(names), &found) == 0 &&
			found != NULL)
			home = entry.pw_dir;
		if (home == NULL)
			return false;
		size = snprintf(path, PATH_SIZE, "%s/.aws/%s", home, file);
	}
	return size > 0 && size < PATH_SIZE;
}

static ReefCode
load_file(const char *path, bool is_config, const char *name,
		  ReefProfile *profile, ReefError *err)
{
	ReefBuf		text;
	ReefCode	rc;

	memset(profile, 0, sizeof(*profile));
	reef_buf_init(&text);
	rc = reef_secret_file_read(path, FILE_MAX_SIZE, &text, err);
	if (rc == REEF_OK)
	{
		rc = reef_profile_parse(reef_buf_slice(&text), is_config, name,
								profile, err);
		if (rc != REEF_OK)
			rc = reef_error_add(err, "in file %.300s", path);
	}
	else if (rc == REEF_NOT_FOUND)
		rc = REEF_OK;
	reef_secret_buf_release(&text);
	return rc;
}

/* What the file "credentials" says counts before "config". */
static void
merge(ReefProfile *profile, const ReefProfile *config)
{
	bool		has_keys = profile->access_key_id[0] != '\0' ||
		profile->secret_access_key[0] != '\0';

	for (size_t i = has_keys ? KEY_PROPERTIES : 0; i < PROPERTY_COUNT; i++)
	{
		char	   *field = (char *) profile + properties[i].offset;

		if (i < KEY_PROPERTIES || field[0] == '\0')
			memcpy(field, (const char *) config + properties[i].offset,
				   properties[i].size);
	}
	profile->is_there |= config->is_there;
}

ReefCode
reef_profile_load(const char *name, ReefProfile *profile, ReefError *err)
{
	char		credentials[PATH_SIZE] = "";
	char		config[PATH_SIZE] = "";
	ReefProfile other;
	ReefCode	rc = REEF_OK;

	memset(profile, 0, sizeof(*profile));
	memset(&other, 0, sizeof(other));
	if (find_path("AWS_SHARED_CREDENTIALS_FILE", "credentials", credentials))
		rc = load_file(credentials, false, name, profile, err);
	if (rc == REEF_OK && find_path("AWS_CONFIG_FILE", "config", config))
		rc = load_file(config, true, name, &other, err);
	if (rc == REEF_OK)
	{
		merge(profile, &other);
		if (!profile->is_there)
			rc = reef_error_set(err, REEF_NOT_FOUND, "profile does not exist",
								"profile %.128s in %.200s and %.200s", name,
								credentials, config);
	}
	explicit_bzero(&other, sizeof(other));
	if (rc != REEF_OK)
		explicit_bzero(profile, sizeof(*profile));
	return rc;
}
