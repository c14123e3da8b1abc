/**
 * One batch of events to the streams they belong to. Between two events ticks and microtasks run, as between two of
 * libuv's callbacks; an exception is reported where it happened and the batch goes on (docs/architecture.md, "One byte in").
 */

import { kStream, makeAccepted } from './bindings/accepted';
import { childAt } from './bindings/child';
import { type Datagram, datagramAt } from './bindings/datagram';
import { onDatagram, onDatagramError } from './bindings/datagram-receive';
import { endSendingTurn, onSendFailed } from './bindings/datagram-send';
import { type Stream, table } from './bindings/stream';
import { onBlock, onData, onReadEnd } from './bindings/stream-read';
import { Consumer } from './bindings/stream-state';
import { onWriteDone, onWriteFailed } from './bindings/stream-write';
import { connectionIn, hasThrown, reportException } from './context/async-scope';
import { type Environment, getEnvironment } from './context/environment';
import { runClosing, runDeferred } from './context/phases';
import { type Callbacks, errno, type Memory } from './native';
import {
  BLOCKS,
  CHUNK_BYTES,
  Command,
  Control,
  DEAD,
  EVENT_WORDS,
  Event,
  TURN_ACCEPTS,
  WAITS,
} from './native/protocol';
import {
  ArrayBufferPrototypeSlice,
  ArrayPrototypeMap,
  ArrayPrototypePop,
  ArrayPrototypePush,
  BufferAllocUnsafeSlow,
  ReflectApply,
} from './primordials';

/** What the native part does not report. */
const LEAVE_TICKS = null;

