/*
 * s3_xml.h
 *	  The XML documents that an S3 store answers with (see s3_xml.c).
 *
 * All of these fail with REEF_CORRUPT when the bytes are no such document, or
 * go beyond a bound: no answer to a request of ours comes near one.  Texts
 * handed out are NUL-terminated and contain no NUL.
 */
#ifndef REEF_STORE_S3_XML_H
#define REEF_STORE_S3_XML_H

#include "base/bytes.h"
#include "base/error.h"

/* Bytes of the text of one element; a longer one is refused. */
#define REEF_S3_XML_TEXT_MAX_SIZE 4096

typedef struct ReefS3Fault
{
	char		code[64];		/* "NoSuchKey"; never empty */
	char		message[256];	/* truncated */
	char		request_id[128];
	char		region[64];		/* what a wrong region should have been */
} ReefS3Fault;

/* An <Error> document. */
extern ReefCode reef_s3_xml_read_error(ReefSlice bytes, ReefS3Fault *fault,
									   ReefError *err) REEF_MUST_CHECK;

/* One object of a list; whatever it returns but REEF_OK ends the reading. */
typedef ReefCode (*ReefS3ListVisit) (void *arg, const char *key,
									 uint64_t size, int64_t modified_us,
									 ReefError *err);

typedef struct ReefS3Page
{
	bool		is_truncated;	/* there are more */
	char		next_token[REEF_S3_XML_TEXT_MAX_SIZE + 1];	/* "": none */
} ReefS3Page;

/* A page of ListObjectsV2, with or without encoding-type=url. */
extern ReefCode reef_s3_xml_read_list(ReefSlice bytes, ReefS3ListVisit visit,
									  void *arg, ReefS3Page *page,
									  ReefError *err) REEF_MUST_CHECK;

/* One key of a DeleteResult; code is NULL if it was deleted. */
typedef ReefCode (*ReefS3DeleteVisit) (void *arg, const char *key,
									   const char *code, const char *message,
									   ReefError *err);

extern ReefCode reef_s3_xml_read_delete(ReefSlice bytes,
										ReefS3DeleteVisit visit, void *arg,
										ReefError *err) REEF_MUST_CHECK;

/* InitiateMultipartUploadResult: the upload's id, into upload_id[size]. */
extern ReefCode reef_s3_xml_read_upload(ReefSlice bytes, char *upload_id,
										size_t size, ReefError *err)
			REEF_MUST_CHECK;

/*
 * The answer to CompleteMultipartUpload.  Its status is sent before its
 * outcome is known, so the body may be an <Error>: then *is_complete is false
 * and *fault says which.
 */
extern ReefCode reef_s3_xml_read_complete(ReefSlice bytes, bool *is_complete,
										  ReefS3Fault *fault, ReefError *err)
			REEF_MUST_CHECK;

/* What a security token service gives; zero it with explicit_bzero. */
typedef struct ReefS3Token
{
	char		access_key_id[256];
	char		secret_access_key[512];
	char		session_token[REEF_S3_XML_TEXT_MAX_SIZE + 1];
	int64_t		expires_us;
} ReefS3Token;

/* The answer to AssumeRole and its like; if it is an <ErrorResponse>,
 * fault->code is not empty, and *token is. */
extern ReefCode reef_s3_xml_read_token(ReefSlice bytes, ReefS3Token *token,
									   ReefS3Fault *fault, ReefError *err)
			REEF_MUST_CHECK;

/* 2026-11-22T19:07:55.123Z; the fraction may be missing. */
extern bool reef_s3_xml_read_time(const char *text, int64_t *time_us);

#endif							/* REEF_STORE_S3_XML_H */
