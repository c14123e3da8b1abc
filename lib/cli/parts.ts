/** The parts of Node that tsloop runs, each on or off and why: by what the probe's handles were, not by what was asked for. */

import { type Config, runs } from '../boot/config';
import type { Stats, Status } from '../index';

/** What the probe reports; every field may be missing if it could not even start. */
export interface Probe {
  readonly status?: Status;
  readonly stats?: Stats;
  readonly build?: Readonly<Record<string, unknown>> | null;
  /** Round trips that came back whole, by transport. */
  readonly echoed?: Readonly<Record<string, boolean>>;
  /** What the kernel offers for datagrams. */
  readonly datagrams?: Readonly<Record<string, boolean>> | null;
  readonly error?: string;
}

export interface Part {
  readonly name: string;
  readonly on: boolean;
  readonly why: string;
}

/** `code` is the reason why tsloop is not active at all; null where it is. */
export function describeParts(config: Config, { stats, echoed }: Probe, code: string | null): Part[] {
  const inactive = code ?? 'the probe did not come to its end';
  const part = (name: string, asked: boolean, setting: string, used: boolean, on: string, else_: string): Part => {
    if (used) return { name, on: true, why: on };
    if (!asked) return { name, on: false, why: setting };
    return { name, on: false, why: stats === undefined || code !== null ? inactive : else_ };
  };
  const count = (found: number | undefined): boolean => (found ?? 0) > 0;
  const net = count(stats?.connections.accepted) && count(stats?.connections.connected);
  const fellBack = "Node's own handles were used: see below";
  return [
    part('net', runs(config, 'net'), 'TSLOOP_DISABLE', net, 'TCP, unix-domain sockets, http, http2, fetch', fellBack),
    part(
      'tls',
      runs(config, 'net'),
      'net is off',
      net && echoed?.['tls'] === true,
      "Node's OpenSSL, on sockets of tsloop's: https too",
      fellBack,
    ),
    part(
      'dgram',
      runs(config, 'dgram'),
      'TSLOOP_DISABLE',
      count(stats?.datagrams.received),
      'UDP, in batches',
      fellBack,
    ),
    part(
      'child_process',
      runs(config, 'child_process'),
      'TSLOOP_DISABLE',
      count(stats?.children.spawned),
      'without copying the heap',
      fellBack,
    ),
    part(
      'timers',
      runs(config, 'timers'),
      "Node's by design: optional, TSLOOP_ENABLE=timers",
      count(stats?.timers.reached),
      'on a wheel',
      'the wheel was not reached',
    ),
  ];
}
