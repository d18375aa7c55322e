/*
 * keymatch.c
 *	  Which conditions of a query narrow the range of keys to read.
 *
 * A condition is usable if its operator means in PostgreSQL what comparing
 * encoded keys means: it belongs to the B-tree family of the column's type, the
 * other side is of a type whose values the key encoding maps to the same
 * bytes, and a text comparison goes by bytes.  Equality of texts does under
 * every deterministic collation, order only under C.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "pg/compat.h"
#include "pg/keyrange.h"

static Node *
strip_relabel(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) castNode(RelabelType, node)->arg;
	return node;
}

AttrNumber
reefpg_key_var(RelOptInfo *rel, Node *node)
{
	Var		   *var;

	node = strip_relabel(node);
	if (node == NULL || !IsA(node, Var))
		return 0;
	var = castNode(Var, node);
	if (var->varno != (int) rel->relid || var->varlevelsup != 0)
		return 0;
	return var->varattno;
}

/* Types whose values have the same key bytes when they are equal. */
static Oid
representative_type(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
			return INT8OID;
		case FLOAT4OID:
			return FLOAT8OID;
		case VARCHAROID:
		case NAMEOID:
			return TEXTOID;
		case CIDROID:
			return INETOID;
		default:
			return type;
	}
}

static bool
types_agree(Oid column_type, Oid value_type)
{
	column_type = getBaseType(column_type);
	value_type = getBaseType(value_type);
	/* The text forms of an inet and a cidr differ. */
	if (column_type == CIDROID || value_type == CIDROID)
		return column_type == value_type;
	return representative_type(column_type) == representative_type(value_type);
}

static bool
order_is_bytewise(const ReefType *type, Oid collation)
{
	if (type->kind == REEF_KIND_OTHER)
		return false;
	if (type->kind != REEF_KIND_TEXT)
		return true;
	/* Keys are UTF-8, whatever the database's encoding. */
	return OidIsValid(collation) && REEFPG_COLLATE_IS_C(collation) &&
		(GetDatabaseEncoding() == PG_UTF8 ||
		 GetDatabaseEncoding() == PG_SQL_ASCII);
}

/* Is "value" known before a row of the relation is? */
static bool
value_is_usable(PlannerInfo *root, RelOptInfo *rel, Node *value)
{
	return !bms_is_member(rel->relid, pull_varnos(root, value)) &&
		!contain_volatile_functions(value) && !contain_subplans(value);
}

/* The strategy of "column opno value", or InvalidStrategy. */
static int
usable_strategy(const ReefColumn *column, Oid column_type, Oid value_type,
				Oid opno, Oid collation)
{
	TypeCacheEntry *entry = lookup_type_cache(getBaseType(column_type),
											  TYPECACHE_BTREE_OPFAMILY);
	int			strategy;

	if (!OidIsValid(entry->btree_opf) || !types_agree(column_type, value_type))
		return InvalidStrategy;
	strategy = get_op_opfamily_strategy(opno, entry->btree_opf);
	if (strategy == InvalidStrategy)
		return InvalidStrategy;
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		return InvalidStrategy;
	if (strategy != BTEqualStrategyNumber &&
		!order_is_bytewise(&column->type, collation))
		return InvalidStrategy;
	return strategy;
}

static ReefPgKeyClause *
match_operator(PlannerInfo *root, RelOptInfo *rel, const ReefColumn *column,
			   AttrNumber attribute, OpExpr *clause)
{
	Node	   *left;
	Node	   *right;
	Oid			opno = clause->opno;
	ReefPgKeyClause *result;
	int			strategy;

	if (list_length(clause->args) != 2)
		return NULL;
	left = linitial(clause->args);
	right = lsecond(clause->args);
	if (reefpg_key_var(rel, left) != attribute)
	{
		Node	   *swap = left;

		left = right;
		right = swap;
		opno = get_commutator(opno);
		if (reefpg_key_var(rel, left) != attribute || !OidIsValid(opno))
			return NULL;
	}
	if (!value_is_usable(root, rel, right))
		return NULL;
	strategy = usable_strategy(column, exprType(strip_relabel(left)),
							   exprType(strip_relabel(right)), opno,
							   clause->inputcollid);
	if (strategy == InvalidStrategy)
		return NULL;
	result = palloc0(sizeof(ReefPgKeyClause));
	result->strategy = strategy;
	result->value = (Expr *) strip_relabel(right);
	return result;
}

