/*
 * options.c
 *	  What may be said in OPTIONS of servers, tables and columns, and what it
 *	  means.
 *
 * Options are text in catalogs that everybody may read, set by whoever may
 * create the object and used by many others later.  So the validator is the
 * only place where the right to name a directory can be checked, secrets are
 * refused here, and everything else is checked again when it is used: a
 * column's options do not know the column's type when they are set.
 *
 * One table lists every option with the objects it belongs to, how its value
 * is read, and what it may be.  A server's option that a table has too is the
 * default of its tables.
 */
#include "postgres.h"

#include <ctype.h>
#include <limits.h>
#include <unistd.h>

#include "access/reloptions.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "base/compress.h"
#include "pg/options.h"
#include "pg/reef_fdw.h"
#include "pg/store_spec.h"

#define DEFAULT_STARTUP_COST 10.0
#define DEFAULT_TUPLE_COST 0.01

/* Objects an option belongs to. */
#define ON_SERVER 1
#define ON_TABLE 2
#define ON_COLUMN 4
#define ON_MAPPING 8

typedef enum OptionReader
{
	READ_BOOLEAN,
	READ_INTEGER,				/* min..max, in the unit of "flags" */
	READ_COST,
	READ_WORD,					/* one of "words" */
	READ_LOCATION,
	READ_TEXT,					/* up to max bytes, not empty */
	READ_FILE,					/* an absolute path, up to max bytes */
	READ_SECRET,				/* the same as text, never shown */
	READ_NAMESPACE,
	READ_COLUMN_NAME
} OptionReader;

typedef struct OptionWord
{
	const char *name;
	int			value;
} OptionWord;

static const OptionWord on_conflict_words[] = {
	{"error", REEFPG_ON_CONFLICT_ERROR},
	{"nothing", REEFPG_ON_CONFLICT_NOTHING},
	{"update", REEFPG_ON_CONFLICT_UPDATE},
	{NULL, 0}
};

static const OptionWord compression_words[] = {
	{"none", REEF_CODEC_NONE},
	{"zstd", REEF_CODEC_ZSTD},
	{"lz4", REEF_CODEC_LZ4},
	{NULL, 0}
};

static const OptionWord credential_source_words[] = {
	{"mapping", REEF_CREDENTIAL_GIVEN},
	{"env", REEF_CREDENTIAL_ENV},
	{"profile", REEF_CREDENTIAL_PROFILE},
	{"container", REEF_CREDENTIAL_CONTAINER},
	{"imds", REEF_CREDENTIAL_IMDS},
	{"web_identity", REEF_CREDENTIAL_WEB_IDENTITY},
	{"chain", REEF_CREDENTIAL_CHAIN},
	{NULL, 0}
};

typedef struct OptionRule
{
	const char *name;
	int			objects;
	OptionReader reader;
	int			min;
	int			max;
	int			flags;			/* GUC_UNIT_... */
	const OptionWord *words;
} OptionRule;

