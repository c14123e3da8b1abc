/** The first look: the same requests to all three programs, before anything is measured. A wrong answer is found at once. */

import { excerpt, expectation, matches, type Received } from './bodies';
import type { Driver } from './driver';
import { ProgramError } from './program';
import type { Expected, Request, Target } from './requests';
import type { Wrong } from './verdict';

/** How often each program is asked the same: what varies by itself shows. */
const TIMES = 3;

/** Most requests of a recording that are compared: the look is to take seconds. */
const MOST = 300;

/** Seconds for one answer. */
const PATIENCE = 15;

/** What a program answered, by request and time. */
export type Answers = readonly (readonly (Received | Error)[])[];

export interface Look {
  /** By request; null where nothing is compared. */
  readonly expected: readonly (Expected | null)[];
  readonly wrong: Wrong | null;
  /** Of so many requests the answers are compared byte by byte, without digits and identifiers, by their status, not at all. */
  readonly exact: number;
  readonly shape: number;
  readonly status: number;
  readonly skipped: number;
}

/** All programs are asked in the same order: one that counts its requests counts the same. */
export async function collect(driver: Driver, requests: readonly Request[], target: Target): Promise<Answers> {
  const all: (Received | Error)[][] = [];
  for (const request of requests.slice(0, MOST)) {
    const answers: (Received | Error)[] = [];
    for (let time = 0; time < TIMES; time += 1)
      answers.push(await driver.ask(target, request, PATIENCE).catch((error: Error) => error));
    all.push(answers);
  }
  return all;
}

/** What tsloop's answers are, held against those of plain Node. */
export function compare(requests: readonly Request[], plain: readonly Answers[], ours: Answers): Look {
  let wrong: Wrong | null = null;
  const expected = requests.map((request, index) => {
    const answers = plain.flatMap((program) => program[index] ?? []);
    const broken = answers.find((answer) => answer instanceof Error);
    if (broken !== undefined)
      throw new ProgramError(
        `the program does not answer ${nameOf(request)} on plain Node: ${broken.message}`,
        'plain',
      );
    const wanted = expectation(answers as Received[]);
    const odd = ours[index]?.find((one) => wanted !== null && !isFine(one, wanted));
    if (wanted !== null && odd !== undefined) wrong ??= describeWrong(request, wanted, odd);
    return wanted;
  });
  const count = (strictness: string) => expected.filter((one) => one?.strictness === strictness).length;
  return {
    expected,
    wrong,
    exact: count('exact'),
    shape: count('shape'),
    status: count('status'),
    skipped: expected.filter((one) => one === null).length,
  };
}

const isFine = (answer: Received | Error, wanted: Expected): boolean =>
  !(answer instanceof Error) && matches(answer.status, answer.body, wanted);

export function describeWrong(request: Request, wanted: Expected, odd: Received | Error): Wrong {
  return {
    request: nameOf(request),
    plain: `${wanted.statuses.join(' or ')} ${excerpt(wanted.body, odd instanceof Error ? wanted.body : odd.body)}`,
    tsloop: odd instanceof Error ? odd.message : `${odd.status} ${excerpt(odd.body, wanted.body)}`,
  };
}

const nameOf = ({ method, path }: Request): string => `${method} ${path}`;
