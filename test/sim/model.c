/*
 * model.c
 *	  The oracle: which transactions there are, and what must be true of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

static ReefColumn columns[] = {
	{
		.name = "id",
		.type = {.kind = REEF_KIND_INT64, .length = -1, .pg_type = "bigint"},
		.key_position = 1,
		.not_null = true
	},
	{
		.name = "v",
		.type = {.kind = REEF_KIND_TEXT, .length = -1, .pg_type = "text"}
	}
};

const ReefSchema sim_schema = {2, columns};

/* ---- transactions ---- */

int
sim_txn_new(Sim *sim, int ns)
{
	SimTxn	   *txn;

	if (sim->txn_count == SIM_TXNS_MAX)
		return -1;
	txn = &sim->txns[sim->txn_count];
	memset(txn, 0, sizeof(*txn));
	txn->ns = ns;
	return sim->txn_count++;
}

void
sim_txn_settle(Sim *sim, int number, SimFate fate)
{
	static const char *const names[] = {
		"never asked", "asked", "acknowledged", "failed", "unknown",
		"void in the heap", "rolled back late", "void"
	};
	SimTxn	   *txn = &sim->txns[number];

	txn->fate = fate;
	if (fate == SIM_FATE_ASKED)
		return;
	sim->fates_changed = true;
	if (fate == SIM_FATE_ACKED)
		sim->counts->acked++;
	sim_trace(sim, "t%d is %s", number, names[fate]);
}

void
sim_value_text(char text[32], int txn, int key)
{
	snprintf(text, 32, "t%d.%d", txn, key);
}

/* ---- reading ---- */

/* A scan has no order, so the sum must not depend on it. */
static void
mix(SimRows *rows, int64_t id, uint64_t lsn, int txn)
{
	uint64_t	state = (uint64_t) id * 31 + lsn * 1000003 + (uint64_t) txn;

	rows->hash += sim_random_next(&state);
}

/* "t<txn>.<key>" */
static bool
parse_value(const ReefValue *value, int64_t key, int *txn)
{
	char		text[32];
	char	   *end;

	if (value->is_null || value->as.bytes.size >= sizeof(text) ||
		value->as.bytes.size < 2)
		return false;
	memcpy(text, value->as.bytes.data, value->as.bytes.size);
	text[value->as.bytes.size] = '\0';
	*txn = (int) strtol(text + 1, &end, 10);
	return text[0] == 't' && *end == '.' &&
		strtol(end + 1, &end, 10) == key && *end == '\0';
}

static ReefCode
note_row(const Sim *sim, SimRows *rows, int64_t id, const ReefValue *value,
		 uint64_t lsn, ReefError *err)
{
	bool		is_known = lsn != 0;
	int			txn = 0;

	rows->found_count++;
	if (id == SIM_EXTRA_ID)
	{
		rows->has_extra = true;
		return REEF_OK;
	}
	if (id >= SIM_MARKER_BASE)
	{
		txn = (int) (id - SIM_MARKER_BASE);
		is_known &= txn < sim->txn_count && rows->present[txn] == 0;
		if (is_known)
			rows->present[txn] = lsn;
	}
	else if (id >= SIM_BULK_BASE)
	{
		txn = (int) ((id - SIM_BULK_BASE) / 1000);
		is_known &= txn < sim->txn_count && sim->txns[txn].is_bulk &&
			(rows->bulk[txn] == 0 || rows->bulk_lsn[txn] == lsn);
		if (is_known)
		{
			rows->bulk[txn]++;
			rows->bulk_lsn[txn] = lsn;
		}
	}
	else
	{
		is_known &= id >= 0 && id < SIM_KEYS && rows->rows[id].lsn == 0 &&
			parse_value(value, id, &txn) && txn >= 0 && txn < sim->txn_count;
		if (is_known)
		{
			rows->rows[id].lsn = lsn;
			rows->rows[id].txn = txn;
		}
	}
	mix(rows, id, lsn, txn);
	if (!is_known)
		return reef_error_set(err, REEF_BUG,
							  "a row that nobody has written",
							  "id %lld, lsn %llu", (long long) id,
							  (unsigned long long) lsn);
	return REEF_OK;
}

