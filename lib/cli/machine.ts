/** What of this machine decides how a server on tsloop behaves: read, not guessed; null where it cannot be read. */

import { existsSync, readFileSync } from 'node:fs';
import { release, totalmem } from 'node:os';

export interface Machine {
  readonly platform: string;
  readonly kernel: string;
  /** Processors this process may run on: what the offload driver has to share with JavaScript. */
  readonly processors: number | null;
  /** Processors that a control group's quota leaves it; null without a quota. */
  readonly quota: number | null;
  readonly memoryMiB: number;
  readonly openFiles: number | null;
  readonly listenBacklog: number | null;
  readonly receiveBufferMax: number | null;
  readonly ipv6: boolean;
  readonly seccomp: string;
}

export function describeMachine(): Machine {
  return {
    platform: `${process.platform}-${process.arch}`,
    kernel: release(),
    processors: processors(),
    quota: quota(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    openFiles: openFileLimit(),
    listenBacklog: numberIn('/proc/sys/net/core/somaxconn'),
    receiveBufferMax: numberIn('/proc/sys/net/core/rmem_max'),
    ipv6: existsSync('/proc/net/if_inet6') && textIn('/proc/net/if_inet6') !== '',
    seccomp: statusLine('Seccomp') === '2' ? 'filtered' : 'none',
  };
}

/** Processors that a control group's quota leaves this process, by version 2 or 1 of the control groups; null without a quota. */
export function quota(): number | null {
  const old = '/sys/fs/cgroup/cpu/cpu.cfs_';
  return (
    quotaIn(textIn('/sys/fs/cgroup/cpu.max')) ?? quotaIn(`${textIn(`${old}quota_us`)} ${textIn(`${old}period_us`)}`)
  );
}

/** Processors' worth of time in `cpu.max` of a control group; null for none. */
export function quotaIn(text: string): number | null {
  const [time, period] = text.trim().split(/\s+/).map(Number);
  return time !== undefined && period !== undefined && time > 0 && period > 0 ? time / period : null;
}

/** Below this a server with connections to its clients and from it to others meets the limit early. */
const FEW_FILES = 4096;

/** What a socket that is overrun asks for: `KERNEL_BUFFER_BYTES` of `native/core/src/limits.rs`. */
export const RECEIVE_BUFFER = 2 * 2 ** 20;

/** What would make tsloop gain more here. */
export function adviceFor(machine: Machine): string[] {
  const { processors, quota, openFiles, receiveBufferMax } = machine;
  const advice: string[] = [];
  const room = Math.min(processors ?? Number.POSITIVE_INFINITY, quota ?? Number.POSITIVE_INFINITY);
  if (room < 2) {
    const why = quota !== null && quota < (processors ?? 0) ? `a quota of ${quota} processors` : 'one processor';
    advice.push(
      `${why}: under load JavaScript and the driver's thread share it, so there is less to gain; two are worth having for one process`,
    );
  }
  if (openFiles !== null && openFiles < FEW_FILES)
    advice.push(
      `${openFiles} descriptors at most: every connection takes one; raise the limit (ulimit -n, LimitNOFILE)`,
    );
  if (receiveBufferMax !== null && receiveBufferMax < RECEIVE_BUFFER)
    advice.push(
      `net.core.rmem_max is ${receiveBufferMax}: bursts of datagrams are lost sooner than need be; sysctl -w net.core.rmem_max=${RECEIVE_BUFFER}`,
    );
  return advice;
}

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

/** What a file of the kernel's says; nothing where it cannot be read. */
export function textIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
