/*
 * import.c
 *	  IMPORT FOREIGN SCHEMA: tables for the namespaces that exist.
 *
 * What a namespace looks like is read from its manifest, which somebody else
 * may have written.  So nothing of it goes into SQL as it is: names are
 * quoted, and a type is parsed and named anew, which also finds out whether
 * this database has it.  If not, importing it as text would make a table that
 * cannot be read, because the engine compares type names; that is an error.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "pg/fdw.h"
#include "pg/reef_fdw.h"
#include "store/store.h"

/* Names are collected first: nothing may be raised from inside the engine. */
typedef struct NameList
{
	char	  **names;
	size_t		count;
	size_t		capacity;
} NameList;

static ReefCode
collect_name(void *arg, const char *name, ReefError *err)
{
	NameList   *list = arg;

	if (list->count == list->capacity)
	{
		size_t		capacity = list->capacity * 2 + 16;
		char	  **names = realloc(list->names, capacity * sizeof(char *));

		if (names == NULL)
			return reef_error_no_memory(err, capacity * sizeof(char *));
		list->names = names;
		list->capacity = capacity;
	}
	list->names[list->count] = strdup(name);
	if (list->names[list->count] == NULL)
		return reef_error_no_memory(err, strlen(name) + 1);
	list->count++;
	return REEF_OK;
}

static void
release_names(void *arg)
{
	NameList   *list = arg;

	for (size_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
}

static NameList *
list_namespaces(const ReefPgServer *server, const char *schema)
{
	NameList   *list = palloc0(sizeof(NameList));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	ReefError	err;

	callback->func = release_names;
	callback->arg = list;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	reef_error_init(&err);
	REEFPG_CHECK(reef_store_namespaces(reefpg_store_get(server), schema,
									   collect_name, list, &err),
				 &err, NULL);
	return list;
}

/* The column's type as this database writes it. */
static char *
import_type(const ReefColumn *column, const char *namespace_name)
{
	Oid			type;
	int32		typmod;

	if (column->type.pg_type == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("column \"%s\" of namespace \"%s\" has no type",
						column->name, namespace_name)));
	type = reefpg_type_parse(column->type.pg_type, &typmod);
	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"%s\" does not exist", column->type.pg_type),
				 errdetail("Column \"%s\" of namespace \"%s\" has this type.",
						   column->name, namespace_name),
				 errhint("Create the type, or leave the table out with EXCEPT.")));
	return format_type_extended(type, typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN |
								FORMAT_TYPE_FORCE_QUALIFY);
}

static const char *
import_identifier(const char *name)
{
	char	   *clipped = pstrdup(name);

	if (strlen(clipped) >= NAMEDATALEN)
		clipped[pg_mbcliplen(clipped, strlen(clipped), NAMEDATALEN - 1)] = '\0';
	return quote_identifier(clipped);
}

static void
append_column(StringInfo sql, const ReefColumn *column,
			  const char *namespace_name)
{
	const char *separator = "";

	appendStringInfo(sql, "\n\t%s %s", import_identifier(column->name),
					 import_type(column, namespace_name));
	if (column->key_position > 0 || column->has_bloom ||
		strlen(column->name) >= NAMEDATALEN)
	{
		appendStringInfoString(sql, " OPTIONS (");
		if (column->key_position > 0)
		{
			appendStringInfoString(sql, "key 'true'");
			separator = ", ";
		}
		if (column->has_bloom)
		{
			appendStringInfo(sql, "%sbloom 'true'", separator);
			separator = ", ";
		}
		if (strlen(column->name) >= NAMEDATALEN)
			appendStringInfo(sql, "%scolumn_name %s", separator,
							 quote_literal_cstr(column->name));
		appendStringInfoChar(sql, ')');
	}
	if (column->not_null || column->key_position > 0)
		appendStringInfoString(sql, " NOT NULL");
}

/* A key's order is the order of its columns in the table. */
static bool
key_is_in_order(const ReefSchema *schema)
{
	int			last = 0;

	for (int i = 0; i < schema->column_count; i++)
	{
		if (schema->columns[i].key_position == 0)
			continue;
		if (schema->columns[i].key_position < last)
			return false;
		last = schema->columns[i].key_position;
	}
	return true;
}

static void
append_columns(StringInfo sql, const ReefSchema *schema,
			   const char *namespace_name)
{
	bool		in_order = key_is_in_order(schema);
	const char *separator = "";

	if (!in_order)
	{
		for (int i = 1; i <= reef_schema_key_count(schema); i++)
		{
			appendStringInfoString(sql, separator);
			append_column(sql,
						  &schema->columns[reef_schema_key_column(schema, i)],
						  namespace_name);
			separator = ",";
		}
	}
	for (int i = 0; i < schema->column_count; i++)
	{
		const ReefColumn *column = &schema->columns[i];

		/* The hidden key belongs to tables that declare none. */
		if (strcmp(column->name, REEF_HIDDEN_KEY_COLUMN) == 0 ||
			(!in_order && column->key_position > 0))
			continue;
		appendStringInfoString(sql, separator);
		append_column(sql, column, namespace_name);
		separator = ",";
	}
}

static char *
import_table(const ReefPgServer *server, const char *namespace_name,
			 const char *table_name, const char *server_name)
{
	ReefNamespace *ns = reefpg_namespace_get(server, namespace_name);
	ReefPgTable no_options = {0};
	ReefView   *view = reefpg_view_pin(ns, &no_options, NULL,
									   CurrentMemoryContext);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s (",
					 import_identifier(table_name));
	append_columns(&sql, reef_view_schema(view), namespace_name);
	appendStringInfo(&sql, ")\nSERVER %s OPTIONS (namespace %s)",
					 quote_identifier(server_name),
					 quote_literal_cstr(namespace_name));
	reefpg_view_release(view);
	return sql.data;
}

List *
reefImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid serverOid)
{
	ReefPgServer *server = reefpg_server_load(serverOid, GetUserId());
	size_t		schema_size = strlen(stmt->remote_schema);
	List	   *commands = NIL;
	NameList   *list;

	if (stmt->options != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"",
						linitial_node(DefElem, stmt->options)->defname),
				 errhint("There are no valid options in this context.")));
	reefpg_server_check_use(server);
	list = list_namespaces(server, stmt->remote_schema);
	for (size_t i = 0; i < list->count; i++)
	{
		const char *name = list->names[i];
		const char *table_name;

		if (strncmp(name, stmt->remote_schema, schema_size) != 0 ||
			name[schema_size] != '/')
			continue;
		table_name = name + schema_size + 1;
		if (IsImportableForeignTable(table_name, stmt))
			commands = lappend(commands,
							   import_table(server, name, table_name,
											stmt->server_name));
	}
	return commands;
}
