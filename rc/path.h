/* SPDX-License-Identifier: Apache-2.0 */
/* Names of configurations: "datadog/2/PRODUCT/id/name", "employee/PRODUCT/id/name". */
#ifndef RC_PATH_H
#define RC_PATH_H

#include "tuf/names.h"

#define RC_PRODUCT_MAX 64u /* bytes of a product's name, NUL included */

struct rc_path {
	char product[RC_PRODUCT_MAX];
	char id[TUF_PATH_MAX];
};

/*
 * Take a path apart. The last part can be anything, not only "config". Returns 0, or -EINVAL for
 * another form, and for what tuf_path_check() refuses.
 */
int rc_path_read(const char *text, struct rc_path *path);

#endif
