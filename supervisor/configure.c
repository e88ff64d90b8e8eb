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

static void texts_drop(struct texts *texts)
{
	if (texts->fd >= 0)
		close(texts->fd);
	*texts = (struct texts){.fd = -1};
}

static void texts_move(struct texts *to, struct texts *from)
{
	texts_drop(to);
	*to = *from;
	*from = (struct texts){.fd = -1};
}

int configure_open(struct supervisor *sup, const char *path, int dir_fd)
{
	struct configure *conf = &sup->configure;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char dir[PATH_MAX];

	*conf = (struct configure){.dir_fd = -1,
				   .local.fd = -1,
				   .source.fd = -1,
				   .trial_local.fd = -1,
				   .trial_source.fd = -1,
				   .waiting.fd = -1};
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

int configure_reload(struct supervisor *sup)
{
	struct configure *conf = &sup->configure;
	int err;

	if (conf->checking) {
		conf->reload_waiting = true;
		return 0;
	}
	err = read_local(conf);
	if (err) {
		conf->applied = false;
		snprintf(conf->verdict, sizeof(conf->verdict), "%.60s: can't be read: %s",
			 conf->name, strerror(-err));
		log_error("configuration %s", conf->verdict);
		return err;
	}
	begin_check(sup);
	return 0;
}

int configure_candidate(struct supervisor *sup, const struct msg_candidate *candidate,
			struct dispatch_fds *fds)
{
	struct configure *conf = &sup->configure;
	struct texts *to = conf->checking ? &conf->waiting : &conf->trial_source;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < candidate->part_count; i++)
		sum += candidate->parts[i].len_bytes;
	if (candidate->kind != CANDIDATE_TEXTS || sum > CONFIG_TEXTS_MAX ||
	    memfd_check(fds->fds[0], (size_t)sum) < 0)
		return -EPROTO;
	texts_drop(to);
	to->fd = dispatch_take_fd(fds, 0);
	to->len_bytes = (uint32_t)sum;
	to->what = *candidate;
	if (!conf->checking)
		begin_check(sup);
	return 0;
}

void configure_send_check(struct supervisor *sup)
{
	struct configure *conf = &sup->configure;
	const struct texts *local = conf->trial_local.fd >= 0 ? &conf->trial_local : &conf->local;
	const struct texts *source =
		conf->trial_source.fd >= 0 ? &conf->trial_source : &conf->source;
	struct msg_check check = {.local.len_bytes = local->len_bytes};
	int fds[2] = {local->fd, source->fd};
	bool both = source->fd >= 0 && source->what.part_count > 0;

	memcpy(check.local.name, conf->name, sizeof(check.local.name));
	if (both) {
		check.part_count = source->what.part_count;
		memcpy(check.parts, source->what.parts, sizeof(check.parts));
	}
	(void)children_send(&sup->procs[ROLE_VERIFIER], MSG_CHECK, &check, fds, both ? 2 : 1);
}

/* Which children a change concerns. */
static bool loader_differs(const struct config *a, const struct config *b)
{
	return a->tracer != b->tracer || a->nat != b->nat || a->instance != b->instance ||
	       a->families != b->families || a->record_open != b->record_open ||
	       a->snapshot_interval_ms != b->snapshot_interval_ms ||
	       a->ring_bytes != b->ring_bytes || a->conn_max != b->conn_max ||
	       a->flow_max != b->flow_max || a->filter_count != b->filter_count ||
	       memcmp(a->filters, b->filters, sizeof(a->filters)) != 0 ||
	       strcmp(a->btf_path, b->btf_path) != 0;
}

static bool exporter_differs(const struct config *a, const struct config *b)
{
	return a->output_format != b->output_format || a->live_max != b->live_max ||
	       a->nat != b->nat || strcmp(a->output_path, b->output_path) != 0;
}

static bool poller_differs(const struct config *a, const struct config *b)
{
	return a->poll_interval_ms != b->poll_interval_ms ||
	       strcmp(a->source_dir, b->source_dir) != 0;
}

static bool anything_differs(const struct config *a, const struct config *b)
{
	return loader_differs(a, b) || exporter_differs(a, b) || poller_differs(a, b);
}

