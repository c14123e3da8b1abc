/**
 * This thread's environment, opened by the first handle: the native part's, and what surrounds it, the outbox that commands
 * gather in and the count that keeps the event loop alive.
 *
 * Module state is per thread: a Worker has its own instance of every module.
 */

import { type Loaded, loadAddon } from '../boot/addon';
import { announce } from '../boot/announce';
import type { Config } from '../boot/config';
import type { Found } from '../boot/found';
import { milliseconds } from '../boot/host';
import { report } from '../boot/report';
import { debug } from '../debug';
import { reason } from '../errors';
import { type Callbacks, createMemory, type Memory, type Native, open } from '../native';
import {
  Command,
  Control,
  FEW_EVENTS,
  GATHER_MILLIS,
  HEADER_BYTES,
  INBOX_BYTES,
  LARGE_CHUNK,
  MORE_DATAGRAMS,
  MOST_GATHER_MILLIS,
  OUTBOX_BYTES,
  URGENT_WRITES,
  WRITES_PER_HANDOVER,
} from '../native/protocol';
import {
  BufferFromMemory,
  BufferPrototypeLatin1Write,
  BufferPrototypeUcs2Write,
  BufferPrototypeUtf8Write,
  TypedArrayPrototypeSet,
} from '../primordials';

/** What the reactor knows by a number: a stream, a datagram socket, a child. */
export interface Entry {
  slot: number;
  generation: number;
}

export class Environment {
  readonly native: Native;
  readonly memory: Memory;
  readonly control: Int32Array;
  /** A delivery is under way: commands gather until its end. */
  delivering = false;
  /** It is one of the inline driver's that tells of many: what is written meanwhile may gather as well. */
  crowded = false;
  /** Deliveries so far, wrapping. */
  deliveries = 0;
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  #used = 0;
  #writes = 0;
  /** When something that gathers was last handed over, milliseconds. */
  #handedOver = 0;
  /** Since when something gathers, milliseconds; 0 if nothing does. */
  #gatheringSince = 0;
  /** Writes that do not gather, as one before them waited for a slow callback. */
  #urgent = 0;
  /** Datagrams in the outbox. */
  gathered = 0;
  /** Requests handed to the offload driver, and their bytes, wrapping like the control words they are held against. */
  #posted = 0;
  #postedBytes = 0;
  /** Times that the dispatcher has heard of a full send buffer, wrapping like the control word it is held against. */
  pressuresHeard = 0;
  #holds = 0;
  /** Who had the seat at the last delivery. */
  #driver: number;

  constructor(native: Native, memory: Memory) {
    this.native = native;
    this.memory = memory;
    this.control = new Int32Array(memory.control);
    this.#words = new Int32Array(memory.outbox);
    this.#bytes = BufferFromMemory(memory.outbox);
    this.#driver = this.control[Control.driver] as number;
  }

  get offloaded(): boolean {
    return this.control[Control.driver] === 1;
  }

  /** A new id. */
  assign(entry: Entry): void {
    entry.slot = this.native.allocate();
    entry.generation = this.out;
  }

  /** The second result of the last native call. */
  get out(): number {
    return this.control[Control.out] as number;
  }

  get outbox(): Buffer {
    return this.#bytes;
  }

  get outboxWords(): Int32Array {
    return this.#words;
  }

  /** Most bytes of a datagram with its peer that the outbox has room for. */
  readonly largestDatagram = OUTBOX_BYTES - HEADER_BYTES - 4;

