// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Why a file could not be read or written, in words. Pure. */

const CAUSES = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'you have no permission to open it'],
  ['EPERM', 'you have no permission to open it'],
  ['EISDIR', 'it is a directory'],
  ['ENOTREG', 'it is a pipe or a device, and not a regular file'],
  ['ENOTDIR', 'a part of its path is not a directory'],
  ['ENOSPC', 'the disk is full'],
  ['EROFS', 'the file system is read-only'],
  ['EPIPE', 'whoever read it has ended'],
  ['ENAMETOOLONG', 'its name is too long'],
]);

/** Returns the cause of a file system error; any other error is a bug and is thrown again. */
export function fileFault(error: unknown): string {
  const code = codeOf(error);
  if (code === undefined) throw error;
  return CAUSES.get(code) ?? code;
}

/** Returns the code, such as ENOENT. */
export function codeOf(error: unknown): string | undefined {
  const isOfSystem = typeof error === 'object' && error !== null && 'errno' in error;
  return isOfSystem && 'code' in error ? String(error.code) : undefined;
}
