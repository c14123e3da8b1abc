/**
 * Twin runs: one body, run in a fresh process on plain Node and again under each of tsloop's
 * drivers; whatever either of them shows (trace, exit, output) must be the same.
 *
 * A body is handed over as its source text, so it may use nothing but its argument and Node's
 * globals. Under tsloop the run must also have been active, have carried traffic, and have closed
 * what it opened: a silent fallback to plain Node would otherwise pass everything.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Bench } from './body.cjs';
import { differences, type Showing, showing } from './compare.mjs';
import { launch } from './launch.mjs';
import { type Driver, drivers, hookFor, type NodeLine, nodes, plainEnvironment, root, seed } from './nodes.mjs';

export type { Bench } from './body.cjs';

export interface TwinOptions {
  readonly flags?: readonly string[];
  readonly env?: Record<string, string>;
  readonly stdin?: string;
  readonly timeout?: number;
  /** Second argument of the body, for behaviours that differ in a value; a function is asked at run time. */
  readonly given?: unknown;
  /** The first Node line that can do this. */
  readonly since?: number;
  /** The first that no longer can. */
  readonly before?: number;
  /** The exit code plain Node must show; guards against a body that dies before it shows anything. */
  readonly code?: number;
  /** No connection, datagram or child passes through tsloop in this body. */
  readonly traffic?: false;
  /** The body ends while handles are open (process.exit, unref): the ledger is not balanced. */
  readonly ledger?: false;
  /** Standard error carries what differs between any two runs. */
  readonly stderr?: false;
  /** Drivers under which to run, where not all make sense. */
  readonly drivers?: readonly Driver[];
}

// biome-ignore lint/suspicious/noExplicitAny: what a spec gives to its own body
type Body = (bench: Bench, given: any) => unknown;

const support = resolve(root, 'build', 'support', 'body.cjs');
const entry = resolve(root, 'dist', 'index.js');

let serial = 0;
const scratch = mkdtempSync(join(tmpdir(), 'tsloop-twin-'));
process.on('exit', () => {
  if (process.env['TSLOOP_TEST_KEEP'] === undefined) rmSync(scratch, { recursive: true, force: true });
});

async function runOnce(line: NodeLine, driver: Driver | null, body: Body, options: TwinOptions): Promise<Showing> {
  serial++;
  const dir = join(scratch, String(serial));
  mkdirSync(dir);
  const given = typeof options.given === 'function' ? options.given() : options.given;
  const program = join(dir, 'program.cjs');
  const trace = join(dir, 'trace');
  writeFileSync(trace, '');
  writeFileSync(
    program,
    `'use strict';\nrequire(${JSON.stringify(support)}).run(${body.toString()}, ${JSON.stringify(given ?? null)});\n`,
  );
  const hook = hookFor(driver ?? 'plain');
  const hooked = driver !== null && driver !== 'plain';
  const settings = { dir, trace, entry: hooked ? entry : '', balanced: options.ledger !== false };
  const ending = await launch(line.binary, [...hook.flags, ...(options.flags ?? []), program], {
    env: {
      ...plainEnvironment(),
      ...hook.env,
      ...options.env,
      TWIN_SETTINGS: JSON.stringify(settings),
    },
    cwd: dir,
    ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
  });
  return showing(ending, readFileSync(trace, 'utf8'));
}

/** What must hold of the run on plain Node before it may serve as the measure. */
function unfit(plain: Showing, options: TwinOptions): string | null {
  if (plain.timedOut) return 'plain Node timed out';
  if (plain.signal !== null) return `plain Node died of ${plain.signal}`;
  const code = options.code ?? 0;
  if (plain.code !== code) return `plain Node exited with ${plain.code} instead of ${code}`;
  if (options.ledger !== false && plain.ledger?.sockets !== 0) {
    return `plain Node left ${plain.ledger?.sockets} sockets open`;
  }
  return null;
}

