/*
 * http.c
 *	  Requests over HTTP: libcurl, with the host doing the waiting.
 *
 * A backend that waits for a store must notice a cancel within a second,
 * whatever the store does, and must never be left by a long jump while libcurl
 * is on the stack.  So libcurl never blocks here: its multi interface says
 * which sockets it waits for and until when (socket and timer callbacks), and
 * host->wait is the only place where time passes.
 *
 * Signals are blocked while libcurl runs: it resolves names in threads of its
 * own, which inherit the mask and so never run the host's signal handlers.
 * When a transfer ends early, a resolving thread is left to itself
 * (CURLOPT_QUICK_EXIT) instead of being waited for.
 *
 * Nothing of a transfer comes from the environment: no proxy, no .netrc, no
 * redirect, http and https only.  Addresses are looked at after the name has
 * been resolved, so that no name can lead to where a cloud keeps its machines'
 * credentials.
 */
#include "store/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPARE_HANDLES 32
#define CONNECTIONS_KEPT 32
#define CONNECTION_MAX_AGE_S 45L
#define WAIT_MAX_US INT64_C(1000000)
#define RESOLVE_CACHE_S 30L

_Static_assert(sizeof(((ReefHttpTransfer *) NULL)->curl_fault) >=
			   CURL_ERROR_SIZE, "libcurl writes that much");

typedef struct Watch
{
	curl_socket_t socket;
	short		events;
} Watch;

struct ReefHttp
{
	const ReefHost *host;
	CURLM	   *multi;
	CURLSH	   *share;			/* TLS sessions */
	CURL	   *spares[SPARE_HANDLES];
	int			spare_count;
	char	   *ca_file;
	char	   *proxy;
	int64_t		connect_timeout_us;
	int64_t		stall_timeout_us;
	bool		allow_metadata;

	Watch	   *watches;		/* what libcurl waits for */
	struct pollfd *fds;			/* as large */
	int			watch_count;
	int			watch_capacity;
	bool		is_out_of_memory;
	int64_t		timer_us;		/* host clock; -1: not set */
};

static bool is_curl_ready = false;

/* ---- signals ---- */

static void
block_signals(sigset_t *old)
{
	sigset_t	all;

	sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, old);
}

static void
restore_signals(const sigset_t *old)
{
	(void) pthread_sigmask(SIG_SETMASK, old, NULL);
}

/* ---- what libcurl waits for ---- */

static int
socket_callback(CURL *easy, curl_socket_t socket, int what, void *arg,
				void *socket_arg)
{
	ReefHttp   *http = arg;
	int			i = 0;

	(void) easy;
	(void) socket_arg;
	while (i < http->watch_count && http->watches[i].socket != socket)
		i++;
	if (what == CURL_POLL_REMOVE)
	{
		if (i < http->watch_count)
			http->watches[i] = http->watches[--http->watch_count];
		return 0;
	}
	if (i == http->watch_capacity)
	{
		size_t		capacity = (size_t) http->watch_capacity * 2 + 16;
		Watch	   *watches = reallocarray(http->watches, capacity,
										   sizeof(*watches));
		struct pollfd *fds;

		if (watches != NULL)
			http->watches = watches;
		fds = reallocarray(http->fds, capacity, sizeof(*fds));
		if (fds != NULL)
			http->fds = fds;
		if (watches == NULL || fds == NULL)
		{
			http->is_out_of_memory = true;
			return -1;
		}
		http->watch_capacity = (int) capacity;
	}
	if (i == http->watch_count)
		http->watches[http->watch_count++].socket = socket;
	http->watches[i].events = (short) (((what & CURL_POLL_IN) ? POLLIN : 0) |
									   ((what & CURL_POLL_OUT) ? POLLOUT : 0));
	return 0;
}

static int
timer_callback(CURLM *multi, long timeout_ms, void *arg)
{
	ReefHttp   *http = arg;

	(void) multi;
	http->timer_us = timeout_ms < 0 ? -1 :
		http->host->now_us(http->host->arg) + (int64_t) timeout_ms * 1000;
	return 0;
}

