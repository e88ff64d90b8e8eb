/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/wholefile.h"
#include "tuf/fetch_state.h"
#include "tuf/names.h"

/* Slower than this many bytes a second for a third of the time is no transfer. */
#define SPEED_MIN 64L

#define HEADERS_MAX (64u << 10) /* bytes of an answer's headers */

#define TAG_SAFE_S 60

#define URL_MAX (FETCH_BASE_MAX + 1024u)

int fetch_say(struct fetch_options *options, int err, const char *what)
{
	snprintf(options->why, sizeof(options->why), "%s", what);
	return err;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- base URLs -----------------------------------------------------------------------------------
 */

static bool has_scheme(const char *url, const char *scheme)
{
	return strncasecmp(url, scheme, strlen(scheme)) == 0;
}

static bool is_loopback(const char *host)
{
	struct in_addr address;

	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

static bool is_loopback_url(const char *url)
{
	CURLU *parts = curl_url();
	char *host = NULL;
	bool loopback = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
			curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
			is_loopback(host);

	curl_free(host);
	curl_url_cleanup(parts);
	return loopback;
}

int fetch_check_base(struct fetch *fetch, const char *base)
{
	struct fetch_options *options = fetch->options;

	if (strlen(base) >= FETCH_BASE_MAX)
		return fetch_say(options, -EINVAL, "base URL is longer than 1023 bytes");
	if (strpbrk(base, "?#@\\ \t\r\n"))
		return fetch_say(options, -EINVAL,
				 "base URL: only scheme, host, port and path: nothing "
				 "with ? # @ or blanks");
	if (has_scheme(base, "file:"))
		return strncmp(base, "file:///", 8) == 0
			       ? 0
			       : fetch_say(options, -EINVAL,
					   "base URL: a local one is file:///FOLDER");
	if (has_scheme(base, "https://"))
		return 0;
	if (!has_scheme(base, "http://"))
		return fetch_say(options, -EINVAL, "base URL: neither https:// nor file:///");
	if (!options->loopback_http || !is_loopback_url(base))
		return fetch_say(options, -EINVAL,
				 "base URL: plain http:// is not safe: use https://");
	return 0;
}
_Static_assert(FETCH_BASE_MAX == 1024, "fetch: numbers in texts");

static int join(struct fetch *fetch, const char *base, const char *relative, char url[URL_MAX])
{
	size_t len = strlen(base);

	while (len && base[len - 1] == '/')
		len--;
	if (snprintf(url, URL_MAX, "%.*s/%s", (int)len, base, relative) >= (int)URL_MAX)
		return fetch_say(fetch->options, -EIO, "URL too long");
	return 0;
}

/* --- file:/// ------------------------------------------------------------------------------------
 */

/* As a server decodes it, but never out of the folder. Returns NULL if it can't be. */
static char *decode(const char *url)
{
	int len = 0;
	char *text = curl_easy_unescape(NULL, url, 0, &len);

	if (text && strlen(text) == (size_t)len)
		return text;
	curl_free(text);
	return NULL;
}

/* A folder that isn't there is no answer: an unmounted disk must not look like the end of the chain
   of roots. */
static int read_in_folder(struct fetch *fetch, const char *folder, const char *name,
			  size_t max_bytes, char **bytes, size_t *len)
{
	int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (dir_fd < 0)
		return fetch_say(fetch->options, -EIO, strerror(errno));
	err = wholefile_read(dir_fd, name, max_bytes, bytes, len);
	close(dir_fd);
	if (err)
		fetch_say(fetch->options, err, strerror(-err));
	return !err || err == -ENOENT || err == -EFBIG ? err : -EIO;
}

static int get_file(struct fetch *fetch, const char *base, const char *relative, size_t max_bytes,
		    char **bytes, size_t *len)
{
	char *folder = decode(base + strlen("file://"));
	char *name = decode(relative);
	int err;

	if (folder && name && tuf_path_check(name) == 0)
		err = read_in_folder(fetch, folder, name, max_bytes, bytes, len);
	else
		err = fetch_say(fetch->options, -EIO, "not a name that a folder can hold");
	curl_free(folder);
	curl_free(name);
	return err;
}

/* --- http ----------------------------------------------------------------------------------------
 */

static size_t on_bytes(char *from, size_t size, size_t count, void *context)
{
	struct fetch_body *body = context;
	size_t len = size * count;

	if (len > body->max - body->len) {
		body->too_large = true;
		return 0;
	}
	if (len > body->cap - body->len) {
		size_t cap = (body->cap + len) * 2;
		char *more = realloc(body->bytes, cap);

		if (!more)
			return 0;
		body->bytes = more;
		body->cap = cap;
	}
	memcpy(body->bytes + body->len, from, len);
	body->len += len;
	return len;
}

/* The value of a header, without blanks around it; "" if the line is another one, or too long. */
static void read_header(const char *line, size_t len, const char *name, char *value, size_t cap)
{
	size_t name_len = strlen(name);

	value[0] = '\0';
	if (len <= name_len || strncasecmp(line, name, name_len) != 0)
		return;
	line += name_len;
	len -= name_len;
	while (len && (*line == ' ' || *line == '\t'))
		line++, len--;
	while (len && strchr(" \t\r\n", line[len - 1]))
		len--;
	if (len < cap)
		snprintf(value, cap, "%.*s", (int)len, line);
}

/* They are not kept, but libcurl keeps them: it must not keep them without end. */
static size_t on_header(const char *line, size_t size, size_t count, void *context)
{
	struct fetch_body *body = context;
	const struct {
		const char *name;
		char *to;
	} texts[] = {{"etag:", body->etag},
		     {"date:", body->date},
		     {"last-modified:", body->last_modified}};
	char value[FETCH_ETAG_MAX];

	body->headers += size * count;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		read_header(line, size * count, texts[i].name, value, sizeof(value));
		if (value[0])
			memcpy(texts[i].to, value, sizeof(value));
	}
	/* Only in seconds: the other form, a date, would have two clocks agree. */
	read_header(line, size * count, "retry-after:", value, sizeof(value));
	if (value[0] >= '0' && value[0] <= '9' && strlen(value) < 10)
		body->retry_after_s = (uint32_t)strtoul(value, NULL, 10);
	return body->headers > HEADERS_MAX ? 0 : size * count;
}

/* libcurl calls it at least once a second. */
static int on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
		       curl_off_t up)
{
	const struct fetch *fetch = context;
	const struct fetch_options *options = fetch->options;

	(void)down_all;
	(void)down;
	(void)up_all;
	(void)up;
	return options->breathe && !options->breathe(options->ctx) ? 1 : 0;
}