  /** Appends a datagram of so many bytes, its peer's included; returns where to write them. */
  gather(entry: Entry, length: number, flags: number): number {
    if (this.#used + HEADER_BYTES + length + 4 > OUTBOX_BYTES) this.submit();
    const at = (this.#header(Command.send, entry, length, flags) << 2) + HEADER_BYTES;
    this.#used += (length + 3) & ~3;
    this.gathered += 1;
    return at;
  }

  /** As `gather`, for one that is sent inside the call: nothing else is in the outbox, and nothing stays there. */
  alone(entry: Entry, length: number, flags: number): number {
    this.submit();
    const at = (this.#header(Command.send, entry, length, flags) << 2) + HEADER_BYTES;
    this.#used = 0;
    return at;
  }

  /** Bytes of a datagram alone in the outbox. */
  aloneBytes(length: number): number {
    return HEADER_BYTES + ((length + 3) & ~3);
  }

  /** Appends a command without bytes and hands it over unless a delivery is under way. */
  command(op: number, entry: Entry, a = 0, b = 0): void {
    this.#header(op, entry, a, b);
    if (!this.delivering) this.submit();
  }

  /** Appends a command only: a write follows, or a submit. */
  #header(op: number, entry: Entry, a: number, b: number): number {
    if (this.#used + HEADER_BYTES + LARGE_CHUNK + 4 > OUTBOX_BYTES) this.submit();
    const at = this.#used >> 2;
    const words = this.#words;
    words[at] = op;
    words[at + 1] = entry.slot;
    words[at + 2] = entry.generation;
    words[at + 3] = a;
    words[at + 4] = b;
    this.#used += HEADER_BYTES;
    return at;
  }

  /** Appends a write of at most `LARGE_CHUNK` bytes. */
  writeBytes(entry: Entry, data: Uint8Array, flags: number): void {
    this.#header(Command.write, entry, data.length, flags);
    TypedArrayPrototypeSet(this.#bytes, data, this.#used);
    this.#pad(data.length);
  }

  /** Appends a write of several chunks as one, at most `LARGE_CHUNK` bytes together. */
  writeChunks(entry: Entry, chunks: readonly Uint8Array[], total: number, flags: number): void {
    this.#header(Command.write, entry, total, flags);
    let at = this.#used;
    for (let index = 0; index < chunks.length; index += 1) {
      const chunk = chunks[index] as Uint8Array;
      TypedArrayPrototypeSet(this.#bytes, chunk, at);
      at += chunk.length;
    }
    this.#pad(total);
  }

  /** Begins a write whose length is known when its parts are in; each `put…` returns the bytes it added. */
  beginWrite(entry: Entry, flags: number): number {
    return this.#header(Command.write, entry, 0, flags);
  }

  putBytes(data: Uint8Array, at: number): number {
    TypedArrayPrototypeSet(this.#bytes, data, this.#used + at);
    return data.length;
  }

  putLatin1(text: string, at: number): number {
    return BufferPrototypeLatin1Write(this.#bytes, text, this.#used + at, text.length);
  }

  putUtf8(text: string, at: number): number {
    return BufferPrototypeUtf8Write(this.#bytes, text, this.#used + at, LARGE_CHUNK);
  }

  putUcs2(text: string, at: number): number {
    return BufferPrototypeUcs2Write(this.#bytes, text, this.#used + at, text.length * 2);
  }

  endWrite(header: number, length: number): void {
    this.#words[header + 3] = length;
    this.#pad(length);
  }

  #pad(length: number): void {
    this.#used += (length + 3) & ~3;
    this.#writes += 1;
  }

  /** Hands over what gathered; returns the status of its last write (0 while the offload driver has the seat). */
  submit(): number {
    const used = this.#used;
    if (used === 0) return 0;
    this.#used = 0;
    this.#writes = 0;
    this.#gatheringSince = 0;
    this.gathered = 0;
    if (this.offloaded) {
      this.#posted = (this.#posted + 1) | 0;
      this.#postedBytes = (this.#postedBytes + used) | 0;
    }
    return this.native.submit(used);
  }

  /**
   * Hands over what gathered if it is time: outside a delivery always; inside every few writes, or when the last hand-over of
   * this delivery is a while ago, as then JavaScript takes its time and the peer must not wait for that.
   */
  submitSoon(): void {
    if (!this.delivering) {
      this.submit();
      return;
    }
    this.#submitAfter(this.#writes, WRITES_PER_HANDOVER);
  }

  /** As `submitSoon`, of datagrams, which gather outside a delivery as well. */
  submitDatagrams(): void {
    this.#submitAfter(this.gathered, MORE_DATAGRAMS);
  }

  #submitAfter(gathered: number, most: number): void {
    const now = milliseconds();
    this.#hasWaited(now);
    if (this.#urgent > 0) this.#urgent -= 1;
    else if (gathered < most && now - this.#handedOver < GATHER_MILLIS) {
      if (this.#gatheringSince === 0) this.#gatheringSince = now;
      return;
    }
    this.#handedOver = now;
    this.submit();
  }

  /** What gathers has waited for a callback that took its time: with such a program the next ones do not gather. */
  #hasWaited(now: number): void {
    if (this.#gatheringSince > 0 && now - this.#gatheringSince > MOST_GATHER_MILLIS) this.#urgent = URGENT_WRITES;
  }

  /** A delivery begins, of so many events, or goes on behind those that it has told of. */
  beginDelivery(events: number, from = 0): void {
    this.delivering = true;
    this.crowded = events > FEW_EVENTS && !this.offloaded;
    if (from === 0) this.deliveries = (this.deliveries + 1) | 0;
    if (this.#driver !== this.control[Control.driver]) this.#noteSeat();
  }

  /** The seat has passed since the delivery before: whoever wants to know is told. */
  #noteSeat(): void {
    this.#driver = this.control[Control.driver] as number;
    announce('seat', { __proto__: null, driver: this.offloaded ? 'offload' : 'inline' });
  }

  /** A delivery ends: what gathered leaves. */
  endDelivery(): void {
    this.delivering = false;
    this.crowded = false;
    if (this.#gatheringSince > 0) this.#hasWaited(milliseconds());
    this.submit();
  }

  /** Hands over what gathered and, behind it, one piece that stays where it is; status as `submit`. */
  lend(entry: Entry, data: Uint8Array, flags: number): number {
    const used = this.#takeUsed(0);
    return this.native.writeLent(entry.slot, entry.generation, data, flags, used);
  }

  /** As `lend`, of a copy, for a write that counts as written. */
  copy(entry: Entry, data: Uint8Array, flags: number): number {
    const used = this.#takeUsed(data.length);
    return this.native.writeCopied(entry.slot, entry.generation, data, flags, used);
  }

  /** Empties the outbox for a hand-over with one more request behind it, of so many bytes. */
  #takeUsed(more: number): number {
    const used = this.#used;
    this.#used = 0;
    this.#writes = 0;
    this.#gatheringSince = 0;
    this.gathered = 0;
    if (this.offloaded) {
      this.#posted = (this.#posted + (used > 0 ? 2 : 1)) | 0;
      this.#postedBytes = (this.#postedBytes + used + more) | 0;
    }
    return used;
  }

  /** Lends a block for large reads. */
  lendBlock(index: number, memory: ArrayBuffer): void {
    if (this.offloaded) this.#posted = (this.#posted + 1) | 0;
    this.native.lendBlock(index, memory);
  }

  /** Everything asked for so far is carried out, whoever has the seat. */
  settle(): void {
    this.submit();
    this.native.settle();
  }

  /** The number of the last hand-over to the offload driver. */
  get lastRequest(): number {
    return this.#posted;
  }

  /** The number that the next hand-over to the offload driver will have. */
  get nextRequest(): number {
    return (this.#posted + 1) | 0;
  }

  /** Whether the offload driver has applied a hand-over. */
  hasApplied(request: number): boolean {
    return (((this.control[Control.applied] as number) - request) | 0) >= 0;
  }

  /**
   * Whether the kernel has what a hand-over brought to a stream that is not under pressure: it is applied, and no full send
   * buffer was met until then of which we have not heard.
   */
  hasReachedKernel(request: number): boolean {
    const { control } = this;
    if (((Atomics.load(control, Control.applied) - request) | 0) < 0) return false;
    return ((Atomics.load(control, Control.pressures) - this.pressuresHeard) | 0) <= 0;
  }

  /** Whether the offload driver's inbox takes more writes that count as written. */
  hasRoom(): boolean {
    return ((this.#postedBytes - (this.control[Control.appliedBytes] as number)) | 0) + this.#used < INBOX_BYTES;
  }

  /** Counts what keeps the event loop alive. */
  hold(): void {
    if (this.#holds++ === 0) this.native.hold();
  }

  release(): void {
    if (--this.#holds === 0) this.native.release();
  }
}

let current: Environment | null = null;
let loaded: Loaded | undefined;

/** The environment: handles exist only once it is open. */
export function getEnvironment(): Environment {
  return current as Environment;
}

/** The environment if it has been opened. */
export function findEnvironment(): Environment | null {
  return current;
}

/** Loads the native part, once. */
export function load(settings: Config, found: Found): Loaded {
  if (loaded === undefined) {
    loaded = loadAddon(found);
    if (loaded.reason !== null) report(loaded.reason, settings);
  }
  return loaded;
}

/** The addon if it has been loaded already. */
export function loadedAddon(): Loaded | undefined {
  return loaded;
}

/** Opens it, once; null where it cannot be. The native part calls `callbacks` from then on. */
export function openEnvironment(
  settings: Config,
  addon: Found,
  callbacks: (memory: Memory) => Callbacks,
): Environment | null {
  const found = load(settings, addon);
  if (found.reason !== null) return null;
  const memory = createMemory();
  const native = open(found.addon, memory, callbacks(memory), settings);
  if (native === undefined) {
    report(reason('ERR_TSLOOP_REACTOR', 'no descriptors or memory', true), settings);
    return null;
  }
  debug(`reactor open, driver ${settings.driver}`);
  current = new Environment(native, memory);
  return current;
}