static const OptionRule rules[] = {
	{"location", ON_SERVER, READ_LOCATION, 0, 0, 0, NULL},
	{"endpoint", ON_SERVER, READ_TEXT, 0, REEFPG_ENDPOINT_SIZE - 1, 0, NULL},
	{"region", ON_SERVER, READ_TEXT, 0, REEFPG_REGION_SIZE - 1, 0, NULL},
	{"path_style", ON_SERVER, READ_BOOLEAN, 0, 0, 0, NULL},
	{"ca_file", ON_SERVER, READ_FILE, 0, MAXPGPATH - 1, 0, NULL},
	{"proxy", ON_SERVER, READ_TEXT, 0, REEFPG_ENDPOINT_SIZE - 1, 0, NULL},
	{"connect_timeout", ON_SERVER, READ_INTEGER, 1, INT_MAX, GUC_UNIT_MS, NULL},
	{"credential_source", ON_SERVER, READ_WORD, 0, 0, 0,
	credential_source_words},
	{"profile", ON_SERVER, READ_TEXT, 0, REEF_PROFILE_NAME_SIZE - 1, 0, NULL},
	{"role_arn", ON_SERVER, READ_TEXT, 0, REEF_ROLE_ARN_SIZE - 1, 0, NULL},
	{"allow_server_credentials", ON_MAPPING, READ_BOOLEAN, 0, 0, 0, NULL},
	{"access_key_id", ON_MAPPING, READ_SECRET, 0, REEFPG_ACCESS_KEY_SIZE - 1, 0,
	NULL},
	{"secret_access_key", ON_MAPPING, READ_SECRET, 0, REEFPG_SECRET_SIZE - 1, 0,
	NULL},
	{"session_token", ON_MAPPING, READ_SECRET, 0, REEFPG_TOKEN_SIZE - 1, 0,
	NULL},
	{"request_timeout", ON_SERVER, READ_INTEGER, 1, INT_MAX, GUC_UNIT_MS, NULL},
	{"max_retries", ON_SERVER, READ_INTEGER, 0, 100, 0, NULL},
	{"fdw_startup_cost", ON_SERVER, READ_COST, 0, 0, 0, NULL},
	{"fdw_tuple_cost", ON_SERVER, READ_COST, 0, 0, 0, NULL},
	{"namespace", ON_TABLE, READ_NAMESPACE, 0, 0, 0, NULL},
	{"read_only", ON_SERVER | ON_TABLE, READ_BOOLEAN, 0, 0, 0, NULL},
	{"updatable", ON_SERVER | ON_TABLE, READ_BOOLEAN, 0, 0, 0, NULL},
	{"batch_size", ON_SERVER | ON_TABLE, READ_INTEGER, 1, 10000, 0, NULL},
	{"on_conflict", ON_SERVER | ON_TABLE, READ_WORD, 0, 0, 0, on_conflict_words},
	{"compression", ON_SERVER | ON_TABLE, READ_WORD, 0, 0, 0, compression_words},
	{"target_segment_size", ON_SERVER | ON_TABLE, READ_INTEGER, 64,
	4 * 1024 * 1024, GUC_UNIT_KB, NULL},
	{"max_staleness", ON_SERVER | ON_TABLE, READ_INTEGER, 0, INT_MAX,
	GUC_UNIT_MS, NULL},
	{"idempotency_retention", ON_SERVER | ON_TABLE, READ_INTEGER, 1, INT_MAX,
	GUC_UNIT_S, NULL},
	{"key", ON_COLUMN, READ_BOOLEAN, 0, 0, 0, NULL},
	{"column_name", ON_COLUMN, READ_COLUMN_NAME, 0, 0, 0, NULL},
	{"bloom", ON_COLUMN, READ_BOOLEAN, 0, 0, 0, NULL},
	{"reef_lsn", ON_COLUMN, READ_BOOLEAN, 0, 0, 0, NULL}
};

/* What people put where everybody can read it. */
static const char *const secret_names[] = {
	"access_key_id", "secret_access_key", "session_token",
	"aws_access_key_id", "aws_secret_access_key", "aws_session_token",
	"user", "password"
};

static void
report_bad_value(const OptionRule *rule, const char *value, const char *detail,
				 const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", rule->name,
					value),
			 detail != NULL ? errdetail("%s", detail) : 0,
			 hint != NULL ? errhint("%s", hint) : 0));
}

static bool
read_boolean(const OptionRule *rule, const char *value)
{
	bool		result = false;

	if (!parse_bool(value, &result))
		report_bad_value(rule, value, "The value must be true or false.", NULL);
	return result;
}

static int
read_integer(const OptionRule *rule, const char *value)
{
	const char *hint = NULL;
	int			result = 0;

	if (!parse_int(value, &result, rule->flags, &hint))
		report_bad_value(rule, value, NULL, hint);
	if (result < rule->min || result > rule->max)
		report_bad_value(rule, value,
						 psprintf("The value must be between %d and %d%s.",
								  rule->min, rule->max,
								  rule->flags == GUC_UNIT_MS ? " ms" :
								  rule->flags == GUC_UNIT_KB ? " kB" : ""),
						 NULL);
	return result;
}

