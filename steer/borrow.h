/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The socket of another process. */
#ifndef BORROW_H
#define BORROW_H

#include <linux/types.h>

/*
 * Returns a descriptor of the socket with this inode, or a negative errno: ENOENT if no
 * process has it.
 */
int borrow_socket(__u32 inode);

#endif
