/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A second part of the seam in platform.h, for the program at a destination: the host's
 * TCP sockets. Each platform defines:
 *
 *   find_socket(ctx, tuple, version, ip, tcp, &seen)
 *                                  finds the socket that would get a segment. `ip` and
 *                                  `tcp` are the segment's headers; `tcp` is NULL if
 *                                  only its addresses and ports are known
 */
#ifndef PLATFORM_SOCKETS_H
#define PLATFORM_SOCKETS_H

#ifdef L4LB_NATIVE
#include "native_sockets.h"
#else
#include "bpf_sockets.h"
#endif

#endif
