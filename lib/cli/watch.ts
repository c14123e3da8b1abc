/** `tsloop doctor -- node server.js`: starts the program with an observer in front, and says how tsloop came into it. */

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Status } from '../index';
import { startsOthers } from '../metrics/serve';
import { UsageError } from './command';
import { nodeOptions, root } from './examine';
import { ASKED, DESCRIPTOR, type Told } from './observe';
import { aboutFallback, isByDesign, remedyFor } from './remedies';
import { Page } from './table';

export interface Watched {
  /** The last that the program said of itself; null if it never did, or tsloop is not in it. */
  readonly status: Status | null;
  readonly fallbacks: Readonly<Record<string, number>>;
  /** Whether the doctor put the preload in front, as the command has none. */
  readonly added: boolean;
  readonly told: readonly Told[];
  /** How the program ended by itself; null if it ran until it was ended. */
  readonly ended: string | null;
}

/** Milliseconds between asking the program to end and making it. */
const GRACE_MS = 5_000;

/** Whether a command line or NODE_OPTIONS loads tsloop, by whichever path. */
function namesPreload(text: string): boolean {
  return /tsloop\/register\b/.test(text) || text.includes(join(root, 'register.'));
}

/** Runs the command for so many seconds, or until it ends. Its output goes to standard error: ours is the report. */
export function watch(
  command: readonly string[],
  seconds: number,
  given: NodeJS.ProcessEnv = process.env,
): Promise<Watched> {
  const [program, ...args] = command;
  if (program === undefined) throw new UsageError('there is no command behind --');
  const own = given['NODE_OPTIONS'] ?? '';
  const added = !namesPreload([own, ...args].join(' '));
  const options = added ? `${nodeOptions()} ${own}`.trim() : own;
  const observer = join(__dirname, 'observe.js');
  const env = { ...given, [ASKED]: options, NODE_OPTIONS: `-r "${observer.replace(/["\\]/g, '\\$&')}" ${options}` };
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['inherit', process.stderr, process.stderr, 'pipe'] });
    let text = '';
    let asked = false;
    const pipe = child.stdio[DESCRIPTOR] as NodeJS.ReadableStream;
    pipe.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    let force: NodeJS.Timeout | undefined;
    const stop = setTimeout(() => {
      asked = true;
      child.kill('SIGTERM');
      force = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    }, seconds * 1000);
    child.on('error', (error) => {
      clearTimeout(stop);
      reject(new UsageError(`${program} cannot be started: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      clearTimeout(stop);
      clearTimeout(force);
      const told = text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Told);
      const state = told.findLast((one) => one.kind === 'state');
      const ended = asked
        ? null
        : signal === null
          ? `with exit code ${code}`
          : `by ${signal} (${constants.signals[signal]})`;
      resolve({
        status: (state?.status ?? null) as Status | null,
        fallbacks: (state?.fallbacks ?? {}) as Record<string, number>,
        added,
        told,
        ended,
      });
    });
  });
}

/** Whether the program ran on tsloop. */
export function isOn({ status }: Watched): boolean {
  return status?.active === true;
}

export function renderWatched(watched: Watched, colour: boolean): string {
  const { told, status, added, ended, fallbacks } = watched;
  const page = new Page(colour);
  const begin = told.find((one) => one.kind === 'begin');
  if (begin === undefined) {
    page.line('nothing was heard of the program', 'bad');
    page.line('Give the node command itself: npm, npx and shells start it out of the doctor’s sight.');
    return page.toString();
  }
  if (isOn(watched)) page.line('active: the program ran on tsloop', 'good');
  else page.line(`not active: ${status?.reason ?? 'tsloop was not loaded'}`, 'bad');
  const remedy = status?.reason == null ? null : remedyFor(status.reason);
  if (remedy !== null) page.line(remedy);
  if (added) page.line('The command has no tsloop in it: the doctor put it in front. To do so yourself, see below.');
  if (startsOthers(begin.argv[1] ?? ''))
    page.line(
      'This is what starts the program, which is out of the doctor’s sight: give the node command itself.',
      'bad',
    );
  if (ended !== null) page.line(`The program ended by itself, ${ended}.`);

  const preloads = told.filter((one) => one.kind === 'preload');
  page.list('Preloads, in their order', [
    ...preloads.map(({ request, milliseconds, brought }, index) => {
      const more = brought.length === 0 ? '' : `, brought in ${brought.join(', ')}`;
      return `${index + 1}. ${request} (${milliseconds.toFixed(1)} ms${more})`;
    }),
    ...imports(begin.execArgv).map((request, index) => `${preloads.length + index + 1}. ${request} (by --import)`),
  ]);
  const first = told.filter((one) => one.kind === 'first');
  page.section(
    'Loaded first by',
    Object.fromEntries(
      first.map(({ module, by, preload }) => [module, preload === null ? by : `${by}, in the preload ${preload}`]),
    ),
  );
  const theirs = Object.entries(fallbacks).filter(([why]) => !isByDesign(why));
  page.section(
    "Fell back to Node's handles",
    Object.fromEntries(theirs.map(([why, count]) => [why, `${count}  ${aboutFallback(why)}`])),
  );
  const early = first.find(({ module, preload }) => module === 'net' && preload !== null && !namesPreload(preload));
  if (early !== undefined)
    page.list('Worth knowing', [
      `${early.preload} loads net before tsloop is there, which tsloop comes into later: put tsloop first where you can`,
    ]);
  page.list('To switch it on', [`NODE_OPTIONS='${nodeOptions()}'`]);
  return page.toString();
}

/** What `--import` names on the command line. */
function imports(execArgv: readonly string[]): string[] {
  return execArgv.flatMap((option, index) => {
    if (option === '--import') return [execArgv[index + 1] ?? ''];
    return option.startsWith('--import=') ? [option.slice('--import='.length)] : [];
  });
}
