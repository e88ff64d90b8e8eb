/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay FILE|DIRECTORY...: give each file to a fuzz harness once, without libFuzzer, so that what
 * was found once is tried in every test run. Prints TAP: one test for all of them. A crash or a
 * sanitizer's finding ends the program; the last "# input" line says on which file.
 */
#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (16u << 20) /* bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static void replay_file(const char *path, size_t size)
{
	/* Of exactly its size, so that one byte too far is seen. */
	uint8_t *data = malloc(size ? size : 1);
	FILE *file = fopen(path, "rb");

	if (!data || !file || fread(data, 1, size, file) != size)
		err(1, "%s: can't be read", path);
	fclose(file);
	printf("# input %s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	inputs++;
}

static void replay_path(const char *path);

static void replay_directory(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	char name[4096];

	if (count < 0)
		err(1, "%s: can't be listed", path);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			if (snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name) >=
			    (int)sizeof(name))
				errx(1, "%s: name too long", path);
			replay_path(name);
		}
		free(entries[i]);
	}
	free(entries);
}

static void replay_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		err(1, "%s", path);
	if (S_ISDIR(st.st_mode))
		replay_directory(path);
	else if (S_ISREG(st.st_mode) && st.st_size <= (off_t)INPUT_MAX)
		replay_file(path, (size_t)st.st_size);
	else
		errx(1, "%s: not a regular file of at most %u bytes", path, INPUT_MAX);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay_path(argv[i]);
	printf("%s 1 - %zu inputs replayed\n1..1\n", inputs ? "ok" : "not ok", inputs);
	return inputs ? 0 : 1;
}