/* ---- where we may connect to ---- */

static bool
is_metadata_v4(const uint8_t *address)
{
	static const uint8_t wire_server[] = {168, 63, 129, 16};
	static const uint8_t alibaba[] = {100, 100, 100, 200};

	return (address[0] == 169 && address[1] == 254) || address[0] == 0 ||
		memcmp(address, wire_server, 4) == 0 ||
		memcmp(address, alibaba, 4) == 0;
}

static bool
is_metadata_address(const struct sockaddr *address)
{
	static const uint8_t v4_mapped[12] = {[10] = 0xff,[11] = 0xff};
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
	static const uint8_t aws[16] = {0xfd, 0, 0x0e, 0xc2,[14] = 0x02,[15] = 0x54};
	static const uint8_t gce[16] = {0xfd, 0x20, 0, 0xce,[14] = 0x02,[15] = 0x54};

	if (address->sa_family == AF_INET)
	{
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		return is_metadata_v4((const uint8_t *) &in.sin_addr);
	}
	if (address->sa_family == AF_INET6)
	{
		struct sockaddr_in6 in6;
		const uint8_t *bytes = in6.sin6_addr.s6_addr;

		memcpy(&in6, address, sizeof(in6));
		if (memcmp(bytes, v4_mapped, 12) == 0 || memcmp(bytes, nat64, 12) == 0)
			return is_metadata_v4(bytes + 12);
		return (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||
			memcmp(bytes, aws, 16) == 0 || memcmp(bytes, gce, 16) == 0;
	}
	return true;
}

static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	ReefHttpTransfer *transfer = arg;

	if (purpose != CURLSOCKTYPE_IPCXN)
		return CURL_SOCKET_BAD;
	if (!transfer->http->allow_metadata && is_metadata_address(&address->addr))
	{
		transfer->is_refused = true;
		snprintf(transfer->fault, sizeof(transfer->fault),
				 "its address is link-local, or one for the metadata of cloud machines");
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
				  address->protocol);
}

/* ---- answers ---- */

static bool
header_value(const char *line, size_t size, const char *name, char *value,
			 size_t value_size)
{
	size_t		name_size = strlen(name);

	if (size <= name_size || line[name_size] != ':' ||
		strncasecmp(line, name, name_size) != 0)
		return false;
	line += name_size + 1;
	size -= name_size + 1;
	while (size > 0 && (line[0] == ' ' || line[0] == '\t'))
	{
		line++;
		size--;
	}
	while (size > 0 && (unsigned char) line[size - 1] <= ' ')
		size--;
	if (size >= value_size)
		size = value_size - 1;
	for (size_t i = 0; i < size; i++)
		value[i] = line[i] < ' ' || line[i] > '~' ? '?' : line[i];
	value[size] = '\0';
	return true;
}

static int64_t
parse_date(const char *value)
{
	time_t		seconds = curl_getdate(value, NULL);

	return seconds <= 0 ? 0 : (int64_t) seconds * 1000000;
}

/* A new status line: forget the headers of an answer before it (100). */
static void
forget_answer(ReefHttpTransfer *transfer)
{
	transfer->status = 0;
	transfer->content_length = -1;
	transfer->date_us = 0;
	transfer->last_modified_us = 0;
	transfer->retry_after_s = 0;
	transfer->etag[0] = '\0';
	transfer->request_id[0] = '\0';
	transfer->region[0] = '\0';
	transfer->content_range[0] = '\0';
}

