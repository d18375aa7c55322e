/*
 * test_credentials.c
 *	  Keys from everywhere, against a server of this file's own on loopback.
 *
 * The server is a thread that answers by a table of routes and keeps what it
 * was asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fake_host.h"
#include "store/credential_source.h"
#include "store/profile.h"
#include "unit.h"

#define SECOND_US INT64_C(1000000)
#define NOW_US (INT64_C(1794997600) * SECOND_US)	/* 2026-11-18 10:26:40 UTC */
#define SECRET "SecretThatNobodyMaySee"
#define TOKEN "TokenThatNobodyMaySee"
#define IMDS_PATH "/latest/meta-data/iam/security-credentials/"
#define ROLE "arn:aws:iam::123456789012:role/reader"

typedef struct Route
{
	const char *start;			/* of the request: "GET /path" */
	int			status;			/* 0: no answer ever; -1: an endless one */
	const char *body;
} Route;

static pthread_mutex_t server_lock = PTHREAD_MUTEX_INITIALIZER;
static const Route *routes = NULL;	/* ends with a NULL start */
static char requests[16][16384];
static int	request_count = 0;
static int	server_port = 0;

static const char *const variables[] = {
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
	"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_ENDPOINT_URL_STS",
	"AWS_REGION", "AWS_DEFAULT_REGION"
};

/* ---- the server ---- */

static bool
read_request(int fd, char *text, size_t room)
{
	size_t		size = 0;

	for (;;)
	{
		ssize_t		got = recv(fd, text + size, room - 1 - size, 0);
		const char *end;
		const char *length;

		if (got <= 0)
			return false;
		size += (size_t) got;
		text[size] = '\0';
		end = strstr(text, "\r\n\r\n");
		if (end == NULL)
			continue;
		length = strcasestr(text, "Content-Length: ");
		if (length == NULL || size - (size_t) (end + 4 - text) >=
			strtoul(length + 16, NULL, 10))
			return true;
	}
}

