// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A line of the screen consists of pieces of text, each with a style. */

export type Style =
  'plain' | 'title' | 'heads' | 'strong' | 'alarm' | 'notice' | 'history';
export interface Span {
  text: string;
  style: Style;
}
export type Line = Span[];
