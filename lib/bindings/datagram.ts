/**
 * One datagram socket on our side of a handle: its descriptor, its place in the reactor, what is under way. `udp-wrap`
 * is the shell around it; receiving and sending live in `datagram-receive` and `datagram-send`.
 *
 * Calls that change the socket act on the descriptor at once, after whatever was sent before has left.
 */

import { SafeSet } from '../collections';
import { runIn, type Scope } from '../context/async-scope';
import { getEnvironment } from '../context/environment';
import { defer, waitForClosing } from '../context/phases';
import { errno } from '../native';
import { Command, SHARED } from '../native/protocol';
import { ArrayPrototypeFilter, ArrayPrototypePush, ArrayPrototypeShift } from '../primordials';
import { finish, type Request } from './requests';

/** The handle as we see it: what Node's lib/ puts there. */
export interface UdpShell {
  onmessage?: (length: number, handle: object, message?: Buffer, from?: object) => void;
}

/** A message under way, which lib/ is told the end of. */
export interface Send {
  readonly request: Request;
  readonly bytes: number;
  readonly hasCallback: boolean;
  /** The kernel has it already, and only the telling is to come. */
  readonly sent: boolean;
}

/** Sockets of the reactor by slot. */
const table: (Datagram | undefined)[] = [];
/** Open sockets that have no place there yet. */
const unplaced = new SafeSet<Datagram>();
const closing = new SafeSet<Datagram>();

/** The socket of an event; a stale id finds none. */
export function datagramAt(slot: number, generation: number): Datagram | undefined {
  const found = table[slot];
  return found !== undefined && found.generation === generation ? found : undefined;
}

/** Open sockets, and those between `close` and its callback: Node's introspection lists them. */
export function liveDatagrams(): Datagram[] {
  const live = ArrayPrototypeFilter(table, (socket) => socket !== undefined) as Datagram[];
  unplaced.forEach((socket) => {
    ArrayPrototypePush(live, socket);
  });
  closing.forEach((socket) => {
    ArrayPrototypePush(live, socket);
  });
  return live;
}

export class Datagram {
  readonly handle: UdpShell;
  scope: Scope;
  slot = -1;
  generation = 0;
  /** Descriptor, −1 without one. */
  fd = -1;
  closed = false;
  /** The close callback ran. */
  gone = false;
  /** It has returned: there is nothing behind the handle any more. */
  dead = false;
  referenced = true;
  receiving = false;
  connected = false;
  /** The descriptor came from elsewhere: other processes may read from it as well. */
  shared = false;
  /** Bound by an IPv6 address, which libuv goes by for options. */
  v6 = false;
  /** Messages wait for the kernel. */
  pressed = false;
  /** What the program takes the kernel's buffer for: in a crowd the reactor asks for more. 0 until it may. */
  receiveBuffer = 0;
  /** Messages under way, oldest first. */
  readonly sends: Send[] = [];
  queuedBytes = 0;
  /** Addresses that the kernel has taken a message for: the next one counts as sent before it has it. */
  readonly proved = new SafeSet<unknown>();
  /** Bytes that counted as sent in this turn. */
  acknowledged = 0;
  #alive = false;
  #closeCallback: ((this: unknown) => void) | null = null;

  constructor(handle: UdpShell, scope: Scope) {
    this.handle = handle;
    this.scope = scope;
    unplaced.add(this);
  }