static void
answer(int fd, const Route *route)
{
	char		head[256];
	char		block[4096];
	const char *body = route->body == NULL ? "" : route->body;

	memset(block, 'x', sizeof(block));
	if (route->status == 0)
	{
		(void) recv(fd, block, 1, 0);	/* until the other side has had enough */
		return;
	}
	snprintf(head, sizeof(head),
			 "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
			 route->status == -1 ? 200 : route->status,
			 route->status == -1 ? (size_t) 1 << 30 : strlen(body));
	(void) send(fd, head, strlen(head), MSG_NOSIGNAL);
	(void) send(fd, body, strlen(body), MSG_NOSIGNAL);
	while (route->status == -1 &&
		   send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
		;
}

static void *
serve(void *arg)
{
	int			listener = *(int *) arg;
	static char text[16384];

	for (;;)
	{
		static const Route none = {"", 404, "nothing here"};
		const Route *route = &none;
		int			fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		if (read_request(fd, text, sizeof(text)))
		{
			pthread_mutex_lock(&server_lock);
			if (request_count < 16)
				memcpy(requests[request_count++], text, sizeof(text));
			for (const Route *r = routes; r != NULL && r->start != NULL; r++)
			{
				if (strncmp(text, r->start, strlen(r->start)) == 0)
				{
					route = r;
					break;
				}
			}
			pthread_mutex_unlock(&server_lock);
			answer(fd, route);
		}
		close(fd);
	}
}

static void
start_server(void)
{
	static int	listener;
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t	size = sizeof(address);
	pthread_t	thread;

	if (server_port != 0)
		return;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	UNIT_CHECK(bind(listener, (struct sockaddr *) &address,
					sizeof(address)) == 0);
	UNIT_CHECK(listen(listener, 16) == 0);
	UNIT_CHECK(getsockname(listener, (struct sockaddr *) &address,
						   &size) == 0);
	UNIT_CHECK(pthread_create(&thread, NULL, serve, &listener) == 0);
	pthread_detach(thread);
	server_port = ntohs(address.sin_port);
}

static void
set_routes(const Route *table)
{
	pthread_mutex_lock(&server_lock);
	routes = table;
	request_count = 0;
	pthread_mutex_unlock(&server_lock);
}

/* The i-th request since set_routes. */
static const char *
asked(int i)
{
	UNIT_CHECK(i < request_count);
	return requests[i];
}

/* ---- fixtures ---- */

typedef struct Fixture
{
	FakeHost   *fake;
	ReefCredentialOptions options;
	ReefCredentials *credentials;
	const ReefKeys *keys;
	uint64_t	version;
	ReefError	err;
	char		directory[64];
} Fixture;

static void
set_up(Fixture *f, ReefCredentialSource source)
{
	memset(f, 0, sizeof(*f));
	reef_error_init(&f->err);
	start_server();
	set_routes(NULL);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	f->fake = fake_host_new();
	f->options.source = source;
	snprintf(f->directory, sizeof(f->directory), "/tmp/reef-test-XXXXXX");
	UNIT_CHECK(mkdtemp(f->directory) != NULL);
	setenv("HOME", f->directory, 1);
}

static void
open_credentials(Fixture *f)
{
	UNIT_OK(reef_credentials_open(&f->fake->host, &f->options,
								  &f->credentials, &f->err), &f->err);
}

static ReefCode
get(Fixture *f)
{
	ReefCode	rc;

	if (f->credentials == NULL)
		open_credentials(f);
	rc = reef_credentials_get(f->credentials, 0, &f->keys, &f->version,
							  &f->err);
	/* whatever happens */
	if (rc != REEF_OK)
		UNIT_CHECK(strstr(f->err.message, "NobodyMaySee") == NULL &&
				   strstr(f->err.detail, "NobodyMaySee") == NULL);
	UNIT_CHECK(strstr(f->fake->last_log, "NobodyMaySee") == NULL);
	return rc;
}

static void
tear_down(Fixture *f)
{
	char		command[128];

	reef_credentials_close(f->credentials);
	fake_host_free(f->fake);
	snprintf(command, sizeof(command), "rm -rf %s", f->directory);
	UNIT_CHECK(system(command) == 0);
}

static void
write_file(Fixture *f, const char *name, const char *text)
{
	char		path[256];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/.aws", f->directory);
	(void) mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	file = fopen(path, "w");
	UNIT_CHECK(file != NULL);
	UNIT_CHECK(fputs(text, file) >= 0 && fclose(file) == 0);
}

static void
set_url(const char *variable, const char *path)
{
	char		url[256];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", server_port, path);
	setenv(variable, url, 1);
}

/* ---- the environment, and the chain ---- */

UNIT_TEST(test_credentials__environment_is_read)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_ENV);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	setenv("AWS_ACCESS_KEY_ID", "ENVKEY", 1);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "ENVKEY");
	UNIT_EQUAL_STRING(f.keys->secret_access_key, SECRET);
	UNIT_EQUAL_STRING(f.keys->session_token, "");
	tear_down(&f);
}

UNIT_TEST(test_credentials__a_key_that_would_break_a_header_is_refused)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_ENV);
	setenv("AWS_ACCESS_KEY_ID", "ENVKEY", 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	setenv("AWS_SESSION_TOKEN", TOKEN "\r\nX-Other: 1", 1);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	tear_down(&f);
}

UNIT_TEST(test_credentials__chain_takes_the_first_that_is_set_up)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_CHAIN);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	UNIT_EQUAL_STRING(f.err.message, "no credentials were found");
	UNIT_CHECK(strstr(f.err.detail, "environment") != NULL);
	UNIT_CHECK(strstr(f.err.detail, "web identity") != NULL);
	UNIT_CHECK(strstr(f.err.detail, "profile") != NULL);
	UNIT_CHECK(strstr(f.err.detail, "container") != NULL);
	UNIT_CHECK(strstr(f.err.detail, "AWS_EC2_METADATA_DISABLED") != NULL);
	write_file(&f, ".aws/credentials", "[default]\naws_access_key_id=FILEKEY\n"
			   "aws_secret_access_key=" SECRET "\n");
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "FILEKEY");
	tear_down(&f);

	set_up(&f, REEF_CREDENTIAL_CHAIN);
	write_file(&f, ".aws/credentials", "[default]\naws_access_key_id=FILEKEY\n"
			   "aws_secret_access_key=" SECRET "\n");
	setenv("AWS_ACCESS_KEY_ID", "ENVKEY", 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "ENVKEY");
	tear_down(&f);
}

