/*
 * test_s3_xml.c
 *	  What S3 stores answer, and what must not pass for such an answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/s3_xml.h"
#include "unit.h"

typedef struct Seen
{
	ReefBuf		text;			/* "key size time;" and so on */
	int			stop_after;		/* objects; 0: never */
} Seen;

static ReefCode
visit_object(void *arg, const char *key, uint64_t size, int64_t modified_us,
			 ReefError *err)
{
	Seen	   *seen = arg;

	reef_buf_printf(&seen->text, "%s %llu %lld;", key,
					(unsigned long long) size, (long long) modified_us);
	if (seen->stop_after > 0 && --seen->stop_after == 0)
		return reef_error_set(err, REEF_LIMIT, "enough", NULL);
	return REEF_OK;
}

static ReefCode
visit_delete(void *arg, const char *key, const char *code,
			 const char *message, ReefError *err)
{
	Seen	   *seen = arg;

	(void) err;
	reef_buf_printf(&seen->text, "%s %s %s;", key, code ? code : "deleted",
					message ? message : "-");
	return REEF_OK;
}

static ReefCode
read_list(const char *document, Seen *seen, ReefS3Page *page, ReefError *err)
{
	reef_error_init(err);
	reef_buf_init(&seen->text);
	return reef_s3_xml_read_list(reef_slice_of_string(document), visit_object,
								 seen, page, err);
}

static void
expect_seen(Seen *seen, const char *expected)
{
	UNIT_EQUAL_BYTES(reef_buf_slice(&seen->text),
					 reef_slice_of_string(expected));
	reef_buf_release(&seen->text);
}

#define OBJECT(key, size, time) \
	"<Contents><Key>" key "</Key><LastModified>" time "</LastModified>" \
	"<ETag>&quot;x&quot;</ETag><Size>" size "</Size></Contents>"
#define LIST(rest) \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
	"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" \
	rest "</ListBucketResult>"
#define END "<IsTruncated>false</IsTruncated>"

UNIT_TEST(test_s3_xml__a_page_of_a_list_is_read)
{
	Seen		seen = {0};
	ReefS3Page	page;
	ReefError	err;

	UNIT_OK(read_list(LIST("<Name>b</Name>\n  <IsTruncated>true</IsTruncated>"
						   "<NextContinuationToken>1+/x==</NextContinuationToken>"
						   OBJECT("a/1", "0", "1970-01-01T00:00:00.000Z")
						   "\n\t"
						   OBJECT("a/2", "9223372036854775807",
								  "2026-11-22T19:07:55.123Z")),
					  &seen, &page, &err), &err);
	/* date -d 2026-11-22T19:07:55Z +%s = 1795374475 */
	expect_seen(&seen, "a/1 0 0;a/2 9223372036854775807 1795374475123000;");
	UNIT_CHECK(page.is_truncated);
	UNIT_EQUAL_STRING(page.next_token, "1+/x==");

	UNIT_OK(read_list(LIST(END), &seen, &page, &err), &err);
	expect_seen(&seen, "");
	UNIT_CHECK(!page.is_truncated);
}

UNIT_TEST(test_s3_xml__prefixes_entities_and_escapes_are_understood)
{
	Seen		seen = {0};
	ReefS3Page	page;
	ReefError	err;

	UNIT_OK(read_list("<s:ListBucketResult xmlns:s=\"urn:x\">"
					  "<s:IsTruncated>false</s:IsTruncated>"
					  "<s:Contents><s:Key>a&amp;&lt;&#62;&#x41;%41+</s:Key>"
					  "<s:LastModified>2000-02-29T00:00:00Z</s:LastModified>"
					  "<s:Size>1</s:Size></s:Contents>"
					  "</s:ListBucketResult>", &seen, &page, &err), &err);
	expect_seen(&seen, "a&<>A%41+ 1 951782400000000;");

	/* Only where the answer says so, wherever it does */
	UNIT_OK(read_list(LIST(OBJECT("a%41%20b+c%C3%BC%2F", "1",
								  "2000-02-29T00:00:00Z") END
						   "<EncodingType>url</EncodingType>"),
					  &seen, &page, &err), &err);
	expect_seen(&seen, "aA b c\xc3\xbc/ 1 951782400000000;");
}