static double
read_cost(const OptionRule *rule, const char *value)
{
	double		result = 0;

	if (!parse_real(value, &result, 0, NULL) || !(result >= 0))
		report_bad_value(rule, value,
						 "The value must be a number that is not negative.",
						 NULL);
	return result;
}

static int
read_word(const OptionRule *rule, const char *value)
{
	const OptionWord *word;
	StringInfoData hint;

	initStringInfo(&hint);
	for (word = rule->words; word->name != NULL; word++)
	{
		if (strcmp(word->name, value) == 0)
			return word->value;
		appendStringInfo(&hint, "%s\"%s\"", hint.len > 0 ? ", " : "",
						 word->name);
	}
	report_bad_value(rule, value, NULL,
					 psprintf("Valid values are: %s.", hint.data));
	pg_unreachable();
}

/* Core's function for this wants the path canonical, which takes them away. */
static bool
has_parent_reference(const char *path)
{
	const char *part;

	for (part = strstr(path, ".."); part != NULL; part = strstr(part + 1, ".."))
	{
		if ((part == path || part[-1] == '/') &&
			(part[2] == '\0' || part[2] == '/'))
			return true;
	}
	return false;
}

/* The directory of a file: location, canonical; ereports what is wrong. */
static char *
read_location(const OptionRule *rule, const char *value)
{
	static const char scheme[] = "file://";
	char	   *path;

	if (strncmp(value, scheme, sizeof(scheme) - 1) != 0)
		report_bad_value(rule, value, NULL,
						 "A location is \"file://\" and an absolute path, or \"s3://bucket/prefix\".");
	path = pstrdup(value + sizeof(scheme) - 1);
	if (!is_absolute_path(path))
		report_bad_value(rule, value, "The path is not absolute.", NULL);
	if (has_parent_reference(path))
		report_bad_value(rule, value, "The path must not contain \"..\".",
						 NULL);
	canonicalize_path(path);
	if (path_is_prefix_of_path(DataDir, path))
		report_bad_value(rule, value,
						 "The path is inside the server's data directory.",
						 "The data directory goes when the server goes.");
	return path;
}

/* What is wrong with a bucket's is found with the other options. */
static bool
is_bucket_location(const char *value)
{
	return strncmp(value, "s3://", 5) == 0;
}

static void
read_text(const OptionRule *rule, const char *value)
{
	bool		is_long = strlen(value) > (size_t) rule->max;

	if (value[0] != '\0' && !is_long)
		return;
	if (rule->reader == READ_SECRET)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", rule->name),
				 errdetail("It must have 1 to %d bytes.", rule->max)));
	report_bad_value(rule, is_long ? "..." : value,
					 psprintf("It must have 1 to %d bytes.", rule->max), NULL);
}

static void
read_file(const OptionRule *rule, const char *value)
{
	read_text(rule, value);
	if (!is_absolute_path(value))
		report_bad_value(rule, value, "The path is not absolute.", NULL);
}

/* One or two parts; the engine escapes whatever is in them. */
static void
read_namespace(const OptionRule *rule, const char *value)
{
	const char *slash = strchr(value, '/');

	if (value[0] == '\0' || slash == value ||
		(slash != NULL && (slash[1] == '\0' || strchr(slash + 1, '/') != NULL)))
		report_bad_value(rule, value, NULL,
						 "A namespace is \"schema/table\" or \"table\".");
	if (strlen(value) > 255)
		report_bad_value(rule, value, "It has more than 255 bytes.", NULL);
}

static void
read_column_name(const OptionRule *rule, const char *value)
{
	if (value[0] == '\0' || strlen(value) > REEF_COLUMN_NAME_MAX_SIZE)
		report_bad_value(rule, value,
						 psprintf("A name has 1 to %d bytes.",
								  REEF_COLUMN_NAME_MAX_SIZE), NULL);
	if (strncmp(value, REEF_RESERVED_COLUMN_PREFIX,
				sizeof(REEF_RESERVED_COLUMN_PREFIX) - 1) == 0)
		report_bad_value(rule, value,
						 "Names that begin with \"" REEF_RESERVED_COLUMN_PREFIX
						 "\" are reserved.", NULL);
}