UNIT_TEST(test_credentials__chain_does_not_pass_over_what_fails)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_CHAIN);
	setenv("AWS_ACCESS_KEY_ID", "ENVKEY", 1);
	write_file(&f, ".aws/credentials", "[default]\naws_access_key_id=FILEKEY\n"
			   "aws_secret_access_key=" SECRET "\n");
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	tear_down(&f);
}

UNIT_TEST(test_credentials__options_that_contradict_are_refused)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_IMDS);
	f.options.profile = "some";
	UNIT_CODE(reef_credentials_open(&f.fake->host, &f.options, &f.credentials,
									&f.err), REEF_INVALID, &f.err);
	f.options.profile = NULL;
	f.options.role_arn = "arn:aws:iam::1:user/no-role";
	UNIT_CODE(reef_credentials_open(&f.fake->host, &f.options, &f.credentials,
									&f.err), REEF_INVALID, &f.err);
	tear_down(&f);
}

/* ---- profiles ---- */

static void
check_profile(const char *text, bool is_config, const char *name,
			  const char *expected)
{
	ReefProfile profile;
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_profile_parse(reef_slice_of_string(text), is_config, name,
							   &profile, &err), &err);
	if (expected == NULL && profile.access_key_id[0] == '\0')
		return;
	UNIT_EQUAL_STRING(profile.access_key_id, expected);
}

UNIT_TEST(test_credentials__profiles_of_many_shapes_are_read)
{
	check_profile("[a]\naws_access_key_id = K\n", false, "a", "K");
	check_profile("[a]\naws_access_key_id=K", false, "a", "K");
	check_profile("\xef\xbb\xbf[a]\r\nAWS_Access_Key_ID=K\r\n", false, "a", "K");
	check_profile("# [b]\n[ a ] ; c\n;x\naws_access_key_id\t=\tK # c\n", false,
				  "a", "K");
	check_profile("[a]\naws_access_key_id = K#not-a-comment\n", false, "a",
				  "K#not-a-comment");
	check_profile("[a]\naws_access_key_id = 1\n[b]\naws_access_key_id = 2\n"
				  "[a]\naws_access_key_id = 3\n", false, "a", "3");
	check_profile("[a]\ns3 =\n  aws_access_key_id = nested\n", false, "a",
				  NULL);
	check_profile("aws_access_key_id = K\n[a]\n", false, "a", NULL);
	check_profile("[a\naws_access_key_id = K\n", false, "a", NULL);
	check_profile("[profile a]\naws_access_key_id = K\n", false, "a", NULL);
	check_profile("[profile a]\naws_access_key_id = K\n", true, "a", "K");
	check_profile("[profile \"a b\"]\naws_access_key_id = K\n", true, "a b",
				  "K");
	check_profile("[a]\naws_access_key_id = K\n", true, "a", NULL);
	check_profile("[sso-session a]\naws_access_key_id = K\n", true, "a", NULL);
	check_profile("[default]\naws_access_key_id = K\n", true, "default", "K");
	check_profile("[profile default]\naws_access_key_id = P\n"
				  "[default]\naws_access_key_id = K\n", true, "default", "P");
	check_profile("[default]\naws_access_key_id = K\n"
				  "[profile default]\naws_access_key_id = P\n", true,
				  "default", "P");
	check_profile("[a]\n=\n==\naws_access_key_id\n= K\n[]\n]\n[\n", false, "a",
				  NULL);
}

