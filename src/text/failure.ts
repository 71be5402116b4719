// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The one error that users meet: what failed, the likely cause, and what to run next. */

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

export interface Advice {
  /** The likely cause, as a sentence without a full stop. */
  cause?: string | undefined;
  /** A command, or what to do. */
  next?: string | undefined;
}

export class Failure extends Error {
  readonly advice: Advice;
  readonly exitCode: number;

  constructor(what: string, advice: Advice = {}, exitCode = EXIT_FAILURE) {
    super(what);
    this.name = 'Failure';
    this.advice = advice;
    this.exitCode = exitCode;
  }

  /** Returns the text that is printed, starting with the command's name. */
  format(command: string): string {
    const lines = [`${command}: ${this.message}`];
    if (this.advice.cause) lines.push(`  likely cause: ${this.advice.cause}`);
    if (this.advice.next) lines.push(`  next: ${this.advice.next}`);
    return lines.join('\n');
  }
}

/** The command line is wrong; nothing was tried. */
export class UsageFailure extends Failure {
  constructor(what: string, advice: Advice = {}) {
    super(what, advice, EXIT_USAGE);
    this.name = 'UsageFailure';
  }
}

/** For where a Failure is told in one line. */
export function inOneLine({ message, advice: { cause, next } }: Failure): string {
  const parts = [message, cause, next && `next: ${next}`];
  return parts.filter((part) => part).join('; ');
}