static CURLcode pin_protocols(const struct fetch *fetch)
{
	/* The older of the two is all that libcurl has before 7.85. */
#if CURL_AT_LEAST_VERSION(7, 85, 0)
	return curl_easy_setopt(fetch->curl, CURLOPT_PROTOCOLS_STR,
				fetch->options->loopback_http ? "https,http" : "https");
#else
	return curl_easy_setopt(fetch->curl, CURLOPT_PROTOCOLS,
				fetch->options->loopback_http ? CURLPROTO_HTTPS | CURLPROTO_HTTP
							      : CURLPROTO_HTTPS);
#endif
}

/* What never changes. Redirects are not followed, nothing is decompressed: curl's defaults. */
static int set_options(struct fetch *fetch)
{
	CURL *curl = fetch->curl;
	const struct fetch_options *options = fetch->options;

	if (pin_protocols(fetch) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_USERAGENT, options->agent) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, SPEED_MIN) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(options->timeout_s + 2) / 3) !=
		    CURLE_OK)
		return -EINVAL;
	if (options->breathe &&
	    (curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) != CURLE_OK ||
	     curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) != CURLE_OK ||
	     curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetch) != CURLE_OK))
		return -EINVAL;
	if (options->loopback_http && curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") != CURLE_OK)
		return -EINVAL;
	if (options->unix_socket &&
	    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket) != CURLE_OK)
		return -EINVAL;
	if (options->ca_file &&
	    curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file) != CURLE_OK)
		return -EINVAL;
	return 0;
}