UNIT_TEST(test_s3_xml__a_list_that_is_not_whole_is_refused)
{
#define TIME "2026-11-22T19:07:55Z"
	static const char *const bad[] = {
		"", " ", "<", "not xml", "<ListBucketResult>",
		LIST(""), LIST("<IsTruncated>maybe</IsTruncated>"),
		LIST("<IsTruncated>true</IsTruncated>"),
		LIST(END OBJECT("a", "", TIME)), LIST(END OBJECT("a", "-1", TIME)),
		LIST(END OBJECT("a", "9223372036854775808", TIME)),
		LIST(END OBJECT("a", "1x", TIME)), LIST(END OBJECT("a", "1", "")),
		LIST(END OBJECT("a", "1", "2026-13-01T00:00:00Z")),
		LIST(END OBJECT("a", "1", "2026-11-22 19:07:55")),
		LIST(END OBJECT("a", "1", "2026-11-22T19:07:55.Z")),
		LIST(END OBJECT("a", "1", "2026-11-22T19:07:55+01:00")),
		LIST(END "<Contents><Size>1</Size><LastModified>" TIME
			 "</LastModified></Contents>"),
		LIST(END "<EncodingType>url</EncodingType>" OBJECT("%4", "1", TIME)),
		LIST(END "<EncodingType>url</EncodingType>" OBJECT("%00", "1", TIME)),
		LIST(END) "<more/>", LIST(END "<Key>\xff</Key>"), LIST(END "<a></b>"),
		"<Error><Code>NoSuchBucket</Code></Error>",
		LIST(END "<a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a>")
	};
	Seen		seen = {0};
	ReefS3Page	page;
	ReefError	err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		UNIT_CODE(read_list(bad[i], &seen, &page, &err), REEF_CORRUPT, &err);
		UNIT_CHECK(err.detail[0] != '\0');
		reef_buf_release(&seen.text);
	}
}

UNIT_TEST(test_s3_xml__a_visitor_ends_the_reading)
{
	Seen		seen = {.stop_after = 1};
	ReefS3Page	page;
	ReefError	err;

	UNIT_CODE(read_list(LIST(END OBJECT("a", "1", "2000-02-29T00:00:00Z")
							 OBJECT("b", "1", "2000-02-29T00:00:00Z")),
						&seen, &page, &err), REEF_LIMIT, &err);
	expect_seen(&seen, "a 1 951782400000000;");
}

UNIT_TEST(test_s3_xml__entities_of_the_documents_own_are_refused)
{
	static const char *const bad[] = {
		"<!DOCTYPE Error [<!ENTITY x \"NoSuchKey\">]>"
		"<Error><Code>&x;</Code></Error>",
		"<!DOCTYPE Error SYSTEM \"file:///etc/passwd\">"
		"<Error><Code>x</Code></Error>",
		"<!DOCTYPE Error [<!ENTITY a \"aaaaaaaaaa\">"
		"<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
		"<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">]>"
		"<Error><Code>&c;</Code></Error>",
		"<Error><Code>&unknown;</Code></Error>"
	};
	ReefS3Fault fault;
	ReefError	err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		reef_error_init(&err);
		UNIT_CODE(reef_s3_xml_read_error(reef_slice_of_string(bad[i]), &fault,
										 &err), REEF_CORRUPT, &err);
		UNIT_EQUAL_STRING(fault.code, "");
	}
}

UNIT_TEST(test_s3_xml__an_error_says_its_code_and_request)
{
	ReefS3Fault fault;
	ReefError	err;
	ReefBuf		long_text;

	UNIT_OK(reef_s3_xml_read_error(reef_slice_of_string(
														"<Error><Code>AuthorizationHeaderMalformed</Code>"
														"<Message>the region &apos;x&apos; is wrong</Message>"
														"<Region>eu-west-1</Region><RequestId>4442587FB7D0A2F9</RequestId>"
														"</Error>"), &fault, &err), &err);
	UNIT_EQUAL_STRING(fault.code, "AuthorizationHeaderMalformed");
	UNIT_EQUAL_STRING(fault.message, "the region 'x' is wrong");
	UNIT_EQUAL_STRING(fault.region, "eu-west-1");
	UNIT_EQUAL_STRING(fault.request_id, "4442587FB7D0A2F9");

	/* RGW sends no message with some errors. */
	UNIT_OK(reef_s3_xml_read_error(reef_slice_of_string(
														"<Error><Code>NoSuchKey</Code><Message></Message></Error>"),
								   &fault, &err), &err);
	UNIT_EQUAL_STRING(fault.message, "");
	reef_error_init(&err);
	UNIT_CODE(reef_s3_xml_read_error(reef_slice_of_string("<Error/>"), &fault,
									 &err), REEF_CORRUPT, &err);

	/* A long message is cut between two characters, a huge one refused. */
	reef_buf_init(&long_text);
	reef_buf_printf(&long_text, "<Error><Code>x</Code><Message>");
	for (int i = 0; i < 200; i++)
		reef_buf_printf(&long_text, "\xc3\xbc");
	reef_buf_printf(&long_text, "</Message></Error>");
	UNIT_OK(reef_s3_xml_read_error(reef_buf_slice(&long_text), &fault, &err),
			&err);
	UNIT_EQUAL_INT(strlen(fault.message), 254);
	reef_buf_reset(&long_text);
	reef_buf_printf(&long_text, "<Error><Code>x</Code><Message>%*s</Message>"
					"</Error>", REEF_S3_XML_TEXT_MAX_SIZE + 1, "");
	UNIT_CODE(reef_s3_xml_read_error(reef_buf_slice(&long_text), &fault, &err),
			  REEF_CORRUPT, &err);
	reef_buf_release(&long_text);
}

