/*
 * test_sign.c
 *	  Signatures, against the examples that AWS documents for S3.
 */
#include <string.h>

#include "store/sign.h"
#include "unit.h"

#define EXAMPLE_KEY "AKIAIOSFODNN7EXAMPLE"
#define EXAMPLE_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EMPTY_SHA256 \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEADERS(list) .headers = list, \
	.header_count = (int) (sizeof(list) / sizeof(list[0]))

static void
expect_signature(const ReefSigning *signing, ReefSigningKey *key,
				 const char *expected)
{
	ReefBuf		out;
	ReefError	err;

	reef_error_init(&err);
	reef_buf_init(&out);
	UNIT_OK(reef_sign(signing, EXAMPLE_KEY, EXAMPLE_SECRET, key, &out, &err),
			&err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&out), reef_slice_of_string(expected));
	reef_buf_release(&out);
}

UNIT_TEST(test_sign__the_documented_examples_come_out)
{
	static const ReefSignedHeader get[] = {
		{"host", "examplebucket.s3.amazonaws.com"}, {"range", "bytes=0-9"},
		{"x-amz-content-sha256", EMPTY_SHA256},
		{"x-amz-date", "20130524T000000Z"}
	};
	static const ReefSignedHeader list[] = {
		{"host", "examplebucket.s3.amazonaws.com"},
		{"x-amz-content-sha256", EMPTY_SHA256},
		{"x-amz-date", "20130524T000000Z"}
	};
	ReefSigning signing = {
		.method = "GET", .path = "/test.txt", .query = "", HEADERS(get),
		.content_sha256 = EMPTY_SHA256, .region = "us-east-1",
		.service = "s3", .time = "20130524T000000Z"
	};
	ReefSigningKey key = {0};

	expect_signature(&signing, &key, "AWS4-HMAC-SHA256 Credential="
					 EXAMPLE_KEY "/20130524/us-east-1/s3/aws4_request, "
					 "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
					 "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	/* with the key that was derived before */
	signing = (ReefSigning) {
		.method = "GET", .path = "/", .query = "max-keys=2&prefix=J",
		HEADERS(list), .content_sha256 = EMPTY_SHA256, .region = "us-east-1",
		.service = "s3", .time = "20130524T000000Z"
	};
	expect_signature(&signing, &key, "AWS4-HMAC-SHA256 Credential="
					 EXAMPLE_KEY "/20130524/us-east-1/s3/aws4_request, "
					 "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
					 "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
	signing.query = "lifecycle=";
	expect_signature(&signing, &key, "AWS4-HMAC-SHA256 Credential="
					 EXAMPLE_KEY "/20130524/us-east-1/s3/aws4_request, "
					 "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
					 "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

UNIT_TEST(test_sign__a_key_serves_for_its_day_only)
{
	static const ReefSignedHeader host[] = {{"host", "h"}};
	ReefSigning signing = {
		.method = "GET", .path = "/", .query = "", HEADERS(host),
		.content_sha256 = EMPTY_SHA256, .region = "r", .service = "s3",
		.time = "20261122T235959Z"
	};
	ReefSigningKey kept = {0};
	ReefSigningKey fresh = {0};
	ReefBuf		out[2];
	ReefError	err;

	reef_error_init(&err);
	reef_buf_init(&out[0]);
	reef_buf_init(&out[1]);
	UNIT_OK(reef_sign(&signing, "a", "s", &kept, &out[0], &err), &err);
	reef_buf_reset(&out[0]);
	signing.time = "20261123T000000Z";
	UNIT_OK(reef_sign(&signing, "a", "s", &kept, &out[0], &err), &err);
	UNIT_OK(reef_sign(&signing, "a", "s", &fresh, &out[1], &err), &err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&out[0]), reef_buf_slice(&out[1]));
	reef_buf_release(&out[0]);
	reef_buf_release(&out[1]);
}

UNIT_TEST(test_sign__digests_and_times_are_written_as_s3_wants_them)
{
	char		hex[REEF_SHA256_HEX_SIZE];
	char		base64[REEF_MD5_BASE64_SIZE];
	char		time[17];
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_sha256_hex(reef_slice_of_string(""), hex, &err), &err);
	UNIT_EQUAL_STRING(hex, EMPTY_SHA256);
	/* printf abc | sha256sum, md5sum | base64 */
	UNIT_OK(reef_sha256_hex(reef_slice_of_string("abc"), hex, &err), &err);
	UNIT_EQUAL_STRING(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	reef_md5_base64(reef_slice_of_string("abc"), base64);
	UNIT_EQUAL_STRING(base64, "kAFQmDzST7DWlj99KOF/cg==");
	reef_sign_time(INT64_C(1795374475999999), time);
	UNIT_EQUAL_STRING(time, "20261122T190755Z");
}