UNIT_TEST(test_credentials__a_profile_with_a_long_value_or_a_zero_is_refused)
{
	char		text[4096];
	ReefProfile profile;
	ReefError	err;

	reef_error_init(&err);
	memset(text, 'k', sizeof(text));
	memcpy(text, "[a]\naws_access_key_id=", 22);
	UNIT_CODE(reef_profile_parse(reef_slice(text, sizeof(text)), false, "a",
								 &profile, &err), REEF_INVALID, &err);
	/* of another profile it does not matter */
	UNIT_OK(reef_profile_parse(reef_slice(text, sizeof(text)), false, "b",
							   &profile, &err), &err);
	UNIT_CODE(reef_profile_parse(reef_slice("[a]\n\0", 5), false, "a",
								 &profile, &err), REEF_INVALID, &err);
}

UNIT_TEST(test_credentials__keys_of_the_two_files_are_not_mixed)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_PROFILE);
	f.options.profile = "p";
	write_file(&f, ".aws/credentials", "[p]\naws_access_key_id=ONE\n"
			   "aws_secret_access_key=" SECRET "1\n");
	write_file(&f, ".aws/config", "[profile p]\naws_access_key_id=TWO\n"
			   "aws_secret_access_key=" SECRET "2\n"
			   "aws_session_token=" TOKEN "\n");
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "ONE");
	UNIT_EQUAL_STRING(f.keys->secret_access_key, SECRET "1");
	UNIT_EQUAL_STRING(f.keys->session_token, "");
	tear_down(&f);
}

UNIT_TEST(test_credentials__a_profile_that_cannot_be_used_says_why)
{
	static const struct
	{
		const char *config;
		const char *detail;
	}			cases[] = {
		{"", "profile p in "},
		{"[profile p]\nregion=x\n", "profile p"},
		{"[profile p]\ncredential_process=/bin/echo\n", "programs"},
		{"[profile p]\nsso_session=x\n", "single sign-on"},
		{"[profile p]\nrole_arn=" ROLE "\n", "source_profile"},
		{"[profile p]\nrole_arn=" ROLE "\nsource_profile=q\nmfa_serial=1\n",
		"device"},
		{"[profile p]\nrole_arn=" ROLE "\nsource_profile=q\n", "profile q"},
		{"[profile p]\nrole_arn=" ROLE "\nsource_profile=q\n"
			"[profile q]\nrole_arn=" ROLE "\nsource_profile=p\n", "circle"},
		{"[profile p]\naws_access_key_id=" SECRET "\n", "missing"}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Fixture		f;

		set_up(&f, REEF_CREDENTIAL_PROFILE);
		f.options.profile = "p";
		write_file(&f, ".aws/config", cases[i].config);
		UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
		if (strstr(f.err.detail, cases[i].detail) == NULL)
			UNIT_FAIL("case %zu: %s", i, f.err.detail);
		tear_down(&f);
	}
}

UNIT_TEST(test_credentials__what_is_no_file_is_not_read)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_PROFILE);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/zero", 1);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	tear_down(&f);
}

/* ---- roles ---- */

#define STS_ANSWER(result, expiration) \
	"<" result "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">" \
	"<" result "Result><Credentials><AccessKeyId>STSKEY</AccessKeyId>" \
	"<SecretAccessKey>" SECRET "</SecretAccessKey>" \
	"<SessionToken>" TOKEN "</SessionToken>" \
	"<Expiration>" expiration "</Expiration></Credentials>" \
	"</" result "Result></" result "Response>"

