/*
 * transactions.c
 *	  Which decisions a manifest must still name.
 *
 * The record that commits a transaction over several namespaces vanishes after
 * a fold; what others may still ask about it stays in the decider's manifest,
 * from one to the next, until it is settled (settle.c).
 */
#include "engine/decide.h"

/* What a fold adds; counts only if transactions is NULL. */
static int
add_decided(const ReefHost *host, const ReefGeneration *generation,
			ReefManifestTransaction *transactions)
{
	const ReefApplied *applied = generation->first_applied;
	int			count = 0;

	for (; applied != NULL; applied = applied->next)
	{
		const ReefAppliedGroup *group = applied->group;

		if (group == NULL || group->is_dependent ||
			reef_applied_is_void(host, applied))
			continue;
		if (transactions != NULL)
		{
			ReefManifestTransaction *decided = &transactions[count];

			memcpy(decided->id, group->id, sizeof(decided->id));
			decided->lsn = applied->lsn;
			decided->time_ms = applied->time_ms;
			decided->participant_count = group->participant_count;
			decided->participants = group->participants;
		}
		count++;
	}
	return count;
}

ReefCode
reef_transactions_carry(const ReefHost *host, const ReefManifest *base,
						ReefGeneration *const *generations,
						int generation_count, ReefArena *arena,
						ReefManifest *next, ReefError *err)
{
	size_t		count = (size_t) base->transaction_count;
	int			i;

	for (i = 0; i < generation_count; i++)
		count += (size_t) add_decided(host, generations[i], NULL);
	next->transactions = reef_arena_calloc(arena, (count + 1) *
										   sizeof(*next->transactions));
	if (next->transactions == NULL)
		return reef_error_no_memory(err, count * sizeof(*next->transactions));
	if (base->transaction_count > 0)
		memcpy(next->transactions, base->transactions,
			   (size_t) base->transaction_count * sizeof(*next->transactions));
	next->transaction_count = base->transaction_count;
	for (i = 0; i < generation_count; i++)
		next->transaction_count +=
			add_decided(host, generations[i],
						next->transactions + next->transaction_count);
	return REEF_OK;
}