/** The callbacks for the native part, on the memory that it fills. */
export function createDispatcher(nativeTick: () => void, memory: Memory): Callbacks {
  const blocks: (ArrayBuffer | undefined)[] = [];
  /** Blocks that the reactor is to have, and that there was no memory for: in the next delivery there may be. */
  const owed: number[] = [];
  /** Blocks that the reactor has been promised. */
  let known = 0;
  const words = ArrayPrototypeMap(memory.words, (buffer) => new Int32Array(buffer));
  const bytes = ArrayPrototypeMap(memory.bytes, (buffer) => new Uint8Array(buffer));
  const byteWords = ArrayPrototypeMap(memory.bytes, (buffer) => new Int32Array(buffer));
  const buffers = memory.bytes;

  // A property with a getter on the global object: not to be asked for at every event.
  const receiver = process;
  let leftTicks = false;
  /** At the end of a callback. */
  const tick = (): void => {
    leftTicks = hasThrown();
    if (leftTicks) return;
    try {
      ReflectApply(nativeTick, receiver, []);
    } catch (error) {
      // What the one that threw was about to be followed by waits as well.
      reportException(error);
      leftTicks = hasThrown();
    }
  };
  /**
   * At the end of a call from the native part, which drains what is left: not after a callback that threw. What is thrown here
   * has that effect and no other, the exception having been reported where it happened.
   */
  const end = (): void => {
    if (!leftTicks) return;
    leftTicks = false;
    throw LEAVE_TICKS;
  };

  const lend = (environment: Environment, index: number): void => {
    const block = BufferAllocUnsafeSlow(CHUNK_BYTES).buffer as ArrayBuffer;
    blocks[index] = block;
    environment.lendBlock(index, block);
  };

  const lendOwed = (environment: Environment): void => {
    try {
      while (owed.length > 0) {
        lend(environment, owed[owed.length - 1] as number);
        ArrayPrototypePop(owed);
      }
    } catch {
      // Reads do without it meanwhile.
    }
  };

  /** What a block brought, in memory of its very size: a full block itself, else a copy, as behind it lies what nobody wrote. */
  const takeBlock = (environment: Environment, index: number, length: number): ArrayBuffer => {
    const block = blocks[index] as ArrayBuffer;
    if (length === CHUNK_BYTES) {
      try {
        lend(environment, index);
      } catch {
        ArrayPrototypePush(owed, index);
      }
      return block;
    }
    try {
      return ArrayBufferPrototypeSlice(block, 0, length);
    } finally {
      environment.lendBlock(index, block);
    }
  };

  const accept = (
    environment: Environment,
    server: Stream | undefined,
    slot: number,
    generation: number,
    fd: number,
  ): void => {
    if (server === undefined || server.closed) {
      environment.command(Command.close, { slot, generation });
      return;
    }
    const handle = makeAccepted(server);
    handle[kStream].adopt(slot, generation, fd);
    connectionIn(server.scope, server.handle, 0, handle);
  };

  /**
   * A connection waits at a listener that others accept from too: none is taken before JavaScript is there to serve it,
   * as on plain Node, so a busy process leaves them to the others.
   */
  const acceptShared = (environment: Environment, server: Stream): void => {
    const { native, control } = environment;
    for (let count = 0; count < TURN_ACCEPTS && server.listening && !server.closed; count += 1) {
      const slot = native.acceptOne(server.slot, server.generation);
      if (slot < 0) break;
      accept(environment, server, slot, environment.out, control[Control.out2] as number);
      tick();
    }
    if (server.listening && !server.closed) environment.command(Command.tellAgain, server);
  };

  /** An event of a datagram socket: everything in it is for lib/. */
  const toDatagram = (socket: Datagram, batch: number, op: number, a: number, b: number, c: number): void => {
    if (op <= Event.datagram6)
      onDatagram(socket, bytes[batch] as Uint8Array, byteWords[batch] as Int32Array, op, a, b, c);
    else if (op === Event.datagramError) onDatagramError(socket, a);
    else if (op === Event.sendDone) socket.endSend(a);
    else if (op === Event.sendPressure) socket.pressed = a === 1;
    else onSendFailed(socket);
  };

  const dispatch = (batch: number, from: number, events: number, wantsBlocks: number, scoped: number): void => {
    const environment = getEnvironment();
    const streams = table;
    const record = words[batch] as Int32Array;
    environment.beginDelivery(events, from);
    hasThrown();
    let index = from;
    try {
      for (let through = false; !through; ) {
        try {
          for (let at = index * EVENT_WORDS; index < events; index += 1, at += EVENT_WORDS) {
            const slot = record[at + 1] as number;
            const found = streams[slot];
            const stream = found !== undefined && found.generation === record[at + 2] ? found : undefined;
            const a = record[at + 3] as number;
            const b = record[at + 4] as number;
            const op = record[at] as number;
            const unscoped = stream !== undefined && stream.consumer !== Consumer.lib && op <= Event.readEnd;
            if (unscoped === (scoped === 1)) break;
            if (op === Event.exited) {
              childAt(slot, record[at + 2] as number)?.onExited();
              tick();
              continue;
            }
            if (op >= Event.datagram4) {
              const socket = datagramAt(slot, record[at + 2] as number);
              if (socket !== undefined) toDatagram(socket, batch, op, a, b, record[at + 5] as number);
              tick();
              continue;
            }
            switch (op) {
              case Event.data:
                if (stream !== undefined)
                  onData(stream, buffers[batch] as ArrayBuffer, bytes[batch] as Uint8Array, a, b);
                break;
              case Event.block: {
                const block = takeBlock(environment, a, b);
                if (stream !== undefined) onBlock(stream, block);
                break;
              }
              case Event.readEnd:
                if (stream !== undefined) onReadEnd(stream, a);
                break;
              case Event.accept:
                if (record[at + 5] === WAITS) {
                  if (stream !== undefined) acceptShared(environment, stream);
                  continue;
                }
                accept(environment, stream, a, b, record[at + 5] as number);
                break;
              case Event.acceptError:
                if (stream !== undefined && !stream.closed) connectionIn(stream.scope, stream.handle, a, undefined);
                break;
              case Event.connected:
                stream?.onConnected(a);
                break;
              case Event.writeDone:
                if (stream !== undefined) onWriteDone(stream, a);
                break;
              case Event.shutdownDone:
                stream?.onShutdownDone(a);
                break;
              case Event.pressure:
                // Nobody's callback: what a throwing one before it left waits on.
                if (a !== 0) environment.pressuresHeard = (environment.pressuresHeard + 1) | 0;
                if (stream !== undefined) {
                  stream.pressed = a !== 0;
                  if (a === DEAD) stream.broken = true;
                }
                continue;
              case Event.writeFailed:
                if (stream !== undefined) onWriteFailed(stream, a);
                break;
              case Event.closed:
                stream?.onClosed();
                break;
            }
            tick();
            // Behind what the program puts off with it: it may have paused there.
            if (stream?.once && (op === Event.data || op === Event.block)) stream.readOn();
          }
          through = true;
        } catch (error) {
          // No memory was left for what the event brought. Callbacks report what they throw; this is one event's, too.
          const at = index * EVENT_WORDS;
          const stream = streams[record[at + 1] as number];
          const lost = record[at] === Event.data || record[at] === Event.block;
          // Nothing may follow a hole: a stream ends as one of libuv's does that gets no memory to read into.
          if (lost && stream !== undefined && stream.generation === record[at + 2]) onReadEnd(stream, errno.ENOBUFS);
          else reportException(error);
          tick();
          index += 1;
        }
      }
      if (wantsBlocks === 1) {
        for (; known < BLOCKS; known += 1) ArrayPrototypePush(owed, known);
        lendOwed(environment);
      }
    } finally {
      environment.control[Control.next] = index;
      environment.endDelivery();
      endSendingTurn();
    }
    end();
  };

  return {
    dispatch,
    receiver: { __proto__: null },
    deferred: (phase) => {
      runDeferred(tick, phase);
      end();
    },
    closing: () => {
      runClosing(tick);
      end();
    },
  };
}
