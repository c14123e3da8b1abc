/**
 * Whether this process is one of the share of a fleet that is to run on tsloop (`TSLOOP_SHARE`). Loaded only where that is set.
 *
 * Decided by a hash of the host's name and the process's number: nobody has to be asked, the same process always gets the same
 * answer, and nothing that a request brings has a say. Workers of a cluster are chosen by their number instead, one after the
 * other around a circle in steps of the golden ratio, so that of eight workers a quarter is two, give or take one. A thread is of
 * its process: the process decides once and tells its Workers.
 */

import { hostname } from 'node:os';
import { MathImul, StringPrototypeCharCodeAt } from '../primordials';
import { isLoaded } from '../seam';
import { pid } from './host';

/** Steps of this part of a circle come as far apart from all before as they can. */
const GOLDEN = (5 ** 0.5 - 1) / 2;

const DECIDED = 'tsloop.share';

/** FNV-1a with its bits mixed once more (murmur3's last step), as a part of one: neighbours in their text are none in this. */
export function position(text: string): number {
  let hash = 0x811c_9dc5;
  for (let index = 0; index < text.length; index += 1)
    hash = MathImul(hash ^ StringPrototypeCharCodeAt(text, index), 0x0100_0193);
  hash = MathImul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = MathImul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** Where a process stands between 0 and 1: those below the share are chosen. `worker` is its number in a cluster, 0 outside. */
export function standsAt(host: string, process: number, worker: number): number {
  return worker === 0 ? position(`${host}:${process}`) : (position(host) + worker * GOLDEN) % 1;
}

/** The number of this worker in its cluster; 0 for what is none. In one, Node has loaded its side of `cluster` before any preload. */
function workerNumber(): number {
  if (!isLoaded('internal/cluster/child')) return 0;
  const cluster: import('node:cluster').Cluster = require('node:cluster');
  return cluster.worker?.id ?? 0;
}

/** Whether this process is chosen. */
export function isChosen(share: number): boolean {
  const threads: typeof import('node:worker_threads') = require('node:worker_threads');
  const decided = threads.getEnvironmentData(DECIDED);
  if (typeof decided === 'boolean') return decided;
  const chosen = standsAt(hostname(), pid, workerNumber()) < share;
  threads.setEnvironmentData(DECIDED, chosen);
  return chosen;
}
