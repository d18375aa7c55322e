/*
 * s3_xml.c
 *	  Reads the XML documents that an S3 store answers with.
 *
 * They are small and flat, but they come from a network.  So expat does the
 * parsing, and what it could be made to do beyond elements and text is refused:
 * a document type declaration ends the reading, and with it go entities of
 * any kind.  Depth, the size of a text and the size of a document are bounded.
 *
 * A document becomes a row of calls: one for each element, when it ends, with
 * its path below the root and its text.  Namespaces do not matter: stores
 * disagree about them, and a prefix says nothing that the path does not.
 */
#include "store/s3_xml.h"

#include <expat.h>
#include <stdio.h>
#include <time.h>

#define DOCUMENT_MAX_SIZE ((size_t) 16 * 1024 * 1024)
#define PATH_MAX_SIZE 256
#define DEPTH_MAX 8

typedef struct Document Document;

/* An element has ended.  path is without the root. */
typedef void (*ElementEnd) (Document *document, const char *path,
							const char *text);

struct Document
{
	XML_Parser	parser;
	ElementEnd	element_end;
	void	   *reading;		/* of the kind of document */
	int			depth;
	char		root[64];
	char		path[PATH_MAX_SIZE];
	size_t		path_size;
	char		text[REEF_S3_XML_TEXT_MAX_SIZE + 1];
	size_t		text_size;
	ReefCode	rc;
	ReefError  *err;
};

/* ---- any document ---- */

static void
refuse(Document *document, ReefCode rc)
{
	if (document->rc != REEF_OK)
		return;
	document->rc = rc;
	(void) XML_StopParser(document->parser, XML_FALSE);
}

static void
refuse_because(Document *document, const char *fault)
{
	if (document->rc == REEF_OK)
		refuse(document, reef_error_set(document->err, REEF_CORRUPT,
										"invalid answer from the store",
										"XML document: %s", fault));
}

static const char *
local_name(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon == NULL ? name : colon + 1;
}

static void
start_element(void *user_data, const XML_Char *name, const XML_Char **attributes)
{
	Document   *document = user_data;
	const char *local = local_name(name);
	size_t		size = strlen(local);

	(void) attributes;
	document->text_size = 0;
	if (document->depth++ == 0)
	{
		if (size >= sizeof(document->root))
			refuse_because(document, "its root has a long name");
		else
			memcpy(document->root, local, size + 1);
		return;
	}
	if (document->depth > DEPTH_MAX ||
		document->path_size + 1 + size >= sizeof(document->path))
	{
		refuse_because(document, "it is too deep");
		return;
	}
	if (document->path_size > 0)
		document->path[document->path_size++] = '/';
	memcpy(document->path + document->path_size, local, size + 1);
	document->path_size += size;
}

static void
end_element(void *user_data, const XML_Char *name)
{
	Document   *document = user_data;
	char	   *slash;

	(void) name;
	if (--document->depth == 0 || document->rc != REEF_OK)
		return;
	document->text[document->text_size] = '\0';
	document->element_end(document, document->path, document->text);
	document->text_size = 0;

	slash = strrchr(document->path, '/');
	document->path_size = slash == NULL ? 0 : (size_t) (slash - document->path);
	document->path[document->path_size] = '\0';
}

static void
character_data(void *user_data, const XML_Char *text, int size)
{
	Document   *document = user_data;

	if ((size_t) size > REEF_S3_XML_TEXT_MAX_SIZE - document->text_size)
	{
		refuse_because(document, "it has an element with a long text");
		return;
	}
	memcpy(document->text + document->text_size, text, (size_t) size);
	document->text_size += (size_t) size;
}

static void
start_doctype(void *user_data, const XML_Char *name, const XML_Char *system_id,
			  const XML_Char *public_id, int has_internal_subset)
{
	(void) name;
	(void) system_id;
	(void) public_id;
	(void) has_internal_subset;
	refuse_because(user_data, "it has a document type declaration");
}

static ReefCode
read_document(ReefSlice bytes, Document *document, ElementEnd element_end,
			  void *reading, ReefError *err)
{
	enum XML_Status status;

	memset(document, 0, sizeof(*document));
	document->element_end = element_end;
	document->reading = reading;
	document->err = err;
	if (bytes.size == 0 || bytes.size > DOCUMENT_MAX_SIZE)
		return reef_error_set(err, REEF_CORRUPT,
							  "invalid answer from the store",
							  "XML document of %zu bytes", bytes.size);
	document->parser = XML_ParserCreate("UTF-8");
	if (document->parser == NULL)
		return reef_error_no_memory(err, bytes.size);
	XML_SetUserData(document->parser, document);
	XML_SetElementHandler(document->parser, start_element, end_element);
	XML_SetCharacterDataHandler(document->parser, character_data);
	XML_SetStartDoctypeDeclHandler(document->parser, start_doctype);
	status = XML_Parse(document->parser, (const char *) bytes.data,
					   (int) bytes.size, XML_TRUE);
	if (status != XML_STATUS_OK && document->rc == REEF_OK)
	{
		enum XML_Error code = XML_GetErrorCode(document->parser);

		if (code == XML_ERROR_NO_MEMORY)
			document->rc = reef_error_no_memory(err, bytes.size);
		else
			document->rc = reef_error_set(err, REEF_CORRUPT,
										  "invalid answer from the store",
										  "XML document: %s",
										  XML_ErrorString(code));
	}
	XML_ParserFree(document->parser);
	return document->rc;
}