UNIT_TEST(test_s3_xml__a_bulk_delete_tells_of_each_key)
{
	Seen		seen = {0};
	ReefError	err;

	reef_error_init(&err);
	reef_buf_init(&seen.text);
	UNIT_OK(reef_s3_xml_read_delete(reef_slice_of_string(
														 "<DeleteResult><Deleted><Key>a</Key></Deleted>"
														 "<Error><Key>b</Key><Code>AccessDenied</Code>"
														 "<Message>no</Message></Error>"
														 "<Deleted><Key>c</Key><DeleteMarker>true</DeleteMarker>"
														 "</Deleted></DeleteResult>"),
									visit_delete, &seen, &err), &err);
	expect_seen(&seen, "a deleted -;b AccessDenied no;c deleted -;");

	reef_buf_init(&seen.text);
	UNIT_CODE(reef_s3_xml_read_delete(reef_slice_of_string(
														   "<DeleteResult><Error><Key>b</Key></Error></DeleteResult>"),
									  visit_delete, &seen, &err),
			  REEF_CORRUPT, &err);
	UNIT_CODE(reef_s3_xml_read_delete(reef_slice_of_string(
														   "<DeleteResult><Deleted></Deleted></DeleteResult>"),
									  visit_delete, &seen, &err),
			  REEF_CORRUPT, &err);
	expect_seen(&seen, "");
}

UNIT_TEST(test_s3_xml__an_upload_has_an_id)
{
	char		upload_id[16];
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_s3_xml_read_upload(reef_slice_of_string(
														 "<InitiateMultipartUploadResult><Bucket>b</Bucket>"
														 "<UploadId>2~abc</UploadId></InitiateMultipartUploadResult>"),
									upload_id, sizeof(upload_id), &err), &err);
	UNIT_EQUAL_STRING(upload_id, "2~abc");
	UNIT_CODE(reef_s3_xml_read_upload(reef_slice_of_string(
														   "<InitiateMultipartUploadResult><UploadId>0123456789abcdef"
														   "</UploadId></InitiateMultipartUploadResult>"),
									  upload_id, sizeof(upload_id), &err),
			  REEF_CORRUPT, &err);
	UNIT_CODE(reef_s3_xml_read_upload(reef_slice_of_string(
														   "<InitiateMultipartUploadResult/>"),
									  upload_id, sizeof(upload_id), &err),
			  REEF_CORRUPT, &err);
}

UNIT_TEST(test_s3_xml__a_completion_may_turn_out_to_be_an_error)
{
	ReefS3Fault fault;
	bool		is_complete;
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_s3_xml_read_complete(reef_slice_of_string(
														   "<CompleteMultipartUploadResult><ETag>x</ETag>"
														   "</CompleteMultipartUploadResult>"),
									  &is_complete, &fault, &err), &err);
	UNIT_CHECK(is_complete);
	/* Blanks first: sent while the store was still at work */
	UNIT_OK(reef_s3_xml_read_complete(reef_slice_of_string(
														   "<?xml version=\"1.0\"?>\n   \n<Error><Code>InternalError"
														   "</Code></Error>"),
									  &is_complete, &fault, &err), &err);
	UNIT_CHECK(!is_complete);
	UNIT_EQUAL_STRING(fault.code, "InternalError");
	UNIT_CODE(reef_s3_xml_read_complete(reef_slice_of_string("<html/>"),
										&is_complete, &fault, &err),
			  REEF_CORRUPT, &err);
}