static void
check_value(const OptionRule *rule, const char *value)
{
	switch (rule->reader)
	{
		case READ_BOOLEAN:
			(void) read_boolean(rule, value);
			break;
		case READ_INTEGER:
			(void) read_integer(rule, value);
			break;
		case READ_COST:
			(void) read_cost(rule, value);
			break;
		case READ_WORD:
			(void) read_word(rule, value);
			break;
		case READ_LOCATION:
			if (!is_bucket_location(value))
				(void) read_location(rule, value);
			break;
		case READ_TEXT:
		case READ_SECRET:
			read_text(rule, value);
			break;
		case READ_FILE:
			read_file(rule, value);
			break;
		case READ_NAMESPACE:
			read_namespace(rule, value);
			break;
		case READ_COLUMN_NAME:
			read_column_name(rule, value);
			break;
	}
}

static const OptionRule *
find_rule(const char *name)
{
	for (size_t i = 0; i < lengthof(rules); i++)
	{
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	}
	return NULL;
}

const char *
reefpg_option_find(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return defGetString(option);
	}
	return NULL;
}

void
reefpg_option_boolean(List *options, const char *name, bool *value)
{
	const char *given = reefpg_option_find(options, name);

	if (given != NULL)
		*value = read_boolean(find_rule(name), given);
}

void
reefpg_option_integer(List *options, const char *name, int *value)
{
	const char *given = reefpg_option_find(options, name);

	if (given != NULL)
		*value = read_integer(find_rule(name), given);
}

void
reefpg_option_word(List *options, const char *name, int *value)
{
	const char *given = reefpg_option_find(options, name);

	if (given != NULL)
		*value = read_word(find_rule(name), given);
}

static void
option_cost(List *options, const char *name, double *value)
{
	const char *given = reefpg_option_find(options, name);

	if (given != NULL)
		*value = read_cost(find_rule(name), given);
}

static bool
is_secret(const char *name)
{
	for (size_t i = 0; i < lengthof(secret_names); i++)
	{
		if (pg_strcasecmp(secret_names[i], name) == 0)
			return true;
	}
	return false;
}

/* The option of this object nearest to what was written, or NULL. */
static const char *
closest_option(const char *name, int object)
{
	const char *closest = NULL;
	int			size = strlen(name);
	int			closest_distance;

	if (size == 0 || size > NAMEDATALEN)
		return NULL;
	/* More is no misspelling. */
	closest_distance = Min(4, size / 2 + 1);
	for (size_t i = 0; i < lengthof(rules); i++)
	{
		int			distance;

		if ((rules[i].objects & object) == 0)
			continue;
		distance = varstr_levenshtein(name, size, rules[i].name,
									  strlen(rules[i].name), 1, 1, 1, true);
		if (distance < closest_distance)
		{
			closest = rules[i].name;
			closest_distance = distance;
		}
	}
	return closest;
}

static const char *
list_options(int object)
{
	StringInfoData names;

	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(rules); i++)
	{
		if (rules[i].objects & object)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 rules[i].name);
	}
	return names.data;
}

static void
report_unknown_option(const char *name, int object)
{
	const char *closest = closest_option(name, object);
	const char *all = list_options(object);

	if (is_secret(name) && object != ON_MAPPING)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"", name),
				 errhint("Options of servers and tables can be read by everybody; credentials belong in a user mapping.")));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 closest != NULL ?
			 errhint("Perhaps you meant the option \"%s\".", closest) :
			 all[0] != '\0' ?
			 errhint("Valid options in this context are: %s.", all) :
			 errhint("There are no valid options in this context.")));
}

/*
 * A directory of the server's is read and written with the server's rights,
 * so naming one takes the right to do so.
 */
