/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/configure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memfd.h"
#include "supervisor/children.h"
#include "supervisor/remote.h"
#include "supervisor/replace.h"
#include "supervisor/rollout.h"
#include "supervisor/texts.h"
#include "supervisor/verdict.h"

/* Each check is a process: a poller that sends and sends has no more of them. */
#define CHECK_SPACING_MS 250u

int configure_open(struct supervisor *sup, const char *path, int dir_fd)
{
	struct configure *conf = &sup->configure;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char dir[PATH_MAX];

	*conf = (struct configure){.dir_fd = -1,
				   .local = TEXTS_NONE,
				   .source = TEXTS_NONE,
				   .trial_local = TEXTS_NONE,
				   .trial_source = TEXTS_NONE,
				   .waiting = TEXTS_NONE};
	sup->rollout.proven = TEXTS_NONE;
	sup->remote.root_fd = sup->remote.store.dir_fd = -1;
	if (strlen(name) >= sizeof(conf->name) || (size_t)(name - path) >= sizeof(dir))
		return -ENAMETOOLONG;
	snprintf(conf->name, sizeof(conf->name), "%s", name);
	snprintf(dir, sizeof(dir), "%.*s", (int)(name - path), path);
	conf->dir_fd =
		dir_fd >= 0 ? dir_fd : open(slash ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return conf->dir_fd < 0 ? -errno : 0;
}

/* Reads the whole file; *bytes is the caller's to free. Returns its length or a negative errno. */
static ssize_t read_file(int dir_fd, const char *name, char **bytes)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n, len = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	*bytes = malloc(CONFIG_TEXT_MAX + 1);
	if (!*bytes)
		len = -ENOMEM;
	else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		len = -EINVAL;
	while (len >= 0 && len <= CONFIG_TEXT_MAX) {
		n = read(fd, *bytes + len, (size_t)(CONFIG_TEXT_MAX + 1 - len));
		if (n <= 0) {
			len = n < 0 ? -errno : len;
			break;
		}
		len += n;
	}
	close(fd);
	if (len >= 0 && len <= CONFIG_TEXT_MAX)
		return len;
	free(*bytes);
	return len < 0 ? len : -EFBIG;
}

static int read_local(struct configure *conf)
{
	char *bytes = NULL;
	ssize_t len = read_file(conf->dir_fd, conf->name, &bytes);
	int fd;

	if (len < 0)
		return (int)len;
	fd = memfd_seal("configuration", bytes, (size_t)len);
	free(bytes);
	if (fd < 0)
		return fd;
	texts_drop(&conf->trial_local);
	conf->trial_local.fd = fd;
	conf->trial_local.len_bytes = (uint32_t)len;
	return 0;
}

static void begin_check(struct supervisor *sup)
{
	sup->configure.checking = true;
	children_event(&sup->procs[ROLE_VERIFIER], LIFE_WANT);
}

static void begin_waiting(struct supervisor *sup);

static void on_spaced(void *ctx, uint32_t events)
{
	struct supervisor *sup = ctx;

	(void)events;
	(void)loop_timer_ack(sup->configure.spacing_fd);
	begin_waiting(sup);
}

static void begin_later(struct supervisor *sup, uint32_t wait_ms)
{
	struct configure *conf = &sup->configure;

	if (!conf->spacing_fd)
		conf->spacing_fd = loop_timer(&sup->loop, wait_ms, 0, on_spaced, sup);
	else
		(void)loop_timer_set(conf->spacing_fd, wait_ms, 0);
}

/* What was fetched is checked when nothing else is. */
static void begin_waiting(struct supervisor *sup)
{
	struct configure *conf = &sup->configure;
	uint64_t now = loop_now_ms();

	if (conf->checking || sup->stopping || !texts_are_there(&conf->waiting))
		return;
	if (now < conf->spaced_until_ms) {
		begin_later(sup, (uint32_t)(conf->spaced_until_ms - now));
		return;
	}
	conf->spaced_until_ms = now + CHECK_SPACING_MS;
	texts_move(&conf->trial_source, &conf->waiting);
	begin_check(sup);
}

/* What is stored of a source is not awaited any more. */
static void release_children(struct supervisor *sup)
{
	if (!sup->configure.held)
		return;
	sup->configure.held = false;
	replace_children(sup, &sup->configure.current.config, true);
}

