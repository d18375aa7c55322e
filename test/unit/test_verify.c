/*
 * test_verify.c
 *	  Damage is found, named, and never read as data.
 */
#include <stdio.h>
#include <stdlib.h>

#include "damage_fixture.h"
#include "unit.h"

UNIT_TEST(test_verify__a_sound_namespace_has_no_findings)
{
	DamageNamespace made;
	DamageReport report;
	DamageRows	rows;
	DamageRows	expected;
	ReefError	err;

	damage_namespace_make(&made);
	damage_expect(0, 0, &expected);
	UNIT_OK(damage_read(made.bucket, &rows, &err), &err);
	UNIT_CHECK(damage_rows_equal(&rows, &expected));
	UNIT_OK(damage_verify(made.bucket, false, &report, &err), &err);
	UNIT_EQUAL_STRING(report.details, "");
	UNIT_OK(damage_verify(made.bucket, true, &report, &err), &err);
	UNIT_EQUAL_STRING(report.details, "");
	UNIT_EQUAL_INT(report.infos, 0);
	reef_memory_bucket_free(made.bucket);
}

/*
 * One bit of an object is wrong: verify says so and names the object, and who
 * opens the namespace gets the right rows or an error, never other rows [I10].
 */
static void
check_flip(ReefMemoryBucket *bucket, const char *key, size_t offset,
		   uint8_t mask, const DamageRows *expected)
{
	DamageReport report;
	DamageRows	rows;
	ReefError	err;
	ReefCode	rc;

	UNIT_CHECK(reef_memory_bucket_flip(bucket, key, offset, mask));
	/* checksums alone find it too */
	UNIT_OK(damage_verify(bucket, unit_random_below(2) == 0, &report, &err),
			&err);
	if (report.errors + report.warnings + report.infos == 0)
		UNIT_FAIL("bit %02x of byte %zu of %s is not noticed", mask, offset,
				  key);
	if (report.errors + report.warnings > 0 &&
		strstr(report.objects, key) == NULL)
		UNIT_FAIL("bit %02x of byte %zu of %s is blamed on %s", mask, offset,
				  key, report.objects);
	rc = damage_read(bucket, &rows, &err);
	if (rc == REEF_OK && !damage_rows_equal(&rows, expected))
		UNIT_FAIL("bit %02x of byte %zu of %s gives wrong rows", mask, offset,
				  key);
	/* another format version is all that is not damage */
	if (rc != REEF_OK && rc != REEF_CORRUPT && rc != REEF_UNSUPPORTED)
		UNIT_FAIL("bit %02x of byte %zu of %s gives %s", mask, offset, key,
				  reef_code_name(rc));
	/* of a manifest the next older one is tried, which leads elsewhere */
	if (rc != REEF_OK && strstr(key, "manifest") == NULL &&
		strstr(err.detail, key) == NULL)
		UNIT_FAIL("bit %02x of byte %zu of %s is said to be: %s", mask, offset,
				  key, err.detail);
	UNIT_CHECK(reef_memory_bucket_flip(bucket, key, offset, mask));
}

/* Some bit of one byte in five; every bit of every byte if REEF_TEST_EXHAUSTIVE
 * is set. */
UNIT_TEST(test_verify__every_flipped_bit_is_found_i10)
{
	bool		is_exhaustive = getenv("REEF_TEST_EXHAUSTIVE") != NULL;
	DamageNamespace made;
	DamageRows	expected;
	uint64_t	flips = 0;

	damage_namespace_make(&made);
	damage_expect(0, 0, &expected);
	for (size_t i = 0; i < reef_memory_bucket_count(made.bucket); i++)
	{
		char		key[REEF_OBJECT_KEY_SIZE];
		size_t		size;

		snprintf(key, sizeof(key), "%s",
				 reef_memory_bucket_key(made.bucket, i));
		size = reef_memory_bucket_bytes(made.bucket, key).size;
		for (size_t offset = 0; offset < size;
			 offset += is_exhaustive ? 1 : 1 + (size_t) unit_random_below(9))
		{
			int			first = (int) unit_random_below(8);
			int			bits = is_exhaustive ? 8 : 1;

			for (int bit = 0; bit < bits; bit++, flips++)
				check_flip(made.bucket, key, offset,
						   (uint8_t) (1 << (first + bit) % 8), &expected);
		}
	}
	if (is_exhaustive)
		printf("%llu single-bit flips, all found\n",
			   (unsigned long long) flips);
	reef_memory_bucket_free(made.bucket);
}

