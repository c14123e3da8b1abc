/**
 * The only caller of `process.binding`: fetches the objects that Node's lib/ reads its handle classes from, swaps
 * classes on them, and undoes that softly (a class that someone else replaced since is left alone).
 */

/** A handle or request class, as far as we call it. */
// biome-ignore lint/suspicious/noExplicitAny: classes of Node's C++ side have no types
export type NativeClass = new (...args: any[]) => any;

/** Everything of Node's that tsloop attaches to, fetched once. */
export interface Seam {
  readonly tcp: Record<string, NativeClass> & { constants: Record<string, number> };
  readonly pipe: Record<string, NativeClass> & { constants: Record<string, number> };
  readonly stream: { streamBaseState: Int32Array; [name: string]: unknown };
  readonly jsStream: { JSStream: NativeClass };
  readonly tls: { wrap: (...args: unknown[]) => object; TLSWrap: NativeClass };
  readonly process: { Process: NativeClass };
  readonly udp: { UDP: NativeClass };
  readonly uv: Record<string, unknown>;
  /** Drains ticks and microtasks, as between two of libuv's callbacks. */
  readonly tick: () => void;
}

interface ProcessInternals {
  binding(name: string): never;
  _tickCallback(): void;
  noDeprecation?: boolean;
}

/**
 * Fetches the seam. Under `--pending-deprecation` the accessors would warn (DEP0111, DEP0134): that is our doing, not
 * the program's, so those two warnings are kept from it and nothing else is.
 *
 * @throws Error when a binding or a member is missing: this Node differs, the caller steps aside.
 */
export function fetchSeam(): Seam {
  const internals = process as unknown as ProcessInternals;
  const before = Object.getOwnPropertyDescriptor(process, 'noDeprecation');
  internals.noDeprecation = true;
  try {
    const seam: Seam = {
      tcp: internals.binding('tcp_wrap'),
      pipe: internals.binding('pipe_wrap'),
      stream: internals.binding('stream_wrap'),
      jsStream: internals.binding('js_stream'),
      tls: internals.binding('tls_wrap'),
      process: internals.binding('process_wrap'),
      udp: internals.binding('udp_wrap'),
      uv: internals.binding('uv'),
      tick: internals._tickCallback,
    };
    check(seam);
    if (isPendingDeprecation()) seam.tick.call(process);
    return seam;
  } finally {
    if (before === undefined) Reflect.deleteProperty(process, 'noDeprecation');
    else Object.defineProperty(process, 'noDeprecation', before);
  }
}

function isPendingDeprecation(): boolean {
  return process.execArgv.includes('--pending-deprecation') || process.env['NODE_PENDING_DEPRECATION'] === '1';
}

function check(seam: Seam): void {
  const classes = [seam.tcp['TCP'], seam.pipe['Pipe'], seam.jsStream.JSStream, seam.process.Process, seam.udp.UDP];
  if (classes.some((found) => typeof found !== 'function')) throw new Error('a handle class is missing');
  if (!(seam.stream.streamBaseState instanceof Int32Array)) throw new Error('the stream state is missing');
  if (typeof seam.tick !== 'function') throw new Error('the tick callback is missing');
}

interface Swap {
  readonly holder: Record<string, unknown>;
  readonly name: string;
  readonly ours: unknown;
  readonly native: unknown;
}

const swaps: Swap[] = [];

/** Puts ours in the place of Node's and remembers how to undo it. */
export function swap(holder: object, name: string, ours: unknown): void {
  const target = holder as Record<string, unknown>;
  swaps.push({ holder: target, name, ours, native: target[name] });
  target[name] = ours;
}

/** Undoes every swap that nobody has built upon. */
export function restore(): void {
  for (const { holder, name, ours, native } of swaps.splice(0).reverse()) {
    if (holder[name] === ours) holder[name] = native;
  }
}