static ReefCode
expect_root(const Document *document, const char *root, ReefError *err)
{
	if (strcmp(document->root, root) == 0)
		return REEF_OK;
	return reef_error_set(err, REEF_CORRUPT, "invalid answer from the store",
						  "XML document: <%s> where <%s> was expected",
						  document->root, root);
}

/* Copy as much as fits, whole UTF-8 characters. */
static void
copy_text(char *to, size_t to_size, const char *text)
{
	size_t		size = strlen(text);

	if (size >= to_size)
	{
		size = to_size - 1;
		while (size > 0 && ((unsigned char) text[size] & 0xc0) == 0x80)
			size--;
	}
	memcpy(to, text, size);
	to[size] = '\0';
}

/* ---- errors ---- */

static void
error_element(Document *document, const char *path, const char *text)
{
	ReefS3Fault *fault = document->reading;

	if (strcmp(path, "Code") == 0)
		copy_text(fault->code, sizeof(fault->code), text);
	else if (strcmp(path, "Message") == 0)
		copy_text(fault->message, sizeof(fault->message), text);
	else if (strcmp(path, "RequestId") == 0)
		copy_text(fault->request_id, sizeof(fault->request_id), text);
	else if (strcmp(path, "Region") == 0)
		copy_text(fault->region, sizeof(fault->region), text);
}

ReefCode
reef_s3_xml_read_error(ReefSlice bytes, ReefS3Fault *fault, ReefError *err)
{
	Document	document;

	memset(fault, 0, sizeof(*fault));
	REEF_TRY(read_document(bytes, &document, error_element, fault, err));
	REEF_TRY(expect_root(&document, "Error", err));
	if (fault->code[0] == '\0')
		return reef_error_set(err, REEF_CORRUPT,
							  "invalid answer from the store",
							  "XML document: an error without a code");
	return REEF_OK;
}

/* ---- lists ---- */

typedef struct ListReading
{
	ReefS3ListVisit visit;
	void	   *arg;
	ReefS3Page *page;
	bool		is_encoded;		/* keys are percent-encoded */
	bool		has_truncated;	/* IsTruncated was there */

	/* the object whose element is open */
	bool		has_key;
	bool		has_size;
	bool		has_time;
	char		key[REEF_S3_XML_TEXT_MAX_SIZE + 1];
	uint64_t	size;
	int64_t		modified_us;
} ListReading;