int configure_reload(struct supervisor *sup)
{
	struct configure *conf = &sup->configure;
	char text[MSG_TEXT_MAX];
	int err;

	if (conf->checking) {
		conf->reload_waiting = true;
		return 0;
	}
	err = read_local(conf);
	if (err) {
		snprintf(text, sizeof(text), "%.60s: can't be read: %s", conf->name,
			 strerror(-err));
		verdict_on_local(sup, VERDICT_REFUSED, text);
		release_children(sup);
		return err;
	}
	/* The root may have been replaced. */
	if (conf->current.version)
		(void)remote_follow(sup);
	begin_check(sup);
	return 0;
}

int configure_candidate(struct supervisor *sup, const struct msg_candidate *candidate,
			struct dispatch_fds *fds)
{
	struct configure *conf = &sup->configure;
	struct texts *to = &conf->waiting;
	uint32_t kind = remote_is_signed(sup) ? CANDIDATE_BUNDLE : CANDIDATE_TEXTS;
	uint64_t most = remote_is_signed(sup) ? MSG_BUNDLE_MAX : CONFIG_TEXTS_MAX;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < candidate->part_count; i++)
		sum += candidate->parts[i].len_bytes;
	if (candidate->kind != kind || sum > most || memfd_check(fds->fds[0], (size_t)sum) < 0)
		return -EPROTO;
	texts_drop(to);
	to->fd = dispatch_take_fd(fds, 0);
	to->len_bytes = (uint32_t)sum;
	to->what = *candidate;
	begin_waiting(sup);
	return 0;
}

/* Texts of the source behind the local one. Returns how many fds they take. */
static int add_texts(const struct supervisor *sup, struct msg_check *check, int *fds)
{
	const struct configure *conf = &sup->configure;
	const struct texts *source =
		texts_are_there(&conf->trial_source) ? &conf->trial_source : rollout_proven(sup);

	if (!texts_are_there(source) || !source->what.part_count)
		return 0;
	fds[1] = source->fd;
	check->part_count = source->what.part_count;
	memcpy(check->parts, source->what.parts, sizeof(check->parts));
	return 1;
}

void configure_send_check(struct supervisor *sup)
{
	struct configure *conf = &sup->configure;
	const struct texts *local =
		texts_are_there(&conf->trial_local) ? &conf->trial_local : &conf->local;
	struct msg_check check = {.local.len_bytes = local->len_bytes};
	int fds[1 + CHECK_PARTS_MAX] = {local->fd}, more;

	memcpy(check.local.name, conf->name, sizeof(check.local.name));
	more = remote_fill_check(sup, &conf->trial_source, &check, fds);
	if (more < 0) {
		configure_failed(sup, strerror(-more));
		return;
	}
	if (!remote_is_signed(sup))
		more = add_texts(sup, &check, fds);
	(void)children_send(&sup->procs[ROLE_VERIFIER], MSG_CHECK, &check, fds, 1 + (uint32_t)more);
	if (remote_is_signed(sup))
		close(fds[1 + CHECK_STORE]);
}

/* What is checked, and on what. */
static bool is_reload(const struct configure *conf)
{
	return texts_are_there(&conf->trial_local);
}

static void tell(struct supervisor *sup, enum verdict verdict, const char *text,
		 const struct msg_checked *checked)
{
	if (is_reload(&sup->configure))
		verdict_on_local(sup, verdict, text);
	else
		verdict_on_source(sup, verdict, text, checked ? &checked->origins : NULL, checked);
}

/*
 * What another source said counts no more: once again, without it. What is stored of the new one
 * comes into force first; at the start the children wait for that.
 */
static void follow_source(struct supervisor *sup, const struct config *old)
{
	struct configure *conf = &sup->configure;
	const struct config_source *new = &conf->current.config.source;
	bool spoken = texts_are_there(&conf->source) || remote_is_signed(sup);
	bool stored;

	conf->held = false;
	if (strcmp(old->source.dir, new->dir) == 0 && strcmp(old->source.url, new->url) == 0 &&
	    strcmp(old->source.rc, new->rc) == 0 && strcmp(old->source.root, new->root) == 0)
		return;
	texts_drop(&conf->source);
	texts_drop(&conf->waiting);
	verdict_forget_source(sup);
	stored = remote_follow(sup);
	conf->reload_waiting |= spoken || stored;
	conf->held = stored && conf->current.version == 1;
}

