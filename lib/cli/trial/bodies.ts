/**
 * Whether tsloop's answers are plain Node's. What plain Node itself answers differently each time (a date, an identifier) is
 * found out first, by asking it more than once, and compared without; else a clock would be called a fault.
 */

import type { Expected, Strictness } from './requests';

export interface Received {
  readonly status: number;
  readonly body: Uint8Array;
}

/** How much of a body a report shows. */
const EXCERPT = 160;

/** What changes from one answer to the next in most programs: numbers, and identifiers in hexadecimal. */
const FLEETING = /[0-9a-f]{8,}|\d+/gi;

const shapeOf = (body: Uint8Array): string => Buffer.from(body).toString('latin1').replace(FLEETING, '#');

const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;

/** What is to be expected, by some answers of plain programs; null where none came. */
export function expectation(answers: readonly Received[]): Expected | null {
  const [first] = answers;
  if (first === undefined) return null;
  return {
    statuses: [...new Set(answers.map(({ status }) => status))],
    body: first.body,
    strictness: strictnessOf(answers, first),
  };
}

function strictnessOf(answers: readonly Received[], { body }: Received): Strictness {
  if (answers.every((answer) => same(answer.body, body))) return 'exact';
  const shape = shapeOf(body);
  return answers.every((answer) => shapeOf(answer.body) === shape) ? 'shape' : 'status';
}

/** Whether an answer is what was expected. */
export function matches(status: number, body: Uint8Array, { statuses, body: wanted, strictness }: Expected): boolean {
  if (!statuses.includes(status)) return false;
  if (strictness === 'status') return true;
  return same(body, wanted) || (strictness === 'shape' && shapeOf(body) === shapeOf(wanted));
}

/** A body as a person can look at it, around the place where it differs from another. */
export function excerpt(body: Uint8Array, other: Uint8Array = body): string {
  let at = 0;
  while (at < body.length && body[at] === other[at]) at += 1;
  const from = at >= body.length && body.length === other.length ? 0 : Math.max(0, at - EXCERPT / 4);
  const text = Buffer.from(body.subarray(from, from + EXCERPT)).toString('utf8');
  const end = from + EXCERPT < body.length ? '…' : '';
  return `${from > 0 ? '…' : ''}${text}${end} (${body.length} bytes)`;
}