static size_t
header_callback(char *line, size_t unit, size_t count, void *arg)
{
	ReefHttpTransfer *transfer = arg;
	size_t		size = unit * count;
	char		value[64];
	char	   *end;

	if (size > 9 && strncmp(line, "HTTP/", 5) == 0)
	{
		forget_answer(transfer);
		return size;
	}
	if (header_value(line, size, "etag", transfer->etag,
					 sizeof(transfer->etag)) ||
		header_value(line, size, "x-amz-request-id", transfer->request_id,
					 sizeof(transfer->request_id)) ||
		header_value(line, size, "x-amz-bucket-region", transfer->region,
					 sizeof(transfer->region)) ||
		header_value(line, size, "content-range", transfer->content_range,
					 sizeof(transfer->content_range)))
		return size;
	if (header_value(line, size, "date", value, sizeof(value)))
		transfer->date_us = parse_date(value);
	else if (header_value(line, size, "last-modified", value, sizeof(value)))
		transfer->last_modified_us = parse_date(value);
	else if (header_value(line, size, "retry-after", value, sizeof(value)))
	{
		long		seconds = strtol(value, &end, 10);

		if (end != value && *end == '\0' && seconds > 0 && seconds < 3600)
			transfer->retry_after_s = (int) seconds;
	}
	else if (header_value(line, size, "content-length", value, sizeof(value)))
	{
		long long	length = strtoll(value, &end, 10);

		if (end != value && *end == '\0' && length >= 0)
			transfer->content_length = length;
	}
	return size;
}

static size_t
refuse_body(ReefHttpTransfer *transfer, const char *fault)
{
	transfer->is_refused = true;
	snprintf(transfer->fault, sizeof(transfer->fault), "%s", fault);
	return CURL_WRITEFUNC_ERROR;
}

static size_t
write_callback(char *bytes, size_t unit, size_t count, void *arg)
{
	ReefHttpTransfer *transfer = arg;
	size_t		size = unit * count;
	long		status = 0;

	(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 206 && transfer->target != NULL)
	{
		if (size > transfer->target_size - transfer->received)
			return refuse_body(transfer, "its answer is longer than what was asked for");
		memcpy((char *) transfer->target + transfer->received, bytes, size);
	}
	else
	{
		if (size > transfer->out_max - transfer->received)
			return refuse_body(transfer, "its answer is too long");
		reef_buf_append(transfer->out, bytes, size);
		if (transfer->out->failed)
			return refuse_body(transfer, "out of memory");
	}
	transfer->received += size;
	return size;
}

/* ---- transfers ---- */

static CURL *
take_handle(ReefHttp *http)
{
	CURL	   *easy;

	if (http->spare_count == 0)
		return curl_easy_init();
	easy = http->spares[--http->spare_count];
	curl_easy_reset(easy);
	return easy;
}

/* After a failure a handle is not as new, whatever curl_easy_reset does. */
static void
give_handle_back(ReefHttp *http, CURL *easy, bool is_good)
{
	if (is_good && http->spare_count < SPARE_HANDLES)
		http->spares[http->spare_count++] = easy;
	else
		curl_easy_cleanup(easy);
}

static CURLcode
set_method(CURL *easy, const ReefHttpTransfer *transfer)
{
	static const char *const names[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};
	CURLcode	rc;

	switch (transfer->method)
	{
		case REEF_HTTP_GET:
			return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
		case REEF_HTTP_HEAD:
			return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		case REEF_HTTP_DELETE:
			return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
		case REEF_HTTP_PUT:
		case REEF_HTTP_POST:
			break;
	}
	/* As a POST libcurl has the bytes at hand and asks nobody for them. */
	rc = curl_easy_setopt(easy, CURLOPT_POST, 1L);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
							  (curl_off_t) transfer->body.size);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
							  transfer->body.size == 0 ? "" :
							  (const char *) transfer->body.data);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
							  names[transfer->method]);
	return rc;
}

#define SET(option, value) \
	do { \
		CURLcode	set_rc_ = curl_easy_setopt(easy, option, value); \
		if (set_rc_ != CURLE_OK) \
			return set_rc_; \
	} while (0)

