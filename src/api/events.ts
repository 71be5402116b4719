// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What happens, for the journal, for those who follow it, and for programs of the user. */
import type { Turn } from '../health/service.js';

export type Event =
  | {
      kind: 'started' | 'reloaded';
      services: number;
      destinations: number;
      checks: number;
    }
  | ({ kind: 'state'; service: string } & Omit<Turn, 'at'>)
  | { kind: 'panic'; service: string; begins: boolean; healthy: number; whole: number }
  | { kind: 'backup'; service: string; begins: boolean }
  | {
      kind: 'hand';
      service: string;
      destination: string;
      action: string;
      /** Whether root asked on the socket, or whoever has the token asked at `listen`. */
      by: By;
      by_hand: string | null;
      weight_by_hand: number | null;
    }
  | {
      kind: 'filled';
      service: string;
      /** What led to it: start, file, health, hand. */
      cause: string;
      weights: Weight[];
      moved: number;
      ideal: number;
      took: number;
    }
  | { kind: 'postponed'; service: string; wait: number }
  /** This node decides for its fleet from now on, or no longer. */
  | { kind: 'leads'; begins: boolean; why?: string }
  /** The leader's decision, which all nodes apply. */
  | {
      kind: 'decided';
      service: string;
      cause: string;
      weights: Weight[];
      moved: number;
      ideal: number;
      /** Of the history. */
      sets: number;
      /** Slots that forget a destination which is still there: the history is full. */
      forgets: number;
    }
  /** No node needs the oldest set of a history any more. */
  | { kind: 'settled'; service: string; sets: number }
  /** The tables are as the file and the checks want them. */
  | { kind: 'ready' }
  | { kind: 'followed' | 'trouble'; what: string };

export type By = 'socket' | 'page';

export interface Weight {
  destination: string;
  before: number;
  after: number;
}

/** An event with its number and what all events have. */
export type Entry = Event & { id: number; time: string; interface: string };