UNIT_TEST(test_credentials__a_profile_assumes_its_role)
{
	static const Route table[] = {
		{"POST / ", 200, STS_ANSWER("AssumeRole", "2026-11-18T11:26:40Z")}, {0}
	};
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_PROFILE);
	f.options.profile = "p";
	f.options.region = "eu-central-1";
	set_routes(table);
	set_url("AWS_ENDPOINT_URL_STS", "");
	fake_host_set_time(f.fake, NOW_US);
	write_file(&f, ".aws/config", "[profile p]\nrole_arn=" ROLE "\n"
			   "source_profile=base\nexternal_id=a b/c\nduration_seconds=900\n");
	write_file(&f, ".aws/credentials", "[base]\naws_access_key_id=BASE\n"
			   "aws_secret_access_key=" SECRET "\naws_session_token=" TOKEN "\n");
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "STSKEY");
	UNIT_EQUAL_STRING(f.keys->session_token, TOKEN);
	UNIT_EQUAL_INT(f.keys->expires_us, NOW_US + 3600 * SECOND_US);
	UNIT_CHECK(strstr(asked(0), "\r\n\r\nAction=AssumeRole&DurationSeconds=900"
					  "&ExternalId=a%20b%2Fc&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Freader"
					  "&RoleSessionName=reef_fdw&Version=2011-06-15") != NULL);
	UNIT_CHECK(strstr(asked(0), "Credential=BASE/20261118/eu-central-1/sts/aws4_request") != NULL);
	UNIT_CHECK(strstr(asked(0), "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token") != NULL);
	UNIT_CHECK(strstr(asked(0), "x-amz-security-token: " TOKEN) != NULL);
	UNIT_CHECK(strstr(asked(0), SECRET) == NULL);
	tear_down(&f);
}

UNIT_TEST(test_credentials__a_role_is_assumed_with_given_keys)
{
	static const Route table[] = {
		{"POST / ", 200, STS_ANSWER("AssumeRole", "2026-11-18T11:26:40Z")}, {0}
	};
	Fixture		f;
	ReefKeys	given = {.access_key_id = "GIVEN", .secret_access_key = SECRET};

	set_up(&f, REEF_CREDENTIAL_GIVEN);
	f.options.role_arn = ROLE;
	f.options.given = &given;
	set_routes(table);
	set_url("AWS_ENDPOINT_URL_STS", "/");
	fake_host_set_time(f.fake, NOW_US);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "STSKEY");
	UNIT_CHECK(strstr(asked(0), "Credential=GIVEN/") != NULL);
	tear_down(&f);
}

UNIT_TEST(test_credentials__a_refused_role_says_the_code_only)
{
	static const Route table[] = {
		{"POST / ", 403, "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
		"<Message>you sent " SECRET "</Message></Error></ErrorResponse>"}, {0}
	};
	static const Route broken[] = {{"POST / ", 200, "<html>" SECRET}, {0}};
	Fixture		f;
	ReefKeys	given = {.access_key_id = "GIVEN", .secret_access_key = SECRET};

	set_up(&f, REEF_CREDENTIAL_GIVEN);
	f.options.role_arn = ROLE;
	f.options.given = &given;
	set_routes(table);
	set_url("AWS_ENDPOINT_URL_STS", "");
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	UNIT_CHECK(strstr(f.err.detail, "AccessDenied") != NULL);
	set_routes(broken);
	UNIT_CODE(get(&f), REEF_UNAVAILABLE, &f.err);
	tear_down(&f);
}

UNIT_TEST(test_credentials__a_web_identity_is_exchanged)
{
	static const Route table[] = {
		{"POST / ", 200, STS_ANSWER("AssumeRoleWithWebIdentity", "2026-11-18T11:26:40Z")}, {0}
	};
	static const Route refused[] = {
		{"POST / ", 400, "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>"}, {0}
	};
	Fixture		f;
	char		path[256];

	set_up(&f, REEF_CREDENTIAL_WEB_IDENTITY);
	set_url("AWS_ENDPOINT_URL_STS", "");
	fake_host_set_time(f.fake, NOW_US);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	snprintf(path, sizeof(path), "%s/token", f.directory);
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
	setenv("AWS_ROLE_ARN", ROLE, 1);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	write_file(&f, "token", TOKEN "\n");
	set_routes(refused);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	UNIT_CHECK(strstr(f.err.detail, "ExpiredTokenException") != NULL);
	set_routes(table);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "STSKEY");
	UNIT_CHECK(strstr(asked(0), "&WebIdentityToken=" TOKEN) != NULL);
	UNIT_CHECK(strstr(asked(0), "Authorization") == NULL);
	tear_down(&f);
}

/* ---- containers ---- */

#define KEYS_ANSWER(expiration) \
	"{\"Code\":\"Success\",\"AccessKeyId\":\"JSONKEY\",\"SecretAccessKey\":\"" SECRET "\"," \
	"\"Token\":\"" TOKEN "\",\"Expiration\":\"" expiration "\"}"

