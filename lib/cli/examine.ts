/**
 * What `tsloop doctor` finds out. The truth is asked of a child process that starts exactly as a user's program would
 * (same Node, same environment, preload by `--require`) and moves bytes, as nothing native is loaded before the first handle.
 * What does not come back there is tried on plain Node as well: only what works there can be tsloop's fault.
 */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { type Config, knobs, readConfig } from '../boot/config';
import { mayRun } from '../boot/guard';
import { adviceFor, describeMachine, type Machine } from './machine';
import { describeParts, type Part, type Probe } from './parts';
import { isByDesign, remedyFor } from './remedies';

/** A round trip: whole, or not; not on plain Node either is no fault of tsloop's. */
export type Trip = 'whole' | 'failed' | 'fails on plain Node too';

export interface Findings {
  readonly active: boolean;
  /** Why not; null when active. */
  readonly reason: { readonly code: string | null; readonly message: string } | null;
  /** What to do about it. */
  readonly remedy: string | null;
  readonly driver: unknown;
  readonly parts: readonly Part[];
  readonly trips: Readonly<Record<string, Trip>>;
  /** Handles of Node's that might have been ours, by reason, and those that are Node's by design. */
  readonly fallbacks: Readonly<Record<string, number>>;
  readonly byDesign: Readonly<Record<string, number>>;
  readonly advice: readonly string[];
  /** For the environment of every process that is to run on tsloop. */
  readonly nodeOptions: string;
  readonly versions: Readonly<Record<string, unknown>>;
  readonly machine: Machine & { readonly datagrams: Readonly<Record<string, boolean>> | null };
  readonly settings: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];
  /** What the probe wrote to standard error. */
  readonly warnings: readonly string[];
}

export const root = join(__dirname, '..', '..');

/** The probe gets this long; a loaded machine needs a second at most. */
const PROBE_MS = 45_000;

/** Runs the probe and collects what the machine offers. */
export async function examine(given: NodeJS.ProcessEnv = process.env): Promise<Findings> {
  // A strict exit would hide the reason that we are here to show; a share says nothing of this machine; the address of the
  // metrics is the program's.
  const { TSLOOP_STRICT: _, TSLOOP_SHARE: __, TSLOOP_METRICS: ___, ...env } = given;
  const config = readConfig(env);
  const { probe, stderr } = await runProbe(env);
  const { status, echoed } = probe;
  const trips = await judge(echoed, env);
  const active = status?.active === true && !Object.values(trips).includes('failed');
  const reason = active ? null : whyNot(config, probe, stderr);
  const machine = describeMachine();
  const fallbacks = Object.entries(probe.stats?.fallbacks ?? {});
  return {
    active,
    reason,
    remedy: reason?.code == null ? null : remedyFor(reason.code),
    driver: status?.driver ?? null,
    parts: describeParts(config, probe, reason?.code ?? null),
    trips,
    fallbacks: Object.fromEntries(fallbacks.filter(([why]) => !isByDesign(why))),
    byDesign: Object.fromEntries(fallbacks.filter(([why]) => isByDesign(why))),
    advice: adviceFor(machine),
    nodeOptions: nodeOptions(),
    versions: { node: process.versions.node, tsloop: ownVersion(), native: probe.build ?? null },
    machine: { ...machine, datagrams: probe.datagrams ?? null },
    settings: describeSettings(readConfig(given)),
    problems: readConfig(given).problems.map(({ message }) => message),
    warnings: stderr.split('\n').filter((line) => line.trim() !== ''),
  };
}

/** The preload by its whole path: what `NODE_OPTIONS` names is looked for from wherever each process stands. */
export function nodeOptions(): string {
  const path = join(root, 'register.js');
  // Node takes a path with blanks in double quotes.
  return `-r ${/[\s"\\]/.test(path) ? `"${path.replace(/["\\]/g, '\\$&')}"` : path}`;
}

/** What came back, and of what did not whether it would on plain Node. */
async function judge(echoed: Probe['echoed'] = {}, env: NodeJS.ProcessEnv): Promise<Record<string, Trip>> {
  const failed = Object.values(echoed).includes(false);
  const plain = failed ? (await runProbe({ ...env, TSLOOP: 'off' })).probe.echoed : {};
  const trip = (name: string, whole: boolean): Trip => {
    if (whole) return 'whole';
    return plain?.[name] === false ? 'fails on plain Node too' : 'failed';
  };
  return Object.fromEntries(Object.entries(echoed).map(([name, whole]) => [name, trip(name, whole)]));
}

/** The guard has the whole sentence; what it lets pass is known to the child only, by its code and, if it warned, in words. */
function whyNot(config: Config, { status, error }: Probe, stderr: string): NonNullable<Findings['reason']> {
  const obstacle = mayRun(config);
  if (obstacle !== null) return { code: obstacle.code, message: obstacle.message };
  if (status === undefined) return { code: null, message: error ?? 'the probe said nothing' };
  if (status.reason === null)
    return { code: null, message: 'a round trip fails that plain Node makes: please report it' };
  const said = /TsloopWarning: tsloop: (.*); Node's own handles/.exec(stderr)?.[1];
  return { code: status.reason, message: said ?? 'found out when the first handle was made' };
}

function runProbe(env: NodeJS.ProcessEnv): Promise<{ probe: Probe; stderr: string }> {
  const args = ['-r', join(root, 'register.js'), join(__dirname, 'probe.js')];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env, timeout: PROBE_MS }, (error, stdout, stderr) => {
      const last = stdout.trimEnd().split('\n').at(-1) ?? '';
      try {
        resolve({ probe: JSON.parse(last) as Probe, stderr });
      } catch {
        // Not the error's message, which repeats all of standard error.
        const end = error?.killed ? 'was stopped after its time' : `ended with ${error?.signal ?? error?.code ?? 0}`;
        resolve({ probe: { error: `the probe ${end} and said nothing` }, stderr });
      }
    });
  });
}

export function ownVersion(): string {
  return (require('../../package.json') as { version: string }).version;
}

/** The settings in force, whether the environment or the default gave them. */
function describeSettings(config: Config): Record<string, unknown> {
  return Object.fromEntries(knobs.map(({ key, name }) => [name, config[key]]));
}
