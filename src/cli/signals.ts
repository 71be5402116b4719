// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Ends a command cleanly when its user or its reader has had enough. */
import { onEndingSignal } from '../system/signals.js';

/** Closes on signals. Without this, a signal would leave the terminal in full screen. */
export function closeOnSignals({ close }: { close: () => void }): void {
  const stopListening = onEndingSignal((signal) => {
    close();
    stopListening();
    // Nobody listens any more, so this ends the process as the signal would have.
    process.kill(process.pid, signal);
  });
}

/** Exits quietly when the reader of the output has seen enough, such as head. */
export function exitOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}