static void
check_location_privileges(List *options)
{
	const char *location = reefpg_option_find(options, "location");
	bool		is_read_only = false;

	if (location == NULL || is_bucket_location(location))
		return;
	reefpg_option_boolean(options, "read_only", &is_read_only);
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to use a directory of the server as a location"),
				 errdetail("Only roles with privileges of \"%s\" may do so.",
						   "pg_read_server_files")));
	if (!is_read_only &&
		!has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to use a directory of the server as a writable location"),
				 errdetail("Only roles with privileges of \"%s\" may do so.",
						   "pg_write_server_files"),
				 errhint("A server with the option read_only only needs \"%s\".",
						 "pg_read_server_files")));
}

static void
check_ca_file_privileges(List *options)
{
	if (reefpg_option_find(options, "ca_file") != NULL &&
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to use a file of the server"),
				 errdetail("Only roles with privileges of \"%s\" may do so.",
						   "pg_read_server_files")));
}

/*
 * The server's own identity is not for whoever may create a server.  All
 * options come here whenever one changes, so nobody else can direct a server
 * elsewhere that has such an option.
 */
static void
check_credential_privileges(List *options)
{
	static const char *const names[] = {
		"credential_source", "profile", "role_arn"
	};

	if (superuser())
		return;
	for (size_t i = 0; i < lengthof(names); i++)
	{
		const char *value = reefpg_option_find(options, names[i]);

		if (value != NULL && strcmp(value, "mapping") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set option \"%s\"",
							names[i]),
					 errdetail("Only a superuser may let a server use an identity that is not in the user mapping.")));
	}
}

static void
check_mapping_options(List *options)
{
	bool		is_allowed = false;
	bool		has_id = reefpg_option_find(options, "access_key_id") != NULL;
	bool		has_key = reefpg_option_find(options, "secret_access_key") != NULL;
	bool		has_token = reefpg_option_find(options, "session_token") != NULL;

	reefpg_option_boolean(options, "allow_server_credentials", &is_allowed);
	if (is_allowed && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"",
						"allow_server_credentials"),
				 errdetail("Only a superuser may let others use the server's own identity.")));
	if (has_id != has_key || (has_token && !has_id))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("options \"%s\" and \"%s\" belong together",
						"access_key_id", "secret_access_key")));
}

static int
object_of_catalog(Oid catalog)
{
	switch (catalog)
	{
		case ForeignServerRelationId:
			return ON_SERVER;
		case ForeignTableRelationId:
			return ON_TABLE;
		case AttributeRelationId:
			return ON_COLUMN;
		case UserMappingRelationId:
			return ON_MAPPING;
		default:
			return 0;			/* the wrapper */
	}
}

static void
check_column_options(List *options)
{
	bool		is_lsn = false;
	bool		is_key = false;
	bool		has_bloom = false;

	reefpg_option_boolean(options, "reef_lsn", &is_lsn);
	reefpg_option_boolean(options, "key", &is_key);
	reefpg_option_boolean(options, "bloom", &has_bloom);
	if (is_lsn && (is_key || has_bloom ||
				   reefpg_option_find(options, "column_name") != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" excludes all other options of the column",
						"reef_lsn")));
}

PG_FUNCTION_INFO_V1(reef_fdw_validator);

Datum
reef_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	int			object = object_of_catalog(PG_GETARG_OID(1));
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		const OptionRule *rule = find_rule(option->defname);

		if (rule == NULL || (rule->objects & object) == 0)
			report_unknown_option(option->defname, object);
		else
			check_value(rule, defGetString(option));
	}
	if (object == ON_SERVER)
	{
		check_location_privileges(options);
		check_ca_file_privileges(options);
		check_credential_privileges(options);
		reefpg_spec_check_server(options);
	}
	if (object == ON_MAPPING)
		check_mapping_options(options);
	if (object == ON_COLUMN)
		check_column_options(options);
	PG_RETURN_VOID();
}