UNIT_TEST(test_credentials__a_container_asks_its_endpoint)
{
	static const Route table[] = {
		{"GET /creds?x=1 ", 200, KEYS_ANSWER("2026-11-18T11:26:40Z")}, {0}
	};
	Fixture		f;
	char		path[256];

	set_up(&f, REEF_CREDENTIAL_CONTAINER);
	fake_host_set_time(f.fake, NOW_US);
	set_routes(table);
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/creds?x=1");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "from-variable", 1);
	snprintf(path, sizeof(path), "%s/token", f.directory);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	write_file(&f, "token", TOKEN "\n");
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "JSONKEY");
	UNIT_EQUAL_STRING(f.keys->session_token, TOKEN);
	UNIT_CHECK(strstr(asked(0), "Authorization: " TOKEN "\r\n") != NULL);
	tear_down(&f);

	set_up(&f, REEF_CREDENTIAL_CONTAINER);
	set_routes(table);
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/creds?x=1");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN "\r\nX: y", 1);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	UNIT_EQUAL_INT(request_count, 0);
	tear_down(&f);
}

UNIT_TEST(test_credentials__a_container_endpoint_elsewhere_is_refused)
{
	static const char *const urls[] = {
		"http://example.com/", "http://10.0.0.1/", "http://169.254.169.254/",
		"http://127.0.0.1.example.com/", "http://127.evil/",
		"http://127.0.0.1@example.com/", "http://127.0.0.1:80@example.com/", "http://localhost:x@example.com/",
		"http://127.0.0.1\\@example.com/",
		"http://localhost.example.com/", "http://[::2]/", "http://[::1].example.com/",
		"http://[::1", "ftp://127.0.0.1/", "127.0.0.1/x",
		"http://127.0.0.1#@example.com/", "http:///x"
	};
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_CONTAINER);
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
	{
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", urls[i], 1);
		UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
		if (strcmp(f.err.message, "endpoint of the container is refused") != 0)
			UNIT_FAIL("%s: %s", urls[i], f.err.message);
	}
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@example.com/", 1);
	UNIT_CODE(get(&f), REEF_UNAUTHENTICATED, &f.err);
	UNIT_EQUAL_STRING(f.err.message, "endpoint of the container is refused");
	tear_down(&f);
}

/* ---- instances ---- */

static const Route imds_routes[] = {
	{"PUT /latest/api/token ", 200, "SESSION" TOKEN},
	{"GET " IMDS_PATH " ", 200, "some-role\n"},
	{"GET " IMDS_PATH "some-role ", 200, KEYS_ANSWER("2026-11-18T11:26:40Z")},
	{0}
};

UNIT_TEST(test_credentials__an_instance_is_asked_by_version_2)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_IMDS);
	fake_host_set_time(f.fake, NOW_US);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "/");
	set_routes(imds_routes);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "JSONKEY");
	UNIT_EQUAL_INT(request_count, 3);
	UNIT_CHECK(strcasestr(asked(0), "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n") != NULL);
	UNIT_CHECK(strcasestr(asked(1), "X-aws-ec2-metadata-token: SESSION" TOKEN "\r\n") != NULL);
	UNIT_CHECK(strcasestr(asked(2), "X-aws-ec2-metadata-token: SESSION" TOKEN "\r\n") != NULL);
	tear_down(&f);
}

