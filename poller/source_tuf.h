/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source for a fleet: a repository of signed configuration (The Update Framework), by https://
 * or file:///. What is fetched is verified here, too, to know what to fetch next; nobody relies on
 * that.
 */
#ifndef POLLER_SOURCE_TUF_H
#define POLLER_SOURCE_TUF_H

#include "poller/source.h"

extern const struct source source_tuf;

#endif
