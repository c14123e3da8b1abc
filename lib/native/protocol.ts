/**
 * What crosses the border to the native part, number by number (`test/unit/protocol.spec.mts` holds both sides together). The other half of each table stands in
 * `native/core/src/event.rs`, `command.rs`, `limits.rs` and `native/node/src/env.rs`.
 */

/** Events: records of six words `op, id, generation, a, b, c`. */
export const EVENT_WORDS = 6;
export const Event = {
  data: 1,
  block: 2,
  readEnd: 3,
  accept: 4,
  acceptError: 5,
  connected: 6,
  writeDone: 7,
  shutdownDone: 8,
  pressure: 9,
  closed: 10,
  writeFailed: 11,
  datagram4: 12,
  datagram6: 13,
  datagramError: 14,
  sendDone: 15,
  sendPressure: 16,
  sendFailed: 17,
  exited: 18,
} as const;

/** Instead of a descriptor in `Event.accept`: somebody waits at a shared listener. */
export const WAITS = -1;

/** Commands: a header of five words `op, id, generation, a, b`; a write's bytes follow, padded to four. */
export const HEADER_BYTES = 20;
export const Command = {
  openStream: 1,
  openListener: 2,
  openConnecting: 3,
  readStart: 4,
  readStop: 5,
  write: 6,
  shutdown: 7,
  close: 8,
  openDatagram: 9,
  send: 10,
  share: 11,
  keepBuffer: 12,
  tellAgain: 14,
} as const;

/** Flags of a write: more pieces of the request follow; report its end if it does not come inside the call. */
export const MORE = 1;
export const NOTIFY = 2;
/** Flag of a close: reset the connection. (`NOTIFY` asks for `Event.closed`.) */
export const RESET = 1;
/** Flag of a close: with how many bytes were given to lib/. If the reactor took more, the rest lies unread. */
export const COUNTED = 4;
/** In `Event.pressure`: the connection is gone. */
export const DEAD = 2;
/** Flag of `openStream`: by a connection attempt that succeeded inside its call. */
export const CONNECTED = 1;

/** Flag of `readStart`: what is read next of a stream is all, until it is asked for again. */
export const ONCE = 1;

/** Flag of `openDatagram` and `openListener`: others use the descriptor as well. */
export const SHARED = 1;

/** Flags of a send: the bytes begin with an IPv4 address and port, or an IPv6 address, scope and port. */
export const TO_V4 = 4;
export const TO_V6 = 8;

/** Flags of `spawn`: a session of its own; a directory comes second among the strings; another user; another group. */
export const SpawnFlag = { detached: 1, directory: 2, user: 4, group: 8 } as const;
/**
 * Among the descriptors of `spawn`: a connection to us, whose end is given out, or which is a stream of ours, by what the
 * child does with it; the latter also for `spawnSync`. Our end takes its place. (−1 is nothing.)
 */
export const ChildPipe = { given: -2, in: -3, out: -4, both: -5 } as const;
/** Where the descriptors begin among the words of `spawn`. */
export const LAYOUT_STDIO = 5;

/** Options of a datagram socket that are one number. */
export const UdpNumber = { broadcast: 0, timeToLive: 1, multicastTimeToLive: 2, multicastLoopback: 3 } as const;

/** Bits of what a kernel offers: many datagrams to a call, groups that it cuts apart, groups that it has joined. */
export const DatagramOffer = { batches: 1, cuts: 2, joins: 4 } as const;

/** What a descriptor is open for. */
export const Access = { reading: 1, writing: 2 } as const;

/** Words of the control buffer. */
export const Control = {
  /** Requests the offload driver has applied, wrapping. */
  applied: 0,
  /** Bytes of those requests, wrapping. */
  appliedBytes: 1,
  /** Times it has told of a full send buffer by then, wrapping. */
  pressures: 2,
  /** Second and third result of a call. */
  out: 3,
  out2: 4,
  /** Who has the seat: 0 inline, 1 offload. */
  driver: 5,
  /** The first event that the dispatcher did not come to. */
  next: 6,
} as const;
export const CONTROL_WORDS = 7;

/** What `deferred` is asked to run: early in the next turn, in the check phase of this one, among Node's immediates. */
export const Phase = { turn: 0, check: 1, immediate: 2 } as const;

/** Sizes that both sides rely on. */
export const BATCHES = 4;
export const BATCH_BYTES = 128 * 1024;
export const BATCH_EVENTS = 2048;
export const CHUNK_BYTES = 64 * 1024;
export const BLOCKS = 8;
export const TURN_ACCEPTS = 64;
export const LARGE_CHUNK = 16 * 1024;
export const INBOX_BYTES = 8 * 1024 * 1024;

/** Commands that wait to be handed over: room for the largest small write several times over. */
export const OUTBOX_BYTES = 128 * 1024;

/**
 * Bytes of one connection that count as written before the kernel has them: about what a fresh send buffer takes at
 * once, so that a program sees a write end inside the call where libuv's would, and 64 KiB with a header still fit.
 */
export const ACKNOWLEDGED_BYTES = 128 * 1024;

/**
 * Milliseconds after a hand-over in which small writes of a delivery, and datagrams of a turn, gather for the next: a wake-up
 * is worth some waiting, but what a handler of milliseconds answers leaves when it is given.
 */
export const GATHER_MILLIS = 0.15;

/**
 * Milliseconds that something has gathered after which a callback counts as one that takes its time: the bound above, and what
 * the work in between may take.
 */
export const MOST_GATHER_MILLIS = 0.3;

/** Small writes that leave at once after one has waited for a slow callback. */
export const URGENT_WRITES = 1024;

/**
 * Events of a delivery of the inline driver up to which each write is given to the kernel in its call: with so few there is
 * little to save, and a program hears inside the call what became of it.
 */
export const FEW_EVENTS = 2;

/** Writes that are gathered during a delivery before they are handed over: the offload driver starts early and wakes rarely. */
export const WRITES_PER_HANDOVER = 32;

/**
 * Chunks after which a stream that has not paused is read ahead of JavaScript by the offload driver: until then, and after each
 * pause, the next one is read when JavaScript has had the one before, as on plain Node, so that a paused reader's bytes stay in the kernel.
 */
export const STEADY_CHUNKS = 16;

/** Datagrams that are gathered before they are handed over: as many as one group may have that the kernel cuts apart. */
export const MORE_DATAGRAMS = 64;

/** Bytes of one socket that count as sent in one turn of the loop: what a turn later is known to wait is bounded by it. */
export const TURN_SENT_BYTES = 1024 * 1024;

/** `driver` argument of `open`. */
export const driverNumbers = { auto: 0, inline: 1, offload: 2, random: 3 } as const;

/** `UV_EOF`. */
export const UV_EOF = -4095;