function ledgerFaults(actual: Showing, options: TwinOptions): string[] {
  const ledger = actual.ledger;
  if (ledger === null) return options.ledger === false ? [] : ['no ledger: the process died'];
  const faults: string[] = [];
  if (!ledger.active) faults.push(`tsloop was not active: ${JSON.stringify(ledger.reason)}`);
  if (options.traffic !== false && ledger.accepted + ledger.connected + ledger.datagrams + ledger.spawned === 0) {
    faults.push('no connection, datagram or child passed through tsloop');
  }
  if (ledger.panics !== 0) faults.push(`${ledger.panics} panics in the native part`);
  if (options.ledger === false) return faults;
  if (ledger.waiting !== 0) faults.push(`${ledger.waiting} bytes or sockets still wait for the kernel`);
  if (ledger.sockets !== 0) faults.push(`${ledger.sockets} sockets left open`);
  if (ledger.running !== 0) faults.push(`${ledger.running} children still run`);
  if (ledger.open !== 0) faults.push(`${ledger.open} connections still counted as open`);
  return faults;
}

function judge(driver: Driver, plain: Showing, actual: Showing, options: TwinOptions): string[] {
  const found = differences(plain, actual, { stderr: options.stderr !== false });
  if (driver !== 'plain') found.push(...ledgerFaults(actual, options));
  if (found.length > 0 && actual.stderr.join('') !== plain.stderr.join('')) {
    found.push(
      `standard error:\n${actual.stderr
        .slice(0, 30)
        .map((text) => text.slice(0, 300))
        .join('\n')}`,
    );
  }
  return found;
}

/** Prints once what several drivers show alike. */
function worded(found: Map<string, Driver[]>): string {
  const texts = [...found].map(([text, under]) => `${under.join(', ')}: ${text}`);
  return `\n(seed ${seed})\n${texts.join('\n')}`;
}

/** How often plain Node is asked again when tsloop differs from it. */
const SECOND_LOOKS = 3;

/**
 * Whether the body shows one thing on plain Node at all: words for how it does not, or null. A body that races with
 * itself is no measure; it fails all the same, and the reader knows where to look.
 */
async function unsteady(line: NodeLine, body: Body, options: TwinOptions, plain: Showing): Promise<string | null> {
  for (let look = 0; look < SECOND_LOOKS; look++) {
    const again = await runOnce(line, null, body, options);
    const found = differences(plain, again, { stderr: options.stderr !== false }, 'plain Node again');
    if (found.length > 0) return `plain Node differs from itself: the body races\n${found.join('\n')}`;
  }
  return null;
}

/** The comparison itself: plain Node beside the first driver, then the other drivers in pairs. */
export async function twinRun(line: NodeLine, body: Body, options: TwinOptions = {}): Promise<void> {
  const runs: (Driver | null)[] = [null, ...(options.drivers ?? drivers)];
  const found = new Map<string, Driver[]>();
  let plain: Showing | undefined;
  for (let at = 0; at < runs.length; at += 2) {
    const pair = runs.slice(at, at + 2);
    const shown = await Promise.all(pair.map((driver) => runOnce(line, driver, body, options)));
    for (const [index, actual] of shown.entries()) {
      const driver = pair[index] ?? null;
      if (plain === undefined || driver === null) {
        plain = actual;
        const fault = unfit(plain, options);
        if (fault !== null) throw new Error(`${fault}\n${plain.stderr.slice(0, 40).join('\n')}`);
      } else {
        for (const text of judge(driver, plain, actual, options)) {
          found.set(text, [...(found.get(text) ?? []), driver]);
        }
      }
    }
  }
  if (found.size === 0 || plain === undefined) return;
  const race = await unsteady(line, body, options, plain);
  throw new Error(race === null ? worded(found) : `\n${race}\n${worded(found)}`);
}

/** Declares one behaviour as a mocha test per Node line. */
export function twin(title: string, body: Body): void;
export function twin(title: string, options: TwinOptions, body: Body): void;
export function twin(title: string, first: TwinOptions | Body, second?: Body): void {
  const options = typeof first === 'function' ? {} : first;
  const body = typeof first === 'function' ? first : second;
  if (body === undefined) throw new TypeError('twin() needs a body');
  for (const line of nodes) {
    if (line.major < (options.since ?? 0) || line.major >= (options.before ?? Number.POSITIVE_INFINITY)) continue;
    const name = nodes.length > 1 ? `${title} [${line.version}]` : title;
    it(name, () => twinRun(line, body, options));
  }
}