static CURLcode
set_options(ReefHttp *http, ReefHttpTransfer *transfer)
{
	CURL	   *easy = transfer->easy;
	struct curl_slist *list = NULL;
	long		stall_s = (long) ((http->stall_timeout_us + 999999) / 1000000);

	SET(CURLOPT_PRIVATE, transfer);
	SET(CURLOPT_ERRORBUFFER, transfer->curl_fault);
	SET(CURLOPT_URL, transfer->url);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, http->proxy == NULL ? "" : http->proxy);
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_SHARE, http->share);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, RESOLVE_CACHE_S);
	SET(CURLOPT_MAXAGE_CONN, CONNECTION_MAX_AGE_S);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_BUFFERSIZE, 256L * 1024);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (http->ca_file != NULL)
	{
		SET(CURLOPT_CAINFO, http->ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long) (http->connect_timeout_us / 1000));
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, stall_s);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, transfer);
	SET(CURLOPT_HEADERFUNCTION, header_callback);
	SET(CURLOPT_HEADERDATA, transfer);
	SET(CURLOPT_WRITEFUNCTION, write_callback);
	SET(CURLOPT_WRITEDATA, transfer);

	/* An empty header is one that libcurl shall not add by itself. */
	list = curl_slist_append(NULL, "Expect:");
	for (const char *const *header = transfer->headers;
		 list != NULL && *header != NULL; header++)
	{
		struct curl_slist *longer = curl_slist_append(list, *header);

		if (longer == NULL)
			curl_slist_free_all(list);
		list = longer;
	}
	if (list == NULL)
		return CURLE_OUT_OF_MEMORY;
	transfer->header_list = list;
	SET(CURLOPT_HTTPHEADER, list);
	return set_method(easy, transfer);
}

static ReefCode
begin_transfer(ReefHttp *http, ReefHttpTransfer *transfer, ReefError *err)
{
	CURLcode	rc;

	forget_answer(transfer);
	transfer->outcome = REEF_HTTP_NOT_SENT;
	transfer->is_cancelled = false;
	transfer->is_refused = false;
	transfer->fault[0] = '\0';
	transfer->curl_fault[0] = '\0';
	transfer->received = 0;
	transfer->header_list = NULL;
	transfer->http = http;
	transfer->easy = take_handle(http);
	if (transfer->easy == NULL)
		return reef_error_no_memory(err, 0);
	rc = set_options(http, transfer);
	if (rc == CURLE_OUT_OF_MEMORY)
		return reef_error_no_memory(err, 0);
	if (rc != CURLE_OK)
		return reef_error_set(err, REEF_BUG, "could not set up a request",
							  "%s", curl_easy_strerror(rc));
	if (curl_multi_add_handle(http->multi, transfer->easy) != CURLM_OK)
		return reef_error_no_memory(err, 0);
	return REEF_OK;
}

/* Give back what the transfer holds; headers carry a signature: zero them. */
static void
release_transfer(ReefHttp *http, ReefHttpTransfer *transfer)
{
	struct curl_slist *item;

	if (transfer->easy != NULL)
	{
		(void) curl_multi_remove_handle(http->multi, transfer->easy);
		give_handle_back(http, transfer->easy,
						 transfer->outcome == REEF_HTTP_ANSWERED);
		transfer->easy = NULL;
	}
	for (item = transfer->header_list; item != NULL; item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(transfer->header_list);
	transfer->header_list = NULL;
}

/* Has any byte of the request left this process? */
static bool
was_sent(const ReefHttpTransfer *transfer)
{
	long		size = 0;

	(void) curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &size);
	return size > 0;
}

static void
end_transfer(ReefHttpTransfer *transfer, CURLcode rc)
{
	curl_off_t	elapsed_us = 0;
	long		status = 0;

	(void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	(void) curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T,
							 &elapsed_us);
	transfer->status = (int) status;
	transfer->elapsed_us = elapsed_us;
	if (rc == CURLE_OK)
	{
		transfer->outcome = REEF_HTTP_ANSWERED;
		return;
	}
	transfer->outcome = was_sent(transfer) ? REEF_HTTP_BROKEN :
		REEF_HTTP_NOT_SENT;
	if (!transfer->is_refused)
		snprintf(transfer->fault, sizeof(transfer->fault), "%s",
				 transfer->curl_fault[0] != '\0' ? transfer->curl_fault :
				 curl_easy_strerror(rc));
}