static void accept_trial(struct supervisor *sup, const struct msg_checked *checked)
{
	struct configure *conf = &sup->configure;
	const struct config *config = &checked->config;
	struct config old = conf->current.config;
	bool reload = is_reload(conf), changed = reload || replace_is_due(&old, config);
	enum verdict verdict;
	char text[MSG_TEXT_MAX];

	if (changed) {
		conf->current.version++;
		conf->current.config = *config;
	}
	verdict = reload ? rollout_reload(sup) : rollout_source(sup, &old, changed);
	conf->origins = checked->origins;
	snprintf(text, sizeof(text), "applied as version %u", conf->current.version);
	tell(sup, verdict, text, checked);
	if (reload)
		texts_move(&conf->local, &conf->trial_local);
	else
		texts_move(&conf->source, &conf->trial_source);
	/* Of signed configuration the store has what is in force. */
	if (remote_is_signed(sup)) {
		texts_drop(&conf->source);
		if (reload)
			verdict_stored(sup, &checked->origins);
		else if (verdict == VERDICT_APPLIED)
			remote_passed(sup);
	}
	follow_source(sup, &old);
	if (!conf->held)
		replace_children(sup, &old, reload);
}

static void refuse_trial(struct supervisor *sup, const char *text,
			 const struct msg_checked *checked)
{
	tell(sup, VERDICT_REFUSED, text, checked);
	texts_drop(&sup->configure.trial_local);
	texts_drop(&sup->configure.trial_source);
	if (!sup->configure.current.version)
		children_stop(sup, EX_CONFIG);
	release_children(sup);
}

/* A check has ended; what came meanwhile is next, a reload first. */
static void end_check(struct supervisor *sup)
{
	struct configure *conf = &sup->configure;

	conf->checking = false;
	if (sup->stopping)
		return;
	if (conf->reload_waiting) {
		conf->reload_waiting = false;
		(void)configure_reload(sup);
	}
	begin_waiting(sup);
}

static void log_errors(const struct msg_checked *checked)
{
	for (uint32_t i = 0; i < checked->error_count; i++) {
		const struct msg_error *error = &checked->errors[i];

		if (error->line)
			log_error("%s:%u: %s", error->file, error->line, error->reason);
		else
			log_error("%s: %s", error->file, error->reason);
	}
}

/* The first error, and how many there are: what the status has room for. */
static void errors_text(const struct msg_checked *checked, char *text, size_t cap)
{
	const struct msg_error *error = &checked->errors[0];

	if (!checked->error_count)
		snprintf(text, cap, "refused without a reason");
	else if (checked->error_count == 1)
		snprintf(text, cap, "%.60s:%u: %.170s", error->file, error->line, error->reason);
	else
		snprintf(text, cap, "%.60s:%u: %.140s (and %u more)", error->file, error->line,
			 error->reason, checked->error_count - 1);
}

int configure_keep(struct supervisor *sup, const struct msg_keep *keep)
{
	return sup->configure.checking ? remote_keep(sup, keep, &sup->configure.trial_source)
				       : -EPROTO;
}

int configure_checked(struct supervisor *sup, const struct msg_checked *checked)
{
	/* Who asks for a reload has a reason to try it again. */
	const char *rejected =
		is_reload(&sup->configure) ? NULL : rollout_rejected(sup, &checked->config);
	char text[MSG_TEXT_MAX];

	if (!sup->configure.checking)
		return -EPROTO;
	if (checked->valid && config_inconsistent(&checked->config))
		return -EPROTO;
	children_event(&sup->procs[ROLE_VERIFIER], LIFE_STOP);
	sup->configure.again = remote_is_passing(&checked->signature);
	remote_checked(sup, &checked->signature, &sup->configure.trial_source,
		       checked->valid && !rejected);
	if (sup->options.check) {
		log_errors(checked);
		if (checked->valid)
			log_info("configuration is valid");
		children_stop(sup, checked->valid ? EX_OK : EX_CONFIG);
	} else if (!checked->valid) {
		log_errors(checked);
		errors_text(checked, text, sizeof(text));
		refuse_trial(sup, text, checked);
	} else if (rejected) {
		refuse_trial(sup, rejected, checked);
	} else {
		accept_trial(sup, checked);
	}
	end_check(sup);
	return 0;
}

void configure_failed(struct supervisor *sup, const char *reason)
{
	char text[MSG_TEXT_MAX];

	if (!sup->configure.checking)
		return;
	snprintf(text, sizeof(text), "the verifier failed: %.200s", reason);
	sup->configure.again = true;
	children_event(&sup->procs[ROLE_VERIFIER], LIFE_STOP);
	refuse_trial(sup, text, NULL);
	end_check(sup);
}
