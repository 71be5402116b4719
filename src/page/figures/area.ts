// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Divides an area into rectangles by share, each as square as can be: the squarified
 * treemap of Bruls, Huizing and van Wijk.
 */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The values have to be above 0, the largest first. */
export function squarify(values: readonly number[], box: Box): Box[] {
  const whole = values.reduce((sum, value) => sum + value, 0);
  const scale = (box.width * box.height) / whole;
  const boxes: Box[] = [];
  const rest = { ...box };
  for (let from = 0; from < values.length;) {
    const side = Math.min(rest.width, rest.height);
    let to = from;
    let area = 0;
    for (let worst = Infinity; to < values.length; to++) {
      const more = area + (values[to] ?? 0) * scale;
      const next = worstOf(
        (values[from] ?? 0) * scale,
        (values[to] ?? 0) * scale,
        more,
        side,
      );
      if (next > worst) break;
      worst = next;
      area = more;
    }
    const depth = side > 0 ? area / side : 0;
    const isColumn = rest.width >= rest.height;
    let along = isColumn ? rest.y : rest.x;
    for (; from < to; from++) {
      const length = depth > 0 ? ((values[from] ?? 0) * scale) / depth : 0;
      boxes.push(
        isColumn
          ? { x: rest.x, y: along, width: depth, height: length }
          : { x: along, y: rest.y, width: length, height: depth },
      );
      along += length;
    }
    if (isColumn) {
      rest.x += depth;
      rest.width = Math.max(0, rest.width - depth);
    } else {
      rest.y += depth;
      rest.height = Math.max(0, rest.height - depth);
    }
  }
  return boxes;
}

/** The worst ratio of sides in a row of areas that are in order. */
function worstOf(largest: number, smallest: number, area: number, side: number): number {
  const square = side * side;
  return Math.max(
    (square * largest) / (area * area),
    (area * area) / (square * smallest),
  );
}
