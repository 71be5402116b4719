/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real TCP sockets, for the program in the kernel. */
#ifndef WORKER_SOCKETS_H
#define WORKER_SOCKETS_H

#include <linux/types.h>

#define SOCKETS_NAME "sockets"
/* A key as in struct bpf_sock_tuple, a value as in struct native_socket. */
#define SOCKET_KEY 36
#define SOCKET_VALUE 8

/* Opens one that is not open yet, in a network namespace of this process's own. */
void open_socket(const void *key, const void *value);

#endif
