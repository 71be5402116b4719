/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers who asks for the MAC address of an address of ours, where no host does. */
#ifndef OWN_H
#define OWN_H

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <stdbool.h>

#include "options.h"

/* Turns a question into its answer. False if it is none, or is not for one of these. */
bool answer_question(struct rte_mbuf *frame, const struct own_address *own,
		     int own_count, const struct rte_ether_addr *mac);

#endif