/* Take note of what has ended; returns how many. */
static int
collect_ended(ReefHttp *http)
{
	CURLMsg    *message;
	int			left;
	int			ended = 0;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		ReefHttpTransfer *transfer;
		char	   *private_data = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
								 &private_data);
		transfer = (ReefHttpTransfer *) private_data;
		end_transfer(transfer, message->data.result);
		release_transfer(http, transfer);
		ended++;
	}
	return ended;
}

/* Let libcurl do what can be done without waiting. */
static CURLMcode
run_curl(ReefHttp *http, int fd_count)
{
	CURLMcode	rc = CURLM_OK;
	int			running;

	for (int i = 0; i < fd_count && rc == CURLM_OK; i++)
	{
		short		revents = http->fds[i].revents;
		int			mask = 0;

		if (revents & POLLIN)
			mask |= CURL_CSELECT_IN;
		if (revents & POLLOUT)
			mask |= CURL_CSELECT_OUT;
		if (revents & (POLLERR | POLLHUP | POLLNVAL))
			mask |= CURL_CSELECT_ERR;
		if (mask != 0)
			rc = curl_multi_socket_action(http->multi, http->fds[i].fd, mask,
										  &running);
	}
	if (rc == CURLM_OK && http->timer_us >= 0 &&
		http->host->now_us(http->host->arg) >= http->timer_us)
	{
		http->timer_us = -1;
		rc = curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0,
									  &running);
	}
	return rc;
}

/*
 * Wait for libcurl's sockets and timer, and not beyond the deadline.  Cleaning
 * up often follows a cancel, which must not keep it from happening; the host
 * would not wait then.
 */
static ReefCode
wait_for_curl(ReefHttp *http, int64_t deadline_us, bool is_cleanup,
			  int *fd_count)
{
	const ReefHost *host = http->host;
	int64_t		timeout_us = WAIT_MAX_US;
	int64_t		now = host->now_us(host->arg);

	if (http->timer_us >= 0 && http->timer_us - now < timeout_us)
		timeout_us = http->timer_us - now;
	if (deadline_us > 0 && deadline_us - now < timeout_us)
		timeout_us = deadline_us - now;
	if (timeout_us < 0)
		timeout_us = 0;
	*fd_count = http->watch_count;
	for (int i = 0; i < *fd_count; i++)
		http->fds[i] = (struct pollfd) {
			.fd = http->watches[i].socket, .events = http->watches[i].events
		};
	if (!is_cleanup)
		return host->wait(host->arg, http->fds, *fd_count, timeout_us);
	if (poll(http->fds, (nfds_t) *fd_count, (int) ((timeout_us + 999) / 1000)) < 0)
		*fd_count = 0;
	return REEF_OK;
}

static void
abandon_transfer(ReefHttp *http, ReefHttpTransfer *transfer, const char *fault)
{
	if (transfer->easy == NULL)
		return;
	transfer->outcome = was_sent(transfer) ? REEF_HTTP_BROKEN :
		REEF_HTTP_NOT_SENT;
	transfer->status = 0;
	snprintf(transfer->fault, sizeof(transfer->fault), "%s", fault);
	release_transfer(http, transfer);
}