static ReefCode
read_all(ReefScan *scan, const Sim *sim, SimRows *rows, ReefError *err)
{
	ReefBatch  *batch;

	REEF_TRY(reef_scan_restart(scan, NULL, err));
	do
	{
		REEF_TRY(reef_scan_next(scan, &batch, err));
		for (int i = 0; i < batch->row_count; i++)
		{
			int			position = batch->selection == NULL ? i :
				batch->selection[i];
			ReefValue	id;
			ReefValue	value;

			reef_vector_get(&batch->columns[0], position, &id);
			reef_vector_get(&batch->columns[1], position, &value);
			REEF_TRY(note_row(sim, rows, id.as.int64, &value,
							  (uint64_t) batch->lsns[position], err));
		}
	} while (batch->row_count > 0);
	return REEF_OK;
}

ReefCode
sim_rows_read(ReefView *view, const Sim *sim, SimRows *rows, ReefError *err)
{
	ReefScanSpec spec = {
		.columns = columns, .column_count = 2, .want_lsns = true
	};
	ReefScan   *scan;
	ReefCode	rc;

	memset(rows, 0, sizeof(*rows));
	REEF_TRY(reef_scan_open(view, &spec, &scan, err));
	rc = read_all(scan, sim, rows, err);
	reef_scan_close(scan);
	rows->row_count = reef_view_row_count(view);
	return rc;
}

/* ---- judging ---- */

typedef struct Placed
{
	uint64_t	lsn;
	int			txn;
} Placed;

static int
compare_placed(const void *a, const void *b)
{
	const Placed *x = a;
	const Placed *y = b;

	if (x->lsn != y->lsn)
		return x->lsn < y->lsn ? -1 : 1;
	return x->txn - y->txn;
}

static void
apply(Sim *sim, int number, const SimRows *rows, SimRow *model,
	  const char *who)
{
	const SimTxn *txn = &sim->txns[number];
	uint64_t	lsn = rows->present[number];

	if (txn->is_bulk && (rows->bulk[number] != SIM_BULK_ROWS ||
						 rows->bulk_lsn[number] != lsn))
		sim_violation(sim, "I2", "%s finds %d of %d rows of t%d, of record %llu, in record %llu",
					  who, rows->bulk[number], SIM_BULK_ROWS, number,
					  (unsigned long long) lsn,
					  (unsigned long long) rows->bulk_lsn[number]);
	for (int i = 0; i < txn->op_count; i++)
	{
		const SimOp *op = &txn->ops[i];
		SimRow	   *row = &model[op->key];

		/* absent is LSN 0 here and there */
		if (row->lsn != op->base_lsn)
			sim_violation(sim, "I7", "%s finds t%d, which changed key %d as record %llu had left it, but it was of record %llu",
						  who, number, op->key,
						  (unsigned long long) op->base_lsn,
						  (unsigned long long) row->lsn);
		row->lsn = op->kind == REEF_OP_DELETE ? 0 : lsn;
		row->txn = op->kind == REEF_OP_DELETE ? 0 : number;
	}
}

void
sim_key_is_known(Sim *sim, int ns, int key)
{
	for (int i = 0; i < sim->txn_count; i++)
	{
		const SimTxn *txn = &sim->txns[i];

		if (txn->key == key && txn->ns == ns &&
			txn->fate != SIM_FATE_NEVER && txn->fate != SIM_FATE_FAILED)
			return;
	}
	sim_violation(sim, "I6", "key %d is known, and nobody has used it", key);
}

static void
judge_keys(Sim *sim, const SimRows *rows, const char *who)
{
	int			users[SIM_IDEMPOTENCY_KEYS + 1] = {0};

	for (int i = 0; i < sim->txn_count; i++)
	{
		int			key = sim->txns[i].key;

		if (rows->present[i] == 0 || key == 0)
			continue;
		if (users[key] != 0)
			sim_violation(sim, "I6", "%s finds t%d and t%d, both with key %d",
						  who, users[key] - 1, i, key);
		users[key] = i + 1;
	}
}

