/* SPDX-License-Identifier: Apache-2.0 */
/* Each line of standard input as JSON: its canonical form in hexadecimal, or "refused". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tuf/digest.h"
#include "tuf/json.h"

static int print(const char *line, size_t len)
{
	struct tuf_why why;
	json_t *value;
	char *bytes, *hex;

	if (tuf_json_parse(line, len, &value, &why) != TUF_OK)
		return puts("refused");
	if (tuf_json_canonical(value, &bytes, &len) < 0)
		return EOF;
	json_decref(value);
	hex = malloc(2 * len + 1);
	if (!hex)
		return EOF;
	tuf_hex_write((const uint8_t *)bytes, len, hex);
	puts(hex);
	free(hex);
	free(bytes);
	return 0;
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int err = 0;

	while (err >= 0 && (len = getline(&line, &cap, stdin)) > 0)
		err = print(line, (size_t)len);
	free(line);
	return err < 0 || fflush(stdout) ? 1 : 0;
}