/* Children learn a configuration at their start: who is concerned is replaced. */
static void replace_children(struct supervisor *sup, const struct config *old, bool all)
{
	const struct config *new = &sup->configure.current.config;

	if (all || loader_differs(old, new))
		children_event(&sup->procs[ROLE_LOADER], LIFE_REPLACE);
	/* A ring of another size comes with a new tracer: the exporter is replaced when it is
	 * there. */
	if (sup->up && old->ring_bytes == new->ring_bytes && (all || exporter_differs(old, new)))
		children_event(&sup->procs[ROLE_EXPORTER], LIFE_REPLACE);
	if (!sup->up)
		return;
	if (!new->source_dir[0])
		children_event(&sup->procs[ROLE_POLLER], LIFE_STOP);
	else if (all || poller_differs(old, new))
		children_event(&sup->procs[ROLE_POLLER], LIFE_REPLACE);
}

static void answer_poller(struct supervisor *sup)
{
	struct configure *conf = &sup->configure;
	struct msg_verdict verdict = {.applied = conf->applied, .version = conf->current.version};
	struct proc *poller = &sup->procs[ROLE_POLLER];

	memcpy(verdict.reason, conf->verdict, sizeof(verdict.reason));
	if (poller->phase == PHASE_RUNNING && poller->life.state == LIFE_RUNNING)
		(void)children_send(poller, MSG_VERDICT, &verdict, NULL, 0);
}

static void say_verdict(struct supervisor *sup, bool applied, const char *text)
{
	struct configure *conf = &sup->configure;

	conf->applied = applied;
	snprintf(conf->verdict, sizeof(conf->verdict), "%s", text);
	if (conf->trial_source.fd >= 0)
		answer_poller(sup);
}

static void accept_trial(struct supervisor *sup, const struct config *config)
{
	struct configure *conf = &sup->configure;
	struct config old = conf->current.config;
	bool reload = conf->trial_local.fd >= 0;
	char text[MSG_TEXT_MAX];

	if (reload || anything_differs(&old, config)) {
		conf->current.version++;
		conf->current.config = *config;
	}
	snprintf(text, sizeof(text), "applied as version %u", conf->current.version);
	say_verdict(sup, true, text);
	log_info("configuration %s", text);
	if (reload)
		texts_move(&conf->local, &conf->trial_local);
	if (conf->trial_source.fd >= 0)
		texts_move(&conf->source, &conf->trial_source);
	replace_children(sup, &old, reload);
	/* What another directory said counts no more: once again, without it. */
	if (conf->source.fd >= 0 && strcmp(old.source_dir, config->source_dir) != 0) {
		texts_drop(&conf->source);
		conf->reload_waiting = true;
	}
}

static void refuse_trial(struct supervisor *sup, const char *text)
{
	say_verdict(sup, false, text);
	log_error("configuration refused, %s: %s",
		  sup->configure.current.version ? "the one in force stays" : "there is none yet",
		  text);
	texts_drop(&sup->configure.trial_local);
	texts_drop(&sup->configure.trial_source);
	if (!sup->configure.current.version)
		children_stop(sup, EX_CONFIG);
}

/* A check has ended; what came meanwhile is next. */
static void end_check(struct supervisor *sup)
{
	struct configure *conf = &sup->configure;

	conf->checking = false;
	if (sup->stopping)
		return;
	if (conf->waiting.fd >= 0)
		texts_move(&conf->trial_source, &conf->waiting);
	if (conf->reload_waiting) {
		conf->reload_waiting = false;
		(void)configure_reload(sup);
	}
	if (!conf->checking && conf->trial_source.fd >= 0)
		begin_check(sup);
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

int configure_checked(struct supervisor *sup, const struct msg_checked *checked)
{
	char text[MSG_TEXT_MAX];

	if (!sup->configure.checking)
		return -EPROTO;
	if (checked->valid && config_inconsistent(&checked->config))
		return -EPROTO;
	children_event(&sup->procs[ROLE_VERIFIER], LIFE_STOP);
	if (sup->options.check) {
		log_errors(checked);
		if (checked->valid)
			log_info("configuration is valid");
		children_stop(sup, checked->valid ? EX_OK : EX_CONFIG);
	} else if (checked->valid) {
		accept_trial(sup, &checked->config);
	} else {
		log_errors(checked);
		errors_text(checked, text, sizeof(text));
		refuse_trial(sup, text);
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
	children_event(&sup->procs[ROLE_VERIFIER], LIFE_STOP);
	refuse_trial(sup, text);
	end_check(sup);
}
