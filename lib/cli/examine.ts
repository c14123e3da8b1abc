/**
 * What `tsloop doctor` finds out. The truth is asked of a child process that starts exactly as a user's program would
 * (same Node, same environment, preload by `--require`) and moves bytes over TCP, a unix-domain socket and UDP, as nothing
 * native is loaded before the first handle. This process only collects.
 */

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { release, totalmem } from 'node:os';
import { join } from 'node:path';
import { type Config, knobs, readConfig } from '../boot/config';
import { mayRun } from '../boot/guard';

/** What the probe reports; every field may be missing if it could not even start. */
interface Probe {
  readonly status?: Readonly<Record<string, unknown>>;
  readonly stats?: Readonly<Record<string, unknown>> & { readonly fallbacks?: Readonly<Record<string, number>> };
  readonly build?: Readonly<Record<string, unknown>> | null;
  /** Round trips that came back whole, by transport. */
  readonly echoed?: Readonly<Record<string, boolean>>;
  /** What the kernel offers for datagrams. */
  readonly datagrams?: Readonly<Record<string, boolean>> | null;
  readonly error?: string;
}

export interface Findings {
  readonly active: boolean;
  /** Why not; null when active. */
  readonly reason: unknown;
  readonly driver: unknown;
  readonly echoed: Readonly<Record<string, boolean>>;
  readonly fallbacks: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, unknown>>;
  readonly system: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];
  /** What the probe wrote to standard error. */
  readonly warnings: readonly string[];
}

const root = join(__dirname, '..', '..');

/** The probe gets this long; a loaded machine needs a second at most. */
const PROBE_MS = 15_000;

/** Runs the probe and collects what the machine offers. */
export async function examine(env: NodeJS.ProcessEnv = process.env): Promise<Findings> {
  const config = readConfig(env);
  const { probe, stderr } = await runProbe(env);
  const status = probe.status ?? {};
  const echoed = probe.echoed ?? {};
  const whole = Object.values(echoed).length > 0 && Object.values(echoed).every(Boolean);
  const active = status['active'] === true && whole;
  return {
    active,
    // The guard has the whole sentence; what it lets pass is known to the child only, by its code.
    reason: active ? null : (mayRun(config) ?? status['reason'] ?? probe.error ?? 'the round trips failed'),
    driver: status['driver'] ?? null,
    echoed,
    fallbacks: probe.stats?.fallbacks ?? {},
    versions: { node: process.versions.node, tsloop: ownVersion(), native: probe.build ?? null },
    system: { ...describeSystem(), datagrams: probe.datagrams ?? null },
    settings: describeSettings(config),
    problems: config.problems.map(({ message }) => message),
    warnings: stderr.split('\n').filter((line) => line.trim() !== ''),
  };
}

function runProbe(env: NodeJS.ProcessEnv): Promise<{ probe: Probe; stderr: string }> {
  // A strict exit would hide the reason that we are here to show.
  const { TSLOOP_STRICT: _, ...rest } = env;
  const args = ['-r', join(root, 'register.js'), join(__dirname, 'probe.js')];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env: rest, timeout: PROBE_MS }, (error, stdout, stderr) => {
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

function ownVersion(): string {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}

/** The settings in force, and whether the environment or the default gave them. */
function describeSettings(config: Config): Record<string, unknown> {
  return Object.fromEntries(knobs.map(({ key, name }) => [name, config[key]]));
}

/** What of this machine decides how a server on tsloop behaves: read, not guessed; null where it cannot be read. */
function describeSystem(): Record<string, unknown> {
  return {
    platform: `${process.platform}-${process.arch}`,
    kernel: release(),
    processors: processors(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    openFiles: openFileLimit(),
    listenBacklog: numberIn('/proc/sys/net/core/somaxconn'),
    receiveBufferMax: numberIn('/proc/sys/net/core/rmem_max'),
    ipv6: existsSync('/proc/net/if_inet6') && textIn('/proc/net/if_inet6') !== '',
    seccomp: statusLine('Seccomp') === '2' ? 'filtered' : 'none',
  };
}

/** Processors this process may run on: what the offload driver has to share with JavaScript. */
function processors(): number | null {
  const list = statusLine('Cpus_allowed_list');
  if (list === null) return null;
  return list.split(',').reduce((sum, range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return sum + to - from + 1;
  }, 0);
}

function openFileLimit(): number | null {
  const line = /^Max open files\s+(\d+)/m.exec(textIn('/proc/self/limits'));
  return line ? Number(line[1]) : null;
}

function statusLine(name: string): string | null {
  return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(textIn('/proc/self/status'))?.[1] ?? null;
}

function numberIn(path: string): number | null {
  const text = textIn(path).trim();
  return text === '' ? null : Number(text);
}

function textIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