static bool
read_digits(const char **text, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*text)++)
	{
		if (**text < '0' || **text > '9')
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

static bool
skip_byte(const char **text, char byte)
{
	if (**text != byte)
		return false;
	(*text)++;
	return true;
}

bool
reef_s3_xml_read_time(const char *text, int64_t *time_us)
{
	struct tm	tm = {0};
	int64_t		fraction = 0;
	int64_t		unit = 1000000;

	if (!read_digits(&text, 4, &tm.tm_year) || !skip_byte(&text, '-') ||
		!read_digits(&text, 2, &tm.tm_mon) || !skip_byte(&text, '-') ||
		!read_digits(&text, 2, &tm.tm_mday) || !skip_byte(&text, 'T') ||
		!read_digits(&text, 2, &tm.tm_hour) || !skip_byte(&text, ':') ||
		!read_digits(&text, 2, &tm.tm_min) || !skip_byte(&text, ':') ||
		!read_digits(&text, 2, &tm.tm_sec))
		return false;
	if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 ||
		tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
		tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	if (skip_byte(&text, '.'))
	{
		if (*text < '0' || *text > '9')
			return false;
		for (; *text >= '0' && *text <= '9'; text++)
		{
			unit /= 10;
			fraction += unit * (*text - '0');
		}
	}
	if (strcmp(text, "Z") != 0)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*time_us = (int64_t) timegm(&tm) * 1000000 + fraction;
	return true;
}

static bool
read_size(const char *text, uint64_t *size)
{
	*size = 0;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
	{
		if (*text < '0' || *text > '9' ||
			*size > (INT64_MAX - (uint64_t) (*text - '0')) / 10)
			return false;
		*size = *size * 10 + (uint64_t) (*text - '0');
	}
	return true;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Undo percent-encoding in place. */
static bool
decode_key(char *key)
{
	char	   *to = key;

	for (const char *from = key; *from != '\0'; from++)
	{
		if (*from == '+')
			*to++ = ' ';
		else if (*from != '%')
			*to++ = *from;
		else
		{
			int			high = hex_value(from[1]);
			int			low = high < 0 ? -1 : hex_value(from[2]);

			if (low < 0 || (high == 0 && low == 0))
				return false;
			*to++ = (char) (high * 16 + low);
			from += 2;
		}
	}
	*to = '\0';
	return true;
}

static void
list_object_end(Document *document)
{
	ListReading *reading = document->reading;

	if (!reading->has_key || !reading->has_size || !reading->has_time)
		refuse_because(document, "an object without key, size or time");
	else if (reading->is_encoded && !decode_key(reading->key))
		refuse_because(document, "a key with a bad escape");
	else
	{
		ReefCode	rc = reading->visit(reading->arg, reading->key,
										reading->size, reading->modified_us,
										document->err);

		if (rc != REEF_OK)
			refuse(document, rc);
	}
	reading->has_key = reading->has_size = reading->has_time = false;
}

static void
list_element(Document *document, const char *path, const char *text)
{
	ListReading *reading = document->reading;

	if (strcmp(path, "Contents/Key") == 0)
	{
		copy_text(reading->key, sizeof(reading->key), text);
		reading->has_key = true;
	}
	else if (strcmp(path, "Contents/Size") == 0)
	{
		reading->has_size = read_size(text, &reading->size);
	}
	else if (strcmp(path, "Contents/LastModified") == 0)
	{
		reading->has_time = reef_s3_xml_read_time(text,
												  &reading->modified_us);
	}
	else if (strcmp(path, "Contents") == 0)
		list_object_end(document);
	else if (strcmp(path, "IsTruncated") == 0)
	{
		reading->has_truncated = strcmp(text, "true") == 0 ||
			strcmp(text, "false") == 0;
		reading->page->is_truncated = strcmp(text, "true") == 0;
	}
	else if (strcmp(path, "NextContinuationToken") == 0)
		copy_text(reading->page->next_token,
				  sizeof(reading->page->next_token), text);
}

/* EncodingType may come after the keys that it is about. */
static void
encoding_element(Document *document, const char *path, const char *text)
{
	bool	   *is_encoded = document->reading;

	if (strcmp(path, "EncodingType") == 0)
		*is_encoded = strcmp(text, "url") == 0;
}

ReefCode
reef_s3_xml_read_list(ReefSlice bytes, ReefS3ListVisit visit, void *arg,
					  ReefS3Page *page, ReefError *err)
{
	ListReading reading = {.visit = visit, .arg = arg, .page = page};
	Document	document;

	memset(page, 0, sizeof(*page));
	REEF_TRY(read_document(bytes, &document, encoding_element,
						   &reading.is_encoded, err));
	REEF_TRY(expect_root(&document, "ListBucketResult", err));
	REEF_TRY(read_document(bytes, &document, list_element, &reading, err));
	if (!reading.has_truncated ||
		(page->is_truncated && page->next_token[0] == '\0'))
		return reef_error_set(err, REEF_CORRUPT,
							  "invalid answer from the store",
							  "XML document: a list does not say how it goes on");
	return REEF_OK;
}

/* ---- deletes ---- */

typedef struct DeleteReading
{
	ReefS3DeleteVisit visit;
	void	   *arg;

	/* the element that is open */
	bool		has_key;
	char		key[REEF_S3_XML_TEXT_MAX_SIZE + 1];
	char		code[64];
	char		message[256];
} DeleteReading;

static void
delete_element(Document *document, const char *path, const char *text)
{
	DeleteReading *reading = document->reading;
	bool		is_deleted = strcmp(path, "Deleted") == 0;
	ReefCode	rc;

	if (strcmp(path, "Deleted/Key") == 0 || strcmp(path, "Error/Key") == 0)
	{
		copy_text(reading->key, sizeof(reading->key), text);
		reading->has_key = true;
	}
	else if (strcmp(path, "Error/Code") == 0)
		copy_text(reading->code, sizeof(reading->code), text);
	else if (strcmp(path, "Error/Message") == 0)
		copy_text(reading->message, sizeof(reading->message), text);
	if (!is_deleted && strcmp(path, "Error") != 0)
		return;

	if (!reading->has_key || (!is_deleted && reading->code[0] == '\0'))
	{
		refuse_because(document, "a deleted object without key or code");
		return;
	}
	rc = reading->visit(reading->arg, reading->key,
						is_deleted ? NULL : reading->code,
						is_deleted ? NULL : reading->message, document->err);
	if (rc != REEF_OK)
		refuse(document, rc);
	reading->has_key = false;
	reading->code[0] = reading->message[0] = '\0';
}

ReefCode
reef_s3_xml_read_delete(ReefSlice bytes, ReefS3DeleteVisit visit, void *arg,
						ReefError *err)
{
	DeleteReading reading = {.visit = visit, .arg = arg};
	Document	document;

	REEF_TRY(read_document(bytes, &document, delete_element, &reading, err));
	return expect_root(&document, "DeleteResult", err);
}

/* ---- uploads ---- */

typedef struct UploadReading
{
	char	   *upload_id;
	size_t		size;
} UploadReading;

static void
upload_element(Document *document, const char *path, const char *text)
{
	UploadReading *reading = document->reading;

	if (strcmp(path, "UploadId") != 0)
		return;
	if (strlen(text) >= reading->size)
		refuse_because(document, "an upload id is too long");
	else
		copy_text(reading->upload_id, reading->size, text);
}

ReefCode
reef_s3_xml_read_upload(ReefSlice bytes, char *upload_id, size_t size,
						ReefError *err)
{
	UploadReading reading = {.upload_id = upload_id, .size = size};
	Document	document;

	upload_id[0] = '\0';
	REEF_TRY(read_document(bytes, &document, upload_element, &reading, err));
	REEF_TRY(expect_root(&document, "InitiateMultipartUploadResult", err));
	if (upload_id[0] == '\0')
		return reef_error_set(err, REEF_CORRUPT,
							  "invalid answer from the store",
							  "XML document: an upload without an id");
	return REEF_OK;
}

ReefCode
reef_s3_xml_read_complete(ReefSlice bytes, bool *is_complete,
						  ReefS3Fault *fault, ReefError *err)
{
	Document	document;

	*is_complete = false;
	memset(fault, 0, sizeof(*fault));
	REEF_TRY(read_document(bytes, &document, error_element, fault, err));
	if (strcmp(document.root, "Error") == 0 && fault->code[0] != '\0')
		return REEF_OK;
	*is_complete = true;
	return expect_root(&document, "CompleteMultipartUploadResult", err);
}

/* ---- tokens ---- */

typedef struct TokenReading
{
	ReefS3Token *token;
	ReefS3Fault *fault;
	bool		is_long;
} TokenReading;

/* A part of a key is none. */
static void
copy_whole(TokenReading *reading, char *to, size_t to_size, const char *text)
{
	reading->is_long |= strlen(text) >= to_size;
	copy_text(to, to_size, text);
}

static void
token_element(Document *document, const char *path, const char *text)
{
	TokenReading *reading = document->reading;
	ReefS3Token *token = reading->token;
	const char *member = strstr(path, "Result/Credentials/");

	if (strcmp(path, "Error/Code") == 0)
		copy_text(reading->fault->code, sizeof(reading->fault->code), text);
	if (member == NULL)
		return;
	member += strlen("Result/Credentials/");
	if (strcmp(member, "AccessKeyId") == 0)
		copy_whole(reading, token->access_key_id,
				   sizeof(token->access_key_id), text);
	else if (strcmp(member, "SecretAccessKey") == 0)
		copy_whole(reading, token->secret_access_key,
				   sizeof(token->secret_access_key), text);
	else if (strcmp(member, "SessionToken") == 0)
		copy_whole(reading, token->session_token,
				   sizeof(token->session_token), text);
	else if (strcmp(member, "Expiration") == 0 &&
			 !reef_s3_xml_read_time(text, &token->expires_us))
		refuse_because(document, "a token without a time of expiry");
}

ReefCode
reef_s3_xml_read_token(ReefSlice bytes, ReefS3Token *token,
					   ReefS3Fault *fault, ReefError *err)
{
	TokenReading reading = {.token = token, .fault = fault};
	Document	document;
	ReefCode	rc;

	memset(token, 0, sizeof(*token));
	memset(fault, 0, sizeof(*fault));
	rc = read_document(bytes, &document, token_element, &reading, err);
	if (rc == REEF_OK && fault->code[0] == '\0' &&
		(reading.is_long || token->access_key_id[0] == '\0' ||
		 token->secret_access_key[0] == '\0' ||
		 token->session_token[0] == '\0' || token->expires_us == 0))
		rc = reef_error_set(err, REEF_CORRUPT,
							"invalid answer from the store",
							"XML document: a token with parts missing");
	explicit_bzero(&document, sizeof(document));
	if (rc != REEF_OK)
		explicit_bzero(token, sizeof(*token));
	return rc;
}