ReefCode
reef_http_run(ReefHttp *http, ReefHttpTransfer *transfers, int count,
			  int64_t deadline_us, bool is_cleanup, ReefError *err)
{
	const ReefHost *host = http->host;
	const char *fault = "the time for the request was over";
	bool		is_cancelled = false;
	int			left = count;
	int			fd_count = 0;
	sigset_t	mask;
	ReefCode	rc = REEF_OK;

	for (int i = 0; i < count; i++)
	{
		transfers[i].easy = NULL;
		transfers[i].header_list = NULL;
	}
	http->is_out_of_memory = false;
	block_signals(&mask);
	for (int i = 0; i < count && rc == REEF_OK; i++)
		rc = begin_transfer(http, &transfers[i], err);
	while (rc == REEF_OK)
	{
		CURLMcode	multi_rc = run_curl(http, fd_count);

		left -= collect_ended(http);
		if (left == 0)
			break;
		if (multi_rc != CURLM_OK || http->is_out_of_memory)
		{
			fault = curl_multi_strerror(multi_rc);
			break;
		}
		restore_signals(&mask);
		is_cancelled = wait_for_curl(http, deadline_us, is_cleanup,
									 &fd_count) == REEF_CANCELLED;
		block_signals(&mask);
		if (is_cancelled)
		{
			fault = "the request was cancelled";
			break;
		}
		if (deadline_us > 0 && host->now_us(host->arg) >= deadline_us)
			break;
	}
	for (int i = 0; i < count; i++)
	{
		if (rc != REEF_OK)
			release_transfer(http, &transfers[i]);
		else if (transfers[i].easy != NULL)
		{
			transfers[i].is_cancelled = is_cancelled;
			abandon_transfer(http, &transfers[i], fault);
		}
	}
	restore_signals(&mask);
	return rc;
}

/* ---- clients ---- */

static char *
copy_option(const char *value, bool *is_short)
{
	char	   *copy = value == NULL ? NULL : strdup(value);

	*is_short |= value != NULL && copy == NULL;
	return copy;
}

ReefCode
reef_http_open(const ReefHost *host, const ReefHttpOptions *options,
			   ReefHttp **http, ReefError *err)
{
	ReefHttp   *result;
	bool		is_short = false;
	sigset_t	mask;

	if (!is_curl_ready)
	{
		if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
			return reef_error_no_memory(err, 0);
		is_curl_ready = true;
	}
	result = calloc(1, sizeof(*result));
	if (result == NULL)
		return reef_error_no_memory(err, sizeof(*result));
	result->host = host;
	result->timer_us = -1;
	result->connect_timeout_us = options->connect_timeout_us;
	result->stall_timeout_us = options->stall_timeout_us;
	result->allow_metadata = options->allow_metadata;
	result->ca_file = copy_option(options->ca_file, &is_short);
	result->proxy = copy_option(options->proxy, &is_short);
	block_signals(&mask);
	result->multi = curl_multi_init();
	result->share = curl_share_init();
	if (result->multi == NULL || result->share == NULL || is_short ||
		curl_share_setopt(result->share, CURLSHOPT_SHARE,
						  CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK ||
		curl_multi_setopt(result->multi, CURLMOPT_SOCKETFUNCTION,
						  socket_callback) != CURLM_OK ||
		curl_multi_setopt(result->multi, CURLMOPT_SOCKETDATA,
						  result) != CURLM_OK ||
		curl_multi_setopt(result->multi, CURLMOPT_TIMERFUNCTION,
						  timer_callback) != CURLM_OK ||
		curl_multi_setopt(result->multi, CURLMOPT_TIMERDATA,
						  result) != CURLM_OK ||
		curl_multi_setopt(result->multi, CURLMOPT_MAXCONNECTS,
						  (long) CONNECTIONS_KEPT) != CURLM_OK)
	{
		restore_signals(&mask);
		reef_http_close(result);
		return reef_error_no_memory(err, sizeof(*result));
	}
	restore_signals(&mask);
	*http = result;
	return REEF_OK;
}

void
reef_http_close(ReefHttp *http)
{
	sigset_t	mask;

	if (http == NULL)
		return;
	block_signals(&mask);
	while (http->spare_count > 0)
		curl_easy_cleanup(http->spares[--http->spare_count]);
	if (http->multi != NULL)
		(void) curl_multi_cleanup(http->multi);
	if (http->share != NULL)
		(void) curl_share_cleanup(http->share);
	restore_signals(&mask);
	free(http->ca_file);
	if (http->proxy != NULL)
		explicit_bzero(http->proxy, strlen(http->proxy));
	free(http->proxy);
	free(http->watches);
	free(http->fds);
	free(http);
}