int fetch_judge(struct fetch *fetch, CURLcode code, const char *error,
		const struct fetch_body *body)
{
	struct fetch_options *options = fetch->options;
	long status = 0;

	(void)curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
	options->status = status;
	options->retry_after_s = body->retry_after_s;
	if (body->too_large && status == 200)
		return fetch_say(options, -EFBIG, "more bytes than there may be");
	if (code != CURLE_OK && !body->too_large)
		return fetch_say(options, -EIO, error[0] ? error : curl_easy_strerror(code));
	if (status == 200)
		return 0;
	if (status == 304)
		return -EALREADY;
	snprintf(options->why, sizeof(options->why), "the server answered %ld", status);
	return status == 404 || status == 403 ? -ENOENT : -EIO;
}

int fetch_prepare(struct fetch *fetch, const char *url, long timeout_ms, struct fetch_body *body,
		  char error[CURL_ERROR_SIZE])
{
	CURL *curl = fetch->curl;

	if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_HEADERDATA, body) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) != CURLE_OK)
		return fetch_say(fetch->options, -EIO, "out of memory");
	return 0;
}

static int get_http(struct fetch *fetch, const char *url, struct fetch_body *body)
{
	char error[CURL_ERROR_SIZE] = "";
	int64_t left_ms = fetch->until_ms - now_ms();
	int64_t timeout_ms = (int64_t)fetch->options->timeout_s * 1000;
	CURLcode code;
	int err;

	if (left_ms <= 0)
		return fetch_say(fetch->options, -EIO, "no time left for more requests");
	if (timeout_ms > left_ms)
		timeout_ms = left_ms;
	err = fetch_prepare(fetch, url, (long)timeout_ms, body, error);
	if (err)
		return err;
	code = curl_easy_perform(fetch->curl);
	/* It points to this function's memory. */
	(void)curl_easy_setopt(fetch->curl, CURLOPT_ERRORBUFFER, NULL);
	return fetch_judge(fetch, code, error, body);
}

/* Asks for it unless it carries that tag; "" for it in any case. */
static int get_if_other(struct fetch *fetch, const char *etag, const char *url,
			struct fetch_body *body)
{
	char line[FETCH_ETAG_MAX + 32];
	struct curl_slist *headers = NULL;
	int err;