static ReefPgKeyClause *
match_array(PlannerInfo *root, RelOptInfo *rel, const ReefColumn *column,
			AttrNumber attribute, ScalarArrayOpExpr *clause)
{
	Node	   *left = linitial(clause->args);
	Node	   *right = strip_relabel(lsecond(clause->args));
	Oid			element_type = get_base_element_type(exprType(right));
	ReefPgKeyClause *result;

	if (!clause->useOr || !OidIsValid(element_type) ||
		reefpg_key_var(rel, left) != attribute ||
		!value_is_usable(root, rel, right))
		return NULL;
	if (usable_strategy(column, exprType(strip_relabel(left)), element_type,
						clause->opno, clause->inputcollid) !=
		BTEqualStrategyNumber)
		return NULL;
	result = palloc0(sizeof(ReefPgKeyClause));
	result->strategy = BTEqualStrategyNumber;
	result->is_array = true;
	result->value = (Expr *) right;
	return result;
}

/* All usable conditions on one key column. */
static List *
match_column(PlannerInfo *root, RelOptInfo *rel, const ReefColumn *column,
			 AttrNumber attribute, List *clauses)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		ReefPgKeyClause *matched = NULL;

		if (rinfo->pseudoconstant)
			continue;
		if (is_opclause(rinfo->clause))
			matched = match_operator(root, rel, column, attribute,
									 (OpExpr *) rinfo->clause);
		else if (IsA(rinfo->clause, ScalarArrayOpExpr))
			matched = match_array(root, rel, column, attribute,
								  (ScalarArrayOpExpr *) rinfo->clause);
		if (matched == NULL)
			continue;
		matched->key_position = column->key_position;
		matched->rinfo = rinfo;
		result = lappend(result, matched);
	}
	return result;
}

List *
reefpg_key_match(PlannerInfo *root, RelOptInfo *rel, const ReefPgTable *table,
				 List *clauses)
{
	List	   *result = NIL;
	bool		has_array = false;
	int			position;

	for (position = 1;
		 position <= reef_schema_key_count(&table->schema); position++)
	{
		int			index = reef_schema_key_column(&table->schema, position);
		List	   *matched = match_column(root, rel,
										   &table->schema.columns[index],
										   table->attribute_of_column[index],
										   clauses);
		ReefPgKeyClause *equal = NULL;
		ListCell   *lc;

		foreach(lc, matched)
		{
			ReefPgKeyClause *clause = lfirst(lc);

			/* Several lists would multiply; one value beats a list. */
			if (clause->strategy == BTEqualStrategyNumber &&
				!(clause->is_array && (has_array || equal != NULL)))
				equal = clause;
		}
		if (equal == NULL)
		{
			foreach(lc, matched)
			{
				ReefPgKeyClause *clause = lfirst(lc);

				if (clause->strategy != BTEqualStrategyNumber)
					result = lappend(result, clause);
			}
			break;
		}
		has_array |= equal->is_array;
		result = lappend(result, equal);
	}
	return result;
}

bool
reefpg_key_is_complete(const ReefPgTable *table, List *matched)
{
	ReefPgKeyClause *last;

	if (matched == NIL)
		return false;
	last = llast(matched);
	return last->strategy == BTEqualStrategyNumber &&
		last->key_position == reef_schema_key_count(&table->schema);
}

List *
reefpg_key_to_plan(List *matched, List **values)
{
	List	   *result = NIL;
	ListCell   *lc;

	*values = NIL;
	foreach(lc, matched)
	{
		ReefPgKeyClause *clause = lfirst(lc);

		result = lappend(result, list_make3_int(clause->key_position,
												clause->strategy,
												clause->is_array));
		*values = lappend(*values, clause->value);
	}
	return result;
}