  /** Keeps the event loop alive exactly when libuv would (docs/seams.md, "What holds the loop"). */
  updateLiveness(): void {
    const alive = (this.receiving && this.referenced && !this.closed) || this.sends.length > 0;
    if (alive === this.#alive) return;
    this.#alive = alive;
    if (alive) getEnvironment().hold();
    else getEnvironment().release();
  }

  /** Gives the descriptor to the reactor, once. */
  enter(): void {
    if (this.slot >= 0) return;
    const environment = getEnvironment();
    this.receiveBuffer = environment.native.bufferSize(this.fd, 0, true);
    environment.assign(this);
    table[this.slot] = this;
    unplaced.delete(this);
    environment.command(Command.openDatagram, this, this.fd, this.shared ? SHARED : 0);
  }

  /** As libuv's loop knows it: receiving, or with messages to send. */
  get watched(): boolean {
    return this.receiving || this.sends.length > 0;
  }

  /**
   * The descriptor is about to be another process's as well. Nothing is received until the loop has come round, where
   * libuv would look again: a program that closes the socket once it is sent must not have taken what the other is to read.
   */
  share(): void {
    this.shared = true;
    if (this.slot < 0) return;
    getEnvironment().command(Command.share, this);
    if (!this.receiving) return;
    getEnvironment().command(Command.readStop, this);
    defer(() => {
      if (this.receiving && !this.closed) getEnvironment().command(Command.readStart, this);
    });
  }

  /** The descriptor for a call that must find everything done that was asked before. */
  settled(): number {
    if (this.slot >= 0) getEnvironment().settle();
    return this.fd;
  }

  /** `bufferSize`: sets it unless `size` is 0; the size, or an errno. */
  bufferSize(size: number, receiving: boolean): number {
    if (receiving && size === 0 && this.receiveBuffer > 0 && !this.closed) return this.receiveBuffer;
    const { native } = getEnvironment();
    const result = native.bufferSize(this.settled(), size, receiving);
    if (receiving && size !== 0 && result >= 0 && this.slot >= 0) {
      getEnvironment().command(Command.keepBuffer, this);
      this.receiveBuffer = native.bufferSize(this.fd, 0, true);
    }
    return result;
  }

  receiveStart(): number {
    if (this.closed) return errno.EBADF;
    if (this.receiving) return 0;
    const status = this.bindAny(false);
    if (status !== 0) return status;
    this.enter();
    this.receiving = true;
    getEnvironment().command(Command.readStart, this);
    this.updateLiveness();
    return 0;
  }

  receiveStop(): number {
    if (this.closed) return errno.EBADF;
    if (!this.receiving) return 0;
    this.receiving = false;
    getEnvironment().command(Command.readStop, this);
    this.updateLiveness();
    return 0;
  }

  /** Binds to any address and port if there is no socket yet, as libuv does for whoever sends or receives. */
  bindAny(v6: boolean): number {
    if (this.fd >= 0) return 0;
    return this.took(getEnvironment().native.bindAnyUdp(this.fd, v6), v6);
  }

  /** After a call that may have made the socket, successful or not. */
  took(status: number, v6: boolean): number {
    this.fd = getEnvironment().out;
    if (status === 0) this.v6 ||= v6;
    return status;
  }

  /** Ends the oldest message under way. */
  endSend(status: number): void {
    const send = ArrayPrototypeShift(this.sends);
    if (send === undefined) return;
    this.queuedBytes -= send.bytes;
    this.updateLiveness();
    if (!send.hasCallback) send.request.oncomplete = undefined;
    finish(send.request, status, send.bytes);
  }

  /** Begins to close; the callback comes in libuv's closing phase. A second call does nothing. */
  close(callback: ((this: unknown) => void) | null): void {
    if (this.closed) return;
    const environment = getEnvironment();
    this.closed = true;
    this.receiving = false;
    unplaced.delete(this);
    this.#closeCallback = callback;
    if (this.slot >= 0) {
      table[this.slot] = undefined;
      environment.command(Command.close, this);
      // The port is free again when close returns.
      environment.settle();
    } else if (this.fd >= 0) {
      environment.native.closeDescriptor(this.fd);
    }
    this.fd = -1;
    closing.add(this);
    waitForClosing(this);
    this.updateLiveness();
  }

  /** The closing phase: what was under way is cancelled in order, then the callback, then nothing more. */
  finishClosing(tick: () => void): void {
    this.gone = true;
    closing.delete(this);
    while (this.sends.length > 0) {
      this.endSend(this.sends[0]?.sent ? 0 : errno.ECANCELED);
      tick();
    }
    const callback = this.#closeCallback;
    this.#closeCallback = null;
    if (callback !== null) runIn(this.scope, this.handle, callback as never);
    this.dead = true;
    this.scope.emitDestroy();
  }
}
