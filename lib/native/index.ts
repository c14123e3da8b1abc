/** The typed door to the native part. Nothing else calls it by name. */

import { constants } from 'node:os';
import type { Config } from '../boot/config';
import { BufferAllocUnsafeSlow, JSONParse, MathFloor, MathRandom } from '../primordials';
import { COUNTERS } from './counters';
import {
  BATCH_BYTES,
  BATCH_EVENTS,
  BATCHES,
  CONTROL_WORDS,
  driverNumbers,
  EVENT_WORDS,
  OUTBOX_BYTES,
} from './protocol';

/** Negative errno numbers, which on Linux are libuv's too. */
export const errno = {
  EACCES: -constants.errno.EACCES,
  EBADF: -constants.errno.EBADF,
  ECANCELED: -constants.errno.ECANCELED,
  EINVAL: -constants.errno.EINVAL,
  ENOTCONN: -constants.errno.ENOTCONN,
  EPIPE: -constants.errno.EPIPE,
  EALREADY: -constants.errno.EALREADY,
  ENOTSUP: -constants.errno.ENOTSUP,
  EAGAIN: -constants.errno.EAGAIN,
  EBUSY: -constants.errno.EBUSY,
  EDESTADDRREQ: -constants.errno.EDESTADDRREQ,
  EEXIST: -constants.errno.EEXIST,
  EISCONN: -constants.errno.EISCONN,
  EMSGSIZE: -constants.errno.EMSGSIZE,
  ENOBUFS: -constants.errno.ENOBUFS,
  ESRCH: -constants.errno.ESRCH,
} as const;

/** One thread's environment: functions that return 0 or a negative errno unless said otherwise. */
export interface Native {
  /** Hands over the first `bytes` of the outbox. Returns the status of its last write: 0 done, 1 waits, or an errno. */
  submit(bytes: number): number;
  /** As `submit` of the first `bytes`, and behind them one piece of a write that stays in JavaScript's memory. */
  writeLent(slot: number, generation: number, data: Uint8Array, flags: number, bytes: number): number;
  /** As `writeLent` of a copy: the write counts as written. */
  writeCopied(slot: number, generation: number, data: Uint8Array, flags: number, bytes: number): number;
  lendBlock(index: number, memory: ArrayBuffer): number;
  /** A new id: its slot; the generation is in `Control.out`. */
  allocate(): number;
  /** Everything handed over so far is carried out before this returns. */
  settle(): number;
  /** Carries out everything handed over; 1 if bytes, or the end, of a stream have been taken from the kernel. */
  hasRead(slot: number, generation: number): number;
  /**
   * Carries out everything handed over; 1 if a stream of which lib/ has been given `heard` bytes has more, an end or an error
   * that it was not told of.
   */
  hasPending(slot: number, generation: number, heard: number): number;
  /** Carries out everything handed over; the bytes of a stream that the kernel has not taken, 2 GiB at most. */
  unsent(slot: number, generation: number): number;
  /**
   * Accepts one connection of a shared listener: its slot, with generation and descriptor in the control words, or an
   * errno: EAGAIN when there is none (any more).
   */
  acceptOne(slot: number, generation: number): number;
  /** Sends what was acknowledged, waiting a bounded time; returns the bytes left behind. */
  flush(): number;
  /** Keeps the event loop alive, or lets it go. */
  hold(): number;
  release(): number;
  /** Calls `deferred` early in the next turn of the loop; `scheduleClosing` calls `closing` in its closing phase. */
  defer(): number;
  /** Calls `deferred` in the check phase of this turn, right after the poll phase. */
  deferCheck(): number;
  /** Calls `deferred` where Node's C++ runs its own immediates, in the order they were set. */
  deferImmediate(): number;
  scheduleClosing(): number;
  /** Reports an exception as libuv's own callbacks would: 'uncaughtException', or the end of the process. */
  fatalException(error: unknown): void;
  /** Fills doubles, see `counters.ts`; returns how many. */
  stats(into: ArrayBuffer): number;
  resetStats(): number;
  /** The inline driver takes the seat: from here on every write reaches the kernel inside its call. */
  takeSeat(): number;
  bindTcp(fd: number, v6: boolean, host: string, port: number, flags: number): number;
  listenTcp(fd: number, backlog: number): number;
  /** 0 under way, 1 ended with the outcome in `Control.out2`. */
  connectTcp(fd: number, v6: boolean, host: string, port: number): number;
  bindPipe(name: string): number;
  listenPipe(fd: number, backlog: number): number;
  connectPipe(fd: number, name: string): number;
  unlink(path: string): number;
  /** The address, with port and "is IPv6" in the control words. */
  name(fd: number, peer: boolean): string | number;
  setNoDelay(fd: number, on: boolean): number;
  setKeepAlive(fd: number, on: boolean, idle: number, interval: number, count: number): number;
  setTypeOfService(fd: number, value: number): number;
  typeOfService(fd: number): number;
  adopt(fd: number): number;
  /** Bits of `Access`, or an errno. */
  accessMode(fd: number): number;
  /** A second descriptor, or an errno. */
  duplicate(fd: number): number;
  /**
   * A descriptor that a call here has made, or `adopt` has taken in, goes to a handle of Node's in the next call: until then,
   * or until the reactor has it, the environment's end closes it. The descriptor, or EBADF for what is none of these.
   */
  claim(fd: number): number;
  closeDescriptor(fd: number): number;
  /** The descriptor of a call that may make the socket lies in `Control.out` after it. */
  bindUdp(fd: number, v6: boolean, host: string, port: number, flags: number): number;
  bindAnyUdp(fd: number, v6: boolean): number;
  connectUdp(fd: number, v6: boolean, host: string, port: number): number;
  disconnectUdp(fd: number): number;
  openUdp(fd: number): number;
  /** Sends the datagram that lies alone in the outbox, so many bytes with its header. */
  sendUdp(fd: number, bytes: number): number;
  /** `which` is one of `UdpNumber`. */
  setUdpNumber(fd: number, v6: boolean, which: number, value: number): number;
  setMulticastInterface(fd: number, address: string): number;
  setMembership(fd: number, join: boolean, group: string, face: string | undefined): number;
  setSourceMembership(fd: number, join: boolean, source: string, group: string, face: string | undefined): number;
  /** Sets it unless `size` is 0; the size, or an errno. */
  bufferSize(fd: number, size: number, receiving: boolean): number;
  /** An IPv6 address as `name` would have it, from its words and scope. */
  peerText(word0: number, word1: number, word2: number, word3: number, scope: number): string;
  /** Address and scope of an IPv6 literal, 20 bytes. */
  parseV6(host: string, into: Uint8Array): number;
  /** What the kernel offers for many datagrams: bits of `DatagramOffer`. */
  datagramOffers(): number;
  /**
   * Starts a child. `strings`, with zeros between: the file, a directory, arguments, environment. `layout`, words: how many
   * arguments and how large an environment, flags, user, group, then what the child has by number and room for as many slots
   * and as many generations. Returns its number, with its descriptor, slot and generation in the first words, or an errno; our
   * ends of its pipes, with slot and generation of those in the reactor, are put into the layout either way.
   */
  spawn(strings: string, layout: ArrayBuffer): number;
  /**
   * Starts a child and waits for it. As `spawn`, with as many lengths behind the descriptors: what each reads of `input`.
   * `bounds`, doubles: milliseconds and bytes (0 for none), and the signal to end by. What the child wrote, by number; the
   * first words of the layout are then pid, whether it ran, exit code, signal and errno. A number where it was not understood.
   */
  spawnSync(strings: string, layout: ArrayBuffer, input: Uint8Array, bounds: ArrayBuffer): (Buffer | null)[] | number;
  /** 1 for a child that ended, with exit code and signal in the control words; 0 while it runs. */
  reap(fd: number): number;
  kill(pid: number, signal: number): number;
  /** 1 where the kernel has what `spawn` and `reap` need. */
  canSpawn(): number;
}

