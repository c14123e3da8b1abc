/** What Node's lib/ hands to the handles of its C++ side, as far as we look at it. */

/** A handle or request class, as far as we call it. */
// biome-ignore lint/suspicious/noExplicitAny: classes of Node's C++ side have no types
export type NativeClass = new (...args: any[]) => any;

/** A handle of Node's, as far as we use it. */
export interface NativeHandle {
  fd: number;
  open(fd: number): number;
  close(): void;
}

/** An entry of a child's stdio as lib/ normalises it. */
export interface StdioEntry {
  type: string;
  handle?: { open(fd: number): number };
  /** By the child. */
  readable?: boolean;
  ipc?: boolean;
  fd?: number;
}

/** What lib/ asks of `spawn`: one object on older lines, the same by position on newer ones. */
export interface SpawnOptions {
  readonly file: string;
  readonly args?: readonly string[] | undefined;
  readonly cwd?: string | undefined;
  readonly envPairs?: readonly string[] | undefined;
  readonly stdio?: readonly StdioEntry[] | undefined;
  readonly detached?: boolean;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** An entry of the stdio of a child that its caller waits for. */
export interface SyncStdio {
  readonly type: string;
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly input?: ArrayBufferView | null;
  readonly fd?: number;
}

export interface SyncOptions extends Omit<SpawnOptions, 'stdio'> {
  readonly stdio: readonly SyncStdio[];
  readonly timeout?: number | null;
  readonly maxBuffer?: number | null;
  readonly killSignal?: number | null;
}

export interface SyncResult {
  error?: number;
  status: number | null;
  signal: string | null;
  output: (Buffer | null)[] | null;
  pid: number;
}

/** `spawn` of the binding `spawn_sync`. */
export type SpawnSync = (options: SyncOptions) => SyncResult;