ReefPgServer *
reefpg_server_load(Oid serverid, Oid userid)
{
	ForeignServer *foreign = GetForeignServer(serverid);
	ReefPgServer *server = palloc0(sizeof(ReefPgServer));
	const char *location = reefpg_option_find(foreign->options, "location");

	if (location == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("server \"%s\" has no location", foreign->servername),
				 errhint("ALTER SERVER %s OPTIONS (ADD location 'file:///...')",
						 quote_identifier(foreign->servername))));
	server->serverid = serverid;
	server->userid = userid;
	server->name = foreign->servername;
	server->location = pstrdup(location);
	server->batch_size = 1;
	server->startup_cost = DEFAULT_STARTUP_COST;
	server->tuple_cost = DEFAULT_TUPLE_COST;
	server->request_timeout_ms = -1;
	server->max_retries = -1;
	reefpg_option_boolean(foreign->options, "read_only", &server->read_only);
	reefpg_option_integer(foreign->options, "batch_size", &server->batch_size);
	reefpg_option_integer(foreign->options, "request_timeout",
				   &server->request_timeout_ms);
	reefpg_option_integer(foreign->options, "max_retries", &server->max_retries);
	option_cost(foreign->options, "fdw_startup_cost", &server->startup_cost);
	option_cost(foreign->options, "fdw_tuple_cost", &server->tuple_cost);
	return server;
}

/*
 * The validator saw only the name; it may lead through a symbolic link into
 * the data directory.  Looked up once a session and location: whoever can move
 * links in the file system does not need us to get at the data directory.
 */
void
reefpg_server_check_use(const ReefPgServer *server)
{
	static char checked[MAXPGPATH];
	char	   *path;
	char		real_path[PATH_MAX];
	char		real_data[PATH_MAX];

	if (is_bucket_location(server->location) ||
		strcmp(checked, server->location) == 0)
		return;
	path = read_location(find_rule("location"), server->location);
	/* A directory that does not exist yet is the store's business. */
	if (realpath(path, real_path) == NULL ||
		realpath(DataDir, real_data) == NULL)
		return;
	if (path_is_prefix_of_path(real_data, real_path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("location of server \"%s\" is inside the server's data directory",
						server->name),
				 errdetail("\"%s\" leads to \"%s\".", path, real_path)));
	if (strlen(server->location) < sizeof(checked))
		strlcpy(checked, server->location, sizeof(checked));
}

/* The LSN is no column of the store; it may be one of the table. */
static bool
load_lsn_column(ReefPgTable *table, Relation relation,
				Form_pg_attribute attribute, List *options)
{
	bool		is_lsn = false;

	reefpg_option_boolean(options, "reef_lsn", &is_lsn);
	if (!is_lsn)
		return false;
	if (attribute->atttypid != INT8OID || attribute->attnotnull ||
		attribute->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("column \"%s\" of foreign table \"%s\" has the option \"%s\" and must be a plain, nullable bigint",
						NameStr(attribute->attname),
						RelationGetRelationName(relation), "reef_lsn")));
	if (table->lsn_attribute != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("foreign table \"%s\" has more than one column with the option \"%s\"",
						RelationGetRelationName(relation), "reef_lsn")));
	table->lsn_attribute = attribute->attnum;
	return true;
}

static void
load_column(ReefPgTable *table, Relation relation,
			Form_pg_attribute attribute, List *options, int *key_count)
{
	int			index = table->schema.column_count;
	ReefColumn *column = &table->schema.columns[index];
	const char *name = reefpg_option_find(options, "column_name");
	bool		is_key = false;

	if (name == NULL)
	{
		name = NameStr(attribute->attname);
		read_column_name(find_rule("column_name"), name);
	}
	if (reef_schema_find(&table->schema, name) >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("foreign table \"%s\" names the stored column \"%s\" twice",
						RelationGetRelationName(relation), name)));

	memset(column, 0, sizeof(*column));
	column->name = pstrdup(name);
	column->type = reefpg_type_of(attribute->atttypid, attribute->atttypmod);
	column->not_null = attribute->attnotnull;
	reefpg_option_boolean(options, "bloom", &column->has_bloom);
	reefpg_option_boolean(options, "key", &is_key);
	if (is_key)
	{
		reefpg_check_key_type(attribute->atttypid, attribute->atttypmod,
							  attribute->attcollation,
							  NameStr(attribute->attname));
		column->key_position = ++(*key_count);
		column->not_null = true;
	}
	table->column_of_attribute[attribute->attnum - 1] = index;
	table->attribute_of_column[index] = attribute->attnum;
	table->schema.column_count++;
}

