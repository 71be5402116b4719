// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the user says about who we are to etcd, and who etcd is to us. Pure. */

/** Paths of files, and a name. Files are read again when what they had is refused. */
export interface Access {
  /** Certificates of those who may have signed etcd's; without it, those that node knows. */
  ca?: string | undefined;
  /** What we show etcd, and its key. */
  certificate?: string | undefined;
  key?: string | undefined;
  /** A user of etcd's, with a file that has the password. */
  user?: string | undefined;
  passwordFile?: string | undefined;
  /** Has what is sent as `authorization`, such as a token of JWT. */
  tokenFile?: string | undefined;
}

/** What the command line calls them. */
export const OPTIONS = {
  ca: '--store-ca',
  certificate: '--store-cert',
  key: '--store-key',
  user: '--store-user',
  passwordFile: '--store-password-file',
  tokenFile: '--store-token-file',
} as const satisfies Record<keyof Access, string>;