UNIT_TEST(test_credentials__wrong_answers_of_an_instance_are_refused)
{
	static const struct
	{
		Route		routes[4];
		ReefCode	expected;
		int			requests;
	}			cases[] = {
		/* version 1 only: nothing is asked without a token */
		{{{"PUT /", 405, ""}, {"GET " IMDS_PATH " ", 200, "r"}, {0}}, REEF_UNAUTHENTICATED, 1},
		{{{"PUT /", 200, "a\x01b"}, {0}}, REEF_UNAVAILABLE, 1},
		{{{"PUT /", 500, ""}, {0}}, REEF_UNAVAILABLE, 2},
		{{{"PUT /", -1, ""}, {0}}, REEF_UNAVAILABLE, 2},
		{{{"PUT /", 200, "t"}, {0}}, REEF_UNAUTHENTICATED, 2},
		{{{"PUT /", 200, "t"}, {"GET " IMDS_PATH " ", 200, "../../x"}, {0}}, REEF_UNAVAILABLE, 2},
		{{{"PUT /", 200, "t"}, {"GET " IMDS_PATH " ", 200, "r"}, {"GET " IMDS_PATH "r ", 403, SECRET}, {0}}, REEF_UNAUTHENTICATED, 3},
		{{{"PUT /", 200, "t"}, {"GET " IMDS_PATH " ", 200, "r"}, {"GET " IMDS_PATH "r ", 200, SECRET}, {0}}, REEF_UNAVAILABLE, 3},
		{{{"PUT /", 200, "t"}, {"GET " IMDS_PATH " ", 200, "r"}, {"GET " IMDS_PATH "r ", 200, "[]"}, {0}}, REEF_UNAVAILABLE, 3},
		{{{"PUT /", 200, "t"}, {"GET " IMDS_PATH " ", 200, "r"}, {"GET " IMDS_PATH "r ", 200, "{\"Code\":\"Failed\",\"Message\":\"" SECRET "\"}"}, {0}}, REEF_UNAVAILABLE, 3},
		{{{"PUT /", 200, "t"}, {"GET " IMDS_PATH " ", 200, "r"}, {"GET " IMDS_PATH "r ", 200, KEYS_ANSWER("soon")}, {0}}, REEF_UNAVAILABLE, 3},
		/* an hour ago */
		{{{"PUT /", 200, "t"}, {"GET " IMDS_PATH " ", 200, "r"}, {"GET " IMDS_PATH "r ", 200, KEYS_ANSWER("2026-11-18T09:26:40Z")}, {0}}, REEF_UNAUTHENTICATED, 3},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		Fixture		f;
		ReefCode	rc;

		set_up(&f, REEF_CREDENTIAL_IMDS);
		fake_host_set_time(f.fake, NOW_US);
		set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
		set_routes(cases[i].routes);
		rc = get(&f);
		if (rc != cases[i].expected || request_count != cases[i].requests)
			UNIT_FAIL("case %zu: %s, %d requests: %s (%s)", i,
					  reef_code_name(rc), request_count, f.err.message,
					  f.err.detail);
		tear_down(&f);
	}
}

UNIT_TEST(test_credentials__an_instance_that_does_not_answer_costs_little_time)
{
	static const Route table[] = {{"PUT /", 0, NULL}, {0}};
	Fixture		f;
	time_t		start = time(NULL);

	set_up(&f, REEF_CREDENTIAL_IMDS);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
	set_routes(table);
	UNIT_CODE(get(&f), REEF_UNAVAILABLE, &f.err);
	UNIT_CHECK(strstr(f.err.detail, "hop limit") != NULL);
	UNIT_CHECK(time(NULL) - start <= 4);

	fake_host_cancel(f.fake, true);
	UNIT_CODE(get(&f), REEF_CANCELLED, &f.err);
	fake_host_cancel(f.fake, false);
	tear_down(&f);
}

/* ---- time ---- */

UNIT_TEST(test_credentials__keys_are_renewed_before_they_expire)
{
	static const Route later[] = {
		{"PUT /latest/api/token ", 200, "t"},
		{"GET " IMDS_PATH " ", 200, "some-role"},
		{"GET " IMDS_PATH "some-role ", 200, KEYS_ANSWER("2026-11-18T12:26:40Z")},
		{0}
	};
	Fixture		f;
	uint64_t	version;

	set_up(&f, REEF_CREDENTIAL_IMDS);
	fake_host_set_time(f.fake, NOW_US);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
	set_routes(imds_routes);
	UNIT_OK(get(&f), &f.err);
	version = f.version;
	set_routes(later);

	/* six minutes before, at the most, and five at the least */
	fake_host_set_time(f.fake, NOW_US + (3600 - 361) * SECOND_US);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_INT(request_count, 0);
	fake_host_set_time(f.fake, NOW_US + (3600 - 299) * SECOND_US);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_INT(request_count, 3);
	UNIT_EQUAL_INT(f.keys->expires_us, NOW_US + 7200 * SECOND_US);
	UNIT_CHECK(f.version != version);
	tear_down(&f);
}