void
sim_rows_judge(Sim *sim, int ns, const SimRows *rows, const char *who)
{
	Placed		placed[SIM_TXNS_MAX];
	SimRow		model[SIM_KEYS] = {{0}};
	int			count = 0;

	for (int i = 0; i < sim->txn_count; i++)
	{
		if (rows->present[i] == 0)
		{
			if (rows->bulk[i] > 0)
				sim_violation(sim, "I2", "%s finds %d rows of t%d without the rest",
							  who, rows->bulk[i], i);
			continue;
		}
		if (sim->txns[i].ns != ns)
			sim_violation(sim, "I2", "%s finds t%d in the wrong namespace",
						  who, i);
		placed[count].lsn = rows->present[i];
		placed[count++].txn = i;
	}
	qsort(placed, (size_t) count, sizeof(placed[0]), compare_placed);
	for (int i = 0; i < count; i++)
		apply(sim, placed[i].txn, rows, model, who);
	for (int key = 0; key < SIM_KEYS; key++)
	{
		const SimRow *row = &rows->rows[key];

		if (row->lsn != model[key].lsn || row->txn != model[key].txn)
			sim_violation(sim, "I2", "%s finds key %d of t%d, record %llu; it should be of t%d, record %llu",
						  who, key, row->txn, (unsigned long long) row->lsn,
						  model[key].txn,
						  (unsigned long long) model[key].lsn);
	}
	judge_keys(sim, rows, who);
	if (rows->row_count != rows->found_count)
		sim_violation(sim, "I8", "%s finds %llu rows, but there should be %llu",
					  who, (unsigned long long) rows->found_count,
					  (unsigned long long) rows->row_count);
}

/*
 * The heap part of a coupled transaction is void.  Its own lineage, if it comes
 * back before anybody else has fenced the namespace, must void the rest.
 */
static bool
is_void_by_heap(const Sim *sim, const SimTxn *txn, uint64_t lsn)
{
	const SimFence *first = NULL;

	for (int i = 0; i < sim->fence_count; i++)
	{
		const SimFence *fence = &sim->fences[i];

		if (fence->ns == txn->ns && fence->lsn > lsn &&
			fence->cluster != txn->cluster &&
			(first == NULL || fence->lsn < first->lsn))
			first = fence;
	}
	if (first == NULL)
		return sim->life_lineage == txn->lineage;
	return sim->cluster_lineages[first->cluster] == txn->lineage;
}

static void
judge_absent(Sim *sim, int number, const char *who)
{
	const SimTxn *txn = &sim->txns[number];

	if (txn->fate == SIM_FATE_ACKED)
		sim_violation(sim, "I1", "t%d was acknowledged, and %s does not find it",
					  number, who);
	if (txn->fate == SIM_FATE_UNKNOWN && txn->was_seen)
		sim_violation(sim, "I1", "t%d was there, and %s does not find it any more",
					  number, who);
}

static void
judge_present(Sim *sim, int number, SimFate fate, uint64_t lsn,
			  const char *who)
{
	SimTxn	   *txn = &sim->txns[number];

	if (txn->fate == SIM_FATE_NEVER || txn->fate == SIM_FATE_FAILED)
		sim_violation(sim, "I3", "t%d failed, and %s finds it in record %llu",
					  number, who, (unsigned long long) lsn);
	if (fate == SIM_FATE_VOIDED)
		sim_violation(sim, "I3", "t%d was rolled back, and %s finds it in record %llu",
					  number, who, (unsigned long long) lsn);
	if (txn->lsn != 0 && txn->lsn != lsn)
		sim_violation(sim, "I4", "t%d is in record %llu, and %s finds it in %llu",
					  number, (unsigned long long) txn->lsn, who,
					  (unsigned long long) lsn);
	if (fate == SIM_FATE_COUPLED && is_void_by_heap(sim, txn, lsn))
		sim_violation(sim, "I2", "the heap part of t%d is void, and %s finds it in record %llu",
					  number, who, (unsigned long long) lsn);
}

void
sim_fates_judge(Sim *sim, int ns, const SimRows *rows, bool is_real,
				const char *who)
{
	for (int i = 0; i < sim->txn_count; i++)
	{
		SimTxn	   *txn = &sim->txns[i];

		if (txn->ns != ns)
			continue;
		if (rows->present[i] == 0)
			judge_absent(sim, i, who);
		else
		{
			judge_present(sim, i, txn->fate, rows->present[i], who);
			if (is_real)
				txn->lsn = rows->present[i];
			txn->was_seen |= is_real;
		}
	}
}

void
sim_fates_judge_own(SimCluster *cluster, int ns, const SimRows *rows,
					const SimFate *when, int count)
{
	Sim		   *sim = cluster->sim;

	for (int i = 0; i < count; i++)
	{
		const SimTxn *txn = &sim->txns[i];
		bool		is_own = txn->cluster == cluster->number;

		if (txn->ns != ns)
			continue;
		/* what others did after the view was pinned it need not know */
		if (rows->present[i] != 0)
			judge_present(sim, i, is_own ? when[i] : SIM_FATE_UNKNOWN,
						  rows->present[i], "a reader");
		else if (when[i] == SIM_FATE_ACKED && is_own)
			sim_violation(sim, "I1", "t%d was acknowledged, and a later reader of its server does not find it",
						  i);
	}
}
