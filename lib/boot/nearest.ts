/** Which of several names a misspelt one most likely is: for sentences that say so, so loaded where there is one to say. */

/** Letters that may be wrong for each so many that there are, and at least one. */
const LETTERS_PER_FAULT = 3;

/** The nearest of the names by letters changed, added or left out; null if none is near. */
export function nearest(word: string, names: readonly string[]): string | null {
  let found: string | null = null;
  let least = 1 + word.length / LETTERS_PER_FAULT;
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as string;
    const faults = distance(word, name);
    if (faults < least) {
      least = faults;
      found = name;
    }
  }
  return found;
}

/** Levenshtein's distance, by rows; neighbours that changed places count as one fault, as most slips of a hand are that. */
function distance(from: string, to: string): number {
  let before: number[] = [];
  let row: number[] = [];
  for (let column = 0; column <= to.length; column += 1) row[column] = column;
  for (let line = 1; line <= from.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[line - 1] === to[column - 1];
      let least = (row[column - 1] as number) + (same ? 0 : 1);
      least = lesser(least, (row[column] as number) + 1);
      least = lesser(least, (next[column - 1] as number) + 1);
      const swapped = from[line - 1] === to[column - 2] && from[line - 2] === to[column - 1];
      if (line > 1 && column > 1 && swapped) least = lesser(least, (before[column - 2] as number) + 1);
      next[column] = least;
    }
    before = row;
    row = next;
  }
  return row[to.length] as number;
}

function lesser(one: number, other: number): number {
  return one < other ? one : other;
}
