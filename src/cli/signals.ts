// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Ends a command cleanly when its user or its reader has had enough. */
import { tell } from '../system/output.js';
import { onEndingSignal } from '../system/signals.js';
import { EXIT_FAILURE, Failure } from '../text/failure.js';
import { fileFault } from '../text/file-fault.js';

/** Closes on signals. Without this, a signal would leave the terminal in full screen. */
export function closeOnSignals({ close }: { close: () => void }): void {
  const stopListening = onEndingSignal((signal) => {
    close();
    stopListening();
    // Nobody listens any more, so this ends the process as the signal would have.
    process.kill(process.pid, signal);
  });
}

/**
 * Ends a command whose output cannot be written. A reader that has seen enough, such as
 * head, is no failure: the command ends quietly, with 0, so that a script with pipefail
 * goes on. It is one for a service, which ends only when it is told to. Everything else is
 * a failure. What is said to stderr may be lost.
 */
export function endOnLostOutput(commandName: () => string, isService = false): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' && !isService) process.exit(0);
    tell(outputLost(error).format(commandName()));
    process.exit(EXIT_FAILURE);
  });
  // Once, however many commands a process runs.
  process.stderr.off('error', goOn).on('error', goOn);
}

function goOn(): void {
  // There is nobody left to tell; the exit code still says how it went.
}

export function outputLost(error: unknown): Failure {
  return new Failure('cannot write to stdout', {
    cause: fileFault(error),
    next: 'make room there, or send the output elsewhere',
  });
}