/** What the native part calls. */
export interface Callbacks {
  /**
   * Events of a batch, from one on. `scoped` says whether a callback scope is open, which events for `lib/` need and
   * those for native consumers must not have; `Control.next` is then where the kind changed, or the number of events.
   *
   * All three throw null when the last callback threw: that was reported, and the scope around the call must not drain.
   */
  dispatch(batch: number, from: number, events: number, wantsBlocks: number, scoped: number): void;
  /** `phase` is one of `Phase`. */
  deferred(phase: number): void;
  closing(): void;
  /**
   * `this` of all three. Where domains are in use Node takes the domain that a callback belongs to from its receiver: this one has
   * none, and inherits none, and the resource inside says which it is.
   */
  readonly receiver: object;
}

/** The memory that both sides see. */
export interface Memory {
  readonly control: ArrayBuffer;
  readonly outbox: ArrayBuffer;
  readonly words: readonly ArrayBuffer[];
  readonly bytes: readonly ArrayBuffer[];
}

interface Addon {
  open(memory: Memory, callbacks: Callbacks, driver: number, seed: number, threads: number): Native | undefined;
  buildInfo(): string;
  /** As many doubles as there is room for whole environments: a number, then its counters. How many doubles, or an errno. */
  counters(into: ArrayBuffer): number;
}

/** Memory that is written before it is read: filled with zeros, pages that nobody ever needs would be there. */
function unfilled(bytes: number): ArrayBuffer {
  return BufferAllocUnsafeSlow(bytes).buffer as ArrayBuffer;
}

/** Allocates what both sides share. */
export function createMemory(): Memory {
  const buffers = (bytes: number): ArrayBuffer[] => {
    const all: ArrayBuffer[] = [];
    for (let index = 0; index < BATCHES; index += 1) all[index] = unfilled(bytes);
    return all;
  };
  return {
    control: new ArrayBuffer(CONTROL_WORDS * 4),
    outbox: unfilled(OUTBOX_BYTES),
    words: buffers(BATCH_EVENTS * EVENT_WORDS * 4),
    bytes: buffers(BATCH_BYTES),
  };
}

/** Opens this thread's environment; undefined when the system refuses descriptors or memory. */
export function open(addon: unknown, memory: Memory, callbacks: Callbacks, config: Config): Native | undefined {
  const seed = config.seed ?? MathFloor(MathRandom() * 0x7fff_ffff);
  return (addon as Addon).open(memory, callbacks, driverNumbers[config.driver], seed | 0, config.threads);
}

/** What the native part was built from. */
export function buildInfo(addon: unknown): { version: string; target: string; profile: string } {
  return JSONParse((addon as Addon).buildInfo());
}

/** Environments that the counters of all are first asked for with room for. */
const EXPECTED_THREADS = 4;

/** The counters of all environments of the process: for each its number, then its counters. */
export function readCounters(addon: unknown): Float64Array {
  for (let threads = EXPECTED_THREADS; ; threads *= 2) {
    const numbers = new Float64Array(threads * (1 + COUNTERS));
    const found = (addon as Addon).counters(numbers.buffer as ArrayBuffer);
    if (found === errno.ENOBUFS) continue;
    // A view of what was written, or of nothing where it was not understood.
    return new Float64Array(numbers.buffer as ArrayBuffer, 0, found > 0 ? found : 0);
  }
}
