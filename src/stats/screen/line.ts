// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A line of the screen: pieces of text, each in its style. */

export type Style =
  'plain' | 'title' | 'heads' | 'strong' | 'alarm' | 'notice' | 'history';
export interface Span {
  text: string;
  style: Style;
}
export type Line = Span[];