static void
load_columns(ReefPgTable *table, Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	int			key_count = 0;

	table->attribute_count = desc->natts;
	table->column_of_attribute = palloc(Max(1, desc->natts) * sizeof(int));
	table->attribute_of_column =
		palloc(Max(1, desc->natts) * sizeof(AttrNumber));
	table->schema.columns = palloc0(Max(1, desc->natts) * sizeof(ReefColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		List	   *options;

		table->column_of_attribute[i] = -1;
		if (attribute->attisdropped)
			continue;
		options = GetForeignColumnOptions(RelationGetRelid(relation),
										  attribute->attnum);
		if (!load_lsn_column(table, relation, attribute, options))
			load_column(table, relation, attribute, options, &key_count);
	}
	table->has_key = key_count > 0;
}

ReefPgTable *
reefpg_table_load(Relation relation, Oid userid)
{
	ForeignTable *foreign = GetForeignTable(RelationGetRelid(relation));
	ForeignServer *server = GetForeignServer(foreign->serverid);
	ReefPgTable *table = palloc0(sizeof(ReefPgTable));
	List	   *levels[2];
	int			on_conflict = REEFPG_ON_CONFLICT_ERROR;
	const char *name = reefpg_option_find(foreign->options, "namespace");

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("foreign table \"%s\" has no namespace",
						RelationGetRelationName(relation)),
				 errhint("ALTER FOREIGN TABLE %s OPTIONS (ADD namespace 'schema/table')",
						 quote_identifier(RelationGetRelationName(relation)))));
	table->relid = RelationGetRelid(relation);
	table->server = reefpg_server_load(foreign->serverid, userid);
	table->namespace_name = pstrdup(name);
	table->batch_size = 1;
	table->compression = -1;
	table->target_segment_size_kb = -1;
	table->idempotency_retention_s = -1;

	levels[0] = server->options;
	levels[1] = foreign->options;
	for (size_t i = 0; i < lengthof(levels); i++)
	{
		reefpg_option_integer(levels[i], "batch_size", &table->batch_size);
		reefpg_option_integer(levels[i], "max_staleness", &table->max_staleness_ms);
		reefpg_option_word(levels[i], "on_conflict", &on_conflict);
		reefpg_option_word(levels[i], "compression", &table->compression);
		reefpg_option_integer(levels[i], "target_segment_size",
					   &table->target_segment_size_kb);
		reefpg_option_integer(levels[i], "idempotency_retention",
							  &table->idempotency_retention_s);
	}
	/* A table cannot write where its server may not. */
	reefpg_option_boolean(foreign->options, "read_only", &table->read_only);
	table->read_only |= table->server->read_only;
	table->on_conflict = (ReefPgOnConflict) on_conflict;
	load_columns(table, relation);
	return table;
}

bool
reefpg_relation_is_updatable(Oid relid)
{
	ForeignTable *foreign = GetForeignTable(relid);
	ForeignServer *server = GetForeignServer(foreign->serverid);
	bool		updatable = true;
	bool		server_read_only = false;
	bool		table_read_only = false;

	reefpg_option_boolean(server->options, "updatable", &updatable);
	reefpg_option_boolean(foreign->options, "updatable", &updatable);
	reefpg_option_boolean(server->options, "read_only", &server_read_only);
	reefpg_option_boolean(foreign->options, "read_only", &table_read_only);
	return updatable && !server_read_only && !table_read_only;
}