	if (etag[0]) {
		snprintf(line, sizeof(line), "If-None-Match: %s", etag);
		headers = curl_slist_append(NULL, line);
		if (!headers)
			return fetch_say(fetch->options, -EIO, "out of memory");
	}
	if (curl_easy_setopt(fetch->curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK)
		err = fetch_say(fetch->options, -EIO, "out of memory");
	else
		err = get_http(fetch, url, body);
	(void)curl_easy_setopt(fetch->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	/* Nobody asked for less than all of it. */
	return err == -EALREADY && !etag[0] ? -EIO : err;
}

/*
 * Servers make a tag of the time of a file and its size: of one that was just written the next
 * version may have the same. RFC 9110, section 8.8.2.2, takes a minute for safe.
 */
static bool can_tell_apart(const struct fetch_body *body)
{
	time_t date = curl_getdate(body->date, NULL);
	time_t changed = curl_getdate(body->last_modified, NULL);

	if (!body->last_modified[0])
		return true;
	return date >= 0 && changed >= 0 && date - changed >= TAG_SAFE_S;
}

int fetch_get(struct fetch *fetch, const char *base, const char *relative, size_t max_bytes,
	      char **bytes, size_t *len)
{
	char etag[FETCH_ETAG_MAX] = "";

	return fetch_get_changed(fetch, base, relative, max_bytes, etag, bytes, len);
}

int fetch_get_changed(struct fetch *fetch, const char *base, const char *relative, size_t max_bytes,
		      char etag[FETCH_ETAG_MAX], char **bytes, size_t *len)
{
	struct fetch_body body = {.max = max_bytes};
	char url[URL_MAX];
	int err = fetch_check_base(fetch, base);

	*bytes = NULL;
	*len = 0;
	fetch->options->status = 0;
	fetch->options->retry_after_s = 0;
	if (err)
		return -EIO;
	if (has_scheme(base, "file:"))
		return get_file(fetch, base, relative, max_bytes, bytes, len);
	err = join(fetch, base, relative, url);
	if (!err)
		err = get_if_other(fetch, etag, url, &body);
	if (err) {
		free(body.bytes);
		return err;
	}
	if (can_tell_apart(&body))
		memcpy(etag, body.etag, sizeof(body.etag));
	else
		etag[0] = '\0';
	*bytes = body.bytes;
	*len = body.len;
	return 0;
}

struct curl_slist *fetch_json_headers(void)
{
	struct curl_slist *type = curl_slist_append(NULL, "Content-Type: application/json");
	struct curl_slist *both = type ? curl_slist_append(type, "Expect:") : NULL;

	if (!both)
		curl_slist_free_all(type);
	return both;
}

int fetch_prepare_json(struct fetch *fetch, const char *json, struct curl_slist *headers)
{
	CURL *curl = fetch->curl;

	if (!headers || curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, json) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(json)) != CURLE_OK)
		return fetch_say(fetch->options, -EIO, "out of memory");
	return 0;
}

static int post_http(struct fetch *fetch, const char *url, const char *json,
		     struct fetch_body *body)
{
	CURL *curl = fetch->curl;
	struct curl_slist *headers = fetch_json_headers();
	int err = fetch_prepare_json(fetch, json, headers);

	if (!err)
		err = get_http(fetch, url, body);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return err;
}

int fetch_post(struct fetch *fetch, const char *base, const char *relative, const char *json,
	       size_t max_bytes, char **bytes, size_t *len)
{
	struct fetch_body body = {.max = max_bytes};
	char url[URL_MAX];
	int err = fetch_check_base(fetch, base);

	*bytes = NULL;
	*len = 0;
	fetch->options->status = 0;
	fetch->options->retry_after_s = 0;
	if (!err)
		err = join(fetch, base, relative, url);
	if (err)
		return -EIO;
	err = post_http(fetch, url, json, &body);
	if (!err) {
		*bytes = body.bytes;
		*len = body.len;
		return 0;
	}
	free(body.bytes);
	return fetch->options->status && fetch->options->status != 200 ? 0 : err;
}

void fetch_start(struct fetch *fetch)
{
	fetch->until_ms = now_ms() + (int64_t)fetch->options->timeout_s * 10000;
}

int fetch_renew(struct fetch *fetch)
{
	curl_easy_cleanup(fetch->curl);
	fetch->curl = curl_easy_init();
	return fetch->curl && set_options(fetch) == 0
		       ? 0
		       : fetch_say(fetch->options, -EINVAL,
				   "this libcurl can't be used: it lacks https");
}

int fetch_open(struct fetch **fetch, struct fetch_options *options)
{
	struct fetch *new = calloc(1, sizeof(*new));

	*fetch = NULL;
	if (!new)
		return fetch_say(options, -ENOMEM, "out of memory");
	new->options = options;
	fetch_start(new);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || fetch_renew(new) < 0) {
		fetch_close(new);
		return fetch_say(options, -EINVAL, "this libcurl can't be used: it lacks https");
	}
	*fetch = new;
	return 0;
}

void fetch_close(struct fetch *fetch)
{
	if (!fetch)
		return;
	curl_easy_cleanup(fetch->curl);
	curl_global_cleanup();
	free(fetch);
}
