/*
 * fuzz_s3_xml.c
 *	  Any bytes as each of the documents that an S3 store may answer with.
 */
#include <stdlib.h>

#include "store/s3_xml.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ReefCode
visit_object(void *arg, const char *key, uint64_t size, int64_t modified_us,
			 ReefError *err)
{
	(void) arg;
	(void) err;
	if (strlen(key) > REEF_S3_XML_TEXT_MAX_SIZE || size > INT64_MAX ||
		modified_us < 0)
		abort();
	return REEF_OK;
}

static ReefCode
visit_delete(void *arg, const char *key, const char *code,
			 const char *message, ReefError *err)
{
	(void) arg;
	(void) err;
	if (strlen(key) > REEF_S3_XML_TEXT_MAX_SIZE ||
		(code != NULL && (code[0] == '\0' || message == NULL)))
		abort();
	return REEF_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ReefSlice	bytes = reef_slice(data, size);
	ReefS3Fault fault;
	ReefS3Page	page;
	char		upload_id[64];
	bool		is_complete;
	ReefError	err;

	reef_error_init(&err);
	if (reef_s3_xml_read_error(bytes, &fault, &err) == REEF_OK &&
		(fault.code[0] == '\0' || strlen(fault.code) >= sizeof(fault.code)))
		abort();
	if (reef_s3_xml_read_list(bytes, visit_object, NULL, &page,
							  &err) == REEF_OK &&
		page.is_truncated && page.next_token[0] == '\0')
		abort();
	if (reef_s3_xml_read_delete(bytes, visit_delete, NULL, &err) != REEF_OK &&
		err.code == REEF_OK)
		abort();
	if (reef_s3_xml_read_upload(bytes, upload_id, sizeof(upload_id),
								&err) == REEF_OK &&
		(upload_id[0] == '\0' || strlen(upload_id) >= sizeof(upload_id)))
		abort();
	if (reef_s3_xml_read_complete(bytes, &is_complete, &fault,
								  &err) == REEF_OK &&
		!is_complete && fault.code[0] == '\0')
		abort();
	return 0;
}
