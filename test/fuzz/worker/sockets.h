/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real TCP sockets, for the program in the kernel. */
#ifndef WORKER_SOCKETS_H
#define WORKER_SOCKETS_H

#include <linux/types.h>
#include <stdbool.h>

#define SOCKETS_NAME "sockets"
/* A key as in struct bpf_sock_tuple, a value as in struct native_socket. */
#define SOCKET_KEY 36
#define SOCKET_VALUE 8

/* Closes all, and gives this process a network namespace without any. */
void close_sockets(void);

/*
 * Opens one in that namespace. Returns its sequence number: the value's, but that of a
 * half-open one, which the kernel chooses. Listeners have to be opened first.
 */
__u32 open_socket(const void *key, const void *value);

/* Tells whether one is open with that key, state and number. */
bool is_open(const void *key, const void *value);

#endif