UNIT_TEST(test_verify__nothing_is_a_sound_namespace)
{
	ReefMemoryBucket *bucket = reef_memory_bucket_new();
	DamageReport report;
	ReefError	err;

	UNIT_OK(damage_verify(bucket, true, &report, &err), &err);
	UNIT_EQUAL_INT(report.count + report.infos, 0);
	UNIT_OK(damage_repair(bucket, false, &report, &err), &err);
	UNIT_EQUAL_INT(report.count, 0);
	UNIT_EQUAL_INT(reef_memory_bucket_count(bucket), 0);
	reef_memory_bucket_free(bucket);
}

/* ---- others go on ---- */

typedef struct Intruder
{
	ReefMemoryBucket *bucket;
	uint64_t	calls;			/* before it acts */
	bool		has_acted;
} Intruder;

/* Another server folds and collects between two requests of ours. */
static ReefFault
intrude(void *arg, ReefFaultyCall call, const char *key)
{
	Intruder   *intruder = arg;
	Cluster    *cluster;

	(void) call;
	(void) key;
	if (intruder->has_acted || intruder->calls-- > 0)
		return REEF_FAULT_NONE;
	intruder->has_acted = true;
	cluster = cluster_open(intruder->bucket, 3);
	UNIT_CHECK(cluster_fold(cluster).folded);
	bucket_collect(intruder->bucket, cluster);
	cluster_close(cluster);
	return REEF_FAULT_NONE;
}

static ReefCode
refuse_finding(void *arg, const ReefFinding *finding, ReefError *err)
{
	(void) arg;
	(void) err;
	if (finding->severity != REEF_SEVERITY_INFO)
		UNIT_FAIL("%s: %s %s", finding->object, finding->check_name,
				  finding->detail);
	return REEF_OK;
}

UNIT_TEST(test_verify__what_is_folded_and_collected_meanwhile_is_no_finding)
{
	Intruder	intruder = {.has_acted = true};
	DamageNamespace made;
	uint64_t	calls = 0;

	damage_namespace_make(&made);
	do
	{
		ReefMemoryBucket *bucket = damage_bucket_clone(made.bucket);
		Cluster    *cluster = cluster_open(bucket, 8);
		ReefError	err;

		intruder = (Intruder) {.bucket = bucket,.calls = calls++};
		reef_error_init(&err);
		reef_faulty_store_set_hook(cluster->faulty, intrude, &intruder);
		UNIT_OK(reef_verify(cluster->ns, true, refuse_finding, NULL, &err),
				&err);
		cluster_close(cluster);
		reef_memory_bucket_free(bucket);
	} while (intruder.has_acted);
	UNIT_CHECK(calls > 40);
	reef_memory_bucket_free(made.bucket);
}

/* ---- stopping ---- */

UNIT_TEST(test_verify__can_be_cancelled_and_writes_nothing)
{
	DamageNamespace made;
	Cluster    *cluster;
	size_t		count;
	ReefError	err;

	damage_namespace_make(&made);
	count = reef_memory_bucket_count(made.bucket);
	cluster = cluster_open(made.bucket, 8);
	fake_host_cancel(cluster->fake, true);
	reef_error_init(&err);
	UNIT_CODE(reef_verify(cluster->ns, true, refuse_finding, NULL, &err),
			  REEF_CANCELLED, &err);
	fake_host_cancel(cluster->fake, false);
	UNIT_OK(reef_verify(cluster->ns, true, refuse_finding, NULL, &err), &err);
	UNIT_EQUAL_INT(reef_faulty_store_calls_of(cluster->faulty,
											  REEF_FAULTY_PUT), 0);
	UNIT_EQUAL_INT(reef_memory_bucket_count(made.bucket), count);
	cluster_close(cluster);
	reef_memory_bucket_free(made.bucket);
}