UNIT_TEST(test_credentials__a_failed_renewal_is_no_failure_before_the_end)
{
	static const Route failing[] = {{"", 500, SECRET}, {0}};
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_IMDS);
	fake_host_set_time(f.fake, NOW_US);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
	set_routes(imds_routes);
	UNIT_OK(get(&f), &f.err);
	set_routes(failing);
	fake_host_set_time(f.fake, NOW_US + (3600 - 299) * SECOND_US);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "JSONKEY");
	UNIT_EQUAL_INT(f.fake->log_warnings, 1);
	UNIT_EQUAL_INT(request_count, 2);

	/* not at every request */
	fake_host_set_time(f.fake, NOW_US + (3600 - 290) * SECOND_US);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_INT(request_count, 2);
	fake_host_set_time(f.fake, NOW_US + (3600 - 200) * SECOND_US);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_INT(request_count, 4);
	fake_host_set_time(f.fake, NOW_US + 3600 * SECOND_US);
	UNIT_CODE(get(&f), REEF_UNAVAILABLE, &f.err);
	tear_down(&f);
}

UNIT_TEST(test_credentials__processes_renew_at_moments_of_their_own)
{
	int			renewed = 0;

	for (int i = 0; i < 20; i++)
	{
		Fixture		f;

		set_up(&f, REEF_CREDENTIAL_IMDS);
		fake_host_seed(f.fake, (uint64_t) i + 1);
		fake_host_set_time(f.fake, NOW_US);
		set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
		set_routes(imds_routes);
		UNIT_OK(get(&f), &f.err);
		set_routes(imds_routes);
		fake_host_set_time(f.fake, NOW_US + (3600 - 330) * SECOND_US);
		UNIT_OK(get(&f), &f.err);
		renewed += request_count > 0;
		tear_down(&f);
	}
	UNIT_CHECK(renewed > 2 && renewed < 18);
}

UNIT_TEST(test_credentials__files_are_read_again_after_distrust)
{
	Fixture		f;

	set_up(&f, REEF_CREDENTIAL_PROFILE);
	fake_host_set_time(f.fake, NOW_US);
	write_file(&f, ".aws/credentials", "[default]\naws_access_key_id=OLD\n"
			   "aws_secret_access_key=" SECRET "\n");
	UNIT_OK(get(&f), &f.err);
	write_file(&f, ".aws/credentials", "[default]\naws_access_key_id=NEW\n"
			   "aws_secret_access_key=" SECRET "\n");
	fake_host_set_time(f.fake, NOW_US + 60 * SECOND_US);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "OLD");
	reef_credentials_distrust(f.credentials);
	UNIT_OK(get(&f), &f.err);
	UNIT_EQUAL_STRING(f.keys->access_key_id, "NEW");
	tear_down(&f);
}

UNIT_TEST(test_credentials__the_same_options_share_what_was_found)
{
	Fixture		f;
	ReefCredentials *other;
	ReefCredentials *third;

	set_up(&f, REEF_CREDENTIAL_IMDS);
	fake_host_set_time(f.fake, NOW_US);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
	set_routes(imds_routes);
	UNIT_OK(get(&f), &f.err);
	UNIT_OK(reef_credentials_open(&f.fake->host, &f.options, &other, &f.err),
			&f.err);
	UNIT_OK(reef_credentials_get(other, 0, &f.keys, &f.version, &f.err),
			&f.err);
	UNIT_EQUAL_INT(request_count, 3);
	f.options.role_arn = ROLE;
	UNIT_OK(reef_credentials_open(&f.fake->host, &f.options, &third, &f.err),
			&f.err);
	UNIT_CHECK(third != other);
	reef_credentials_close(third);
	reef_credentials_close(other);
	tear_down(&f);
}
