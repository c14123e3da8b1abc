// @ts-check
// The cells: which unmodified program runs, and what is done to it. Goals are in goals.json, by the same names.

/**
 * What a cell may ask of the run: files and addresses that exist only then, and times in seconds.
 * @typedef {{ scratch: string, key: string, certificate: string, rsaKey: string, rsaCertificate: string,
 *   peer: () => Promise<string>, warmup: number, seconds: number, slice: number, calm: number }} Context
 */

/**
 * @typedef {object} Cell
 * @property {string} name
 * @property {'server' | 'client' | 'idle' | 'startup' | 'receiver' | 'sender' | 'itself'} kind who is measured; a server in slices, all others in one window
 * @property {string} workload the program, in workloads/
 * @property {(context: Context) => string[] | Promise<string[]>} [args] its arguments
 * @property {string} [mode] the load generator's mode
 * @property {(context: Context) => string[]} [load] the load generator's options
 * @property {string} unit what one operation is
 * @property {number} [bytes] bytes one operation carries, where bytes per second are the figure people know
 * @property {string} [enable] the optional part it is about: on under tsloop
 * @property {boolean} [threads] JavaScript runs on other threads than the main one, whose time says nothing then
 * @property {boolean} [asks] the server counts for itself as well, and tells at SIGUSR2
 * @property {number} [lead] seconds of load before a slice at least, where what is measured takes so long to settle
 * @property {number} [least] seconds of a slice at least, where half of one holds too few of what is measured
 * @property {number} [underWay] nearly every handshake must be a resumed one, save for so many under way when a slice opens
 */

/** @param {number} connections @returns {Cell} */
const http = (connections) => ({
  name: `http-64b-c${connections}`,
  kind: 'server',
  workload: 'http-hello.js',
  args: () => ['64'],
  mode: 'http',
  load: () => ['--connections', String(connections), '--size', '64'],
  unit: 'request',
});

/**
 * Two workers with 64 connections each, whose processor time is added up: what a request costs the worker that serves it.
 * @param {string} scheduler @returns {Cell}
 */
const cluster = (scheduler) => ({
  ...http(128),
  name: `http-cluster-${scheduler}`,
  workload: 'http-cluster.js',
  args: () => [scheduler],
});

/** Paths of unix-domain sockets handed out so far. */
let sockets = 0;

/** @param {string} name @param {number} connections @param {boolean} unix @returns {Cell} */
const echo = (name, connections, unix) => ({
  name,
  kind: 'server',
  workload: 'net-echo.js',
  // A path of its own for every process: a server that is stopped leaves its path behind.
  args: ({ scratch }) => (unix ? [`${scratch}/${++sockets}.sock`] : []),
  mode: 'echo',
  load: () => ['--connections', String(connections), '--size', '64'],
  unit: 'echo',
});

/** @param {string} name @param {string[]} more @param {boolean} rsa @returns {Cell} */
const https = (name, more, rsa = false) => ({
  name,
  kind: 'server',
  workload: 'https-hello.js',
  args: ({ key, certificate, rsaKey, rsaCertificate }) => (rsa ? [rsaKey, rsaCertificate] : [key, certificate]),
  mode: 'http',
  load: ({ certificate, rsaCertificate }) => ['--size', '64', '--tls', rsa ? rsaCertificate : certificate, ...more],
  unit: more.includes('--one-shot') ? 'connection' : 'request',
  ...(more.includes('--resume') ? { underWay: Number(more[1]) } : {}),
});

/**
 * Requests that come 16 at a time to a handler that computes: nobody may have to wait for the others' answers.
 * @param {number} milliseconds @returns {Cell}
 */
const handler = (milliseconds) => ({
  name: `handler-${milliseconds}ms-c16`,
  kind: 'server',
  workload: 'http-busy.js',
  args: () => [String(milliseconds)],
  mode: 'burst',
  load: () => ['--connections', '16', '--size', '64'],
  unit: 'request',
  least: 1,
});

/** @param {number} count @returns {Cell} */
const workers = (count) => ({
  name: `workers-${count}`,
  kind: 'server',
  workload: 'net-workers.js',
  args: () => [String(count)],
  mode: 'echo',
  load: () => ['--connections', String(count * 4), '--size', '64'],
  unit: 'echo',
  threads: true,
});

/** @param {string} name @param {string} workload @param {number} concurrency @returns {Cell} */
const client = (name, workload, concurrency) => ({
  name,
  kind: 'client',
  workload,
  args: async ({ peer, warmup, seconds }) => [await peer(), String(concurrency), String(warmup), String(seconds)],
  unit: 'request',
});

/** @param {string} name @param {number} size @param {number} sockets @param {number} window @returns {Cell} */
const udp = (name, size, sockets, window) => ({
  name,
  kind: 'server',
  workload: 'dgram-echo.js',
  mode: 'udp-echo',
  load: () => ['--sockets', String(sockets), '--window', String(window), '--size', String(size)],
  unit: 'datagram',
});

/** @param {string} name @param {string} unit @returns {Cell} */
const timers = (name, unit) => ({
  name: `timers-${name}`,
  kind: 'itself',
  workload: 'timers.js',
  args: () => [name],
  enable: 'timers',
  unit,
});

/** @param {number} gigabytes resident in the parent @param {'pipe' | 'ignore' | 'sync'} stdio @returns {Cell} */
const spawning = (gigabytes, stdio) => ({
  name: `spawn-${gigabytes}gb-${stdio}`,
  kind: 'client',
  workload: 'child-spawn.js',
  args: ({ warmup, seconds }) => [String(gigabytes), stdio, String(warmup), String(seconds)],
  unit: 'child',
});

/** @type {Cell[]} */
export const cells = [
  ...[64, 1, 2, 4, 8, 16, 32].map(http),
  {
    name: 'http-64kb-c16',
    kind: 'server',
    workload: 'http-hello.js',
    args: () => ['65536'],
    mode: 'http',
    load: () => ['--connections', '16', '--size', '65536'],
    unit: 'request',
    bytes: 65536,
  },
  {
    name: 'http-post16k-c16',
    kind: 'server',
    workload: 'http-post-echo.js',
    mode: 'http',
    load: () => ['--connections', '16', '--post', '16384'],
    unit: 'request',
    bytes: 16384,
  },
  echo('tcp-echo-c64', 64, false),
  echo('tcp-echo-c1', 1, false),
  {
    name: 'tcp-bulk-c4',
    kind: 'server',
    workload: 'net-pipe.js',
    mode: 'bulk',
    load: () => ['--connections', '4', '--size', '65536'],
    unit: '64 KB there and back',
    bytes: 65536,
  },
  {
    name: 'tcp-bulk-sink-c4',
    kind: 'server',
    workload: 'net-sink.js',
    mode: 'bulk',
    load: () => ['--connections', '4', '--size', '65536', '--sink'],
    unit: '64 KB in',
    bytes: 65536,
  },
  {
    name: 'bulk-fairness-c6',
    kind: 'server',
    workload: 'net-slow-sink.js',
    args: () => ['20'],
    mode: 'bulk',
    load: () => ['--connections', '6', '--size', '65536', '--sink'],
    unit: '64 KB in',
    bytes: 65536,
    // The kernel lets the window of each connection grow at its own time: shares are uneven until all have.
    lead: 1,
    least: 1,
  },
  {
    name: 'tcp-connect-c32',
    kind: 'server',
    workload: 'net-close.js',
    mode: 'connect',
    load: () => ['--connections', '32', '--size', '64'],
    unit: 'connection',
  },
  {
    name: 'ws-echo-c64',
    kind: 'server',
    workload: 'ws-echo.js',
    mode: 'websocket',
    load: () => ['--connections', '64', '--size', '64'],
    unit: 'message there and back',
  },
  ...[2, 5].map(handler),
  ...[1, 4, 16].map(workers),
  ...['rr', 'none'].map(cluster),
  {
    name: 'ipc-round-trip',
    kind: 'client',
    workload: 'ipc-ping.js',
    args: ({ warmup, seconds }) => ['16', String(warmup), String(seconds)],
    unit: 'round trip',
  },
  client('http-client-agent16', 'http-client.js', 16),
  client('http-client-agent64', 'http-client.js', 64),
  client('fetch-c16', 'fetch-client.js', 16),
  echo('unix-echo-c64', 64, true),
  echo('unix-echo-c1', 1, true),
  {
    name: 'idle-10000',
    kind: 'idle',
    workload: 'net-idle.js',
    args: () => ['10000'],
    mode: 'idle',
    load: () => ['--connections', '10000'],
    unit: 'connection',
  },
  { name: 'startup', kind: 'startup', workload: 'empty.js', unit: 'start' },
  udp('udp-echo-64b-w128', 64, 16, 8),
  udp('udp-echo-64b-w1', 64, 1, 1),
  udp('udp-echo-1400b-w128', 1400, 16, 8),
  {
    name: 'udp-receive-64b',
    kind: 'receiver',
    workload: 'dgram-receive.js',
    args: ({ warmup, seconds }) => [String(warmup), String(seconds)],
    mode: 'udp-flood',
    load: () => ['--size', '64', '--groups'],
    unit: 'datagram',
  },
  {
    name: 'udp-send-64b',
    kind: 'sender',
    workload: 'dgram-send.js',
    args: ({ warmup, seconds }) => [String(warmup), String(seconds)],
    mode: 'udp-sink',
    unit: 'datagram',
  },
  timers('set-clear', 'setTimeout, clearTimeout'),
  timers('set-clear-10000', 'the same, 10,000 durations set before the first is cleared'),
  timers('set-clear-200000', 'the same, 200,000 durations'),
  timers('refresh', 'refresh of one timer'),
  timers('refresh-10000', 'refresh of 10,000 timers in turn'),
  timers('fire', 'timer set and run, 200,000 spread over 100 ms'),
  timers('chain', 'timer of 1 ms set by the one before'),
  timers('idle-million', 'second with a million timers waiting'),
  timers('lateness', 'setTimeout(5) on an idle process'),
  ...[0, 1, 4].flatMap((gigabytes) => [spawning(gigabytes, 'pipe'), spawning(gigabytes, 'ignore')]),
  spawning(1, 'sync'),
  {
    name: 'child-stdout-100mb',
    kind: 'client',
    workload: 'child-stdout.js',
    args: ({ warmup, seconds }) => [String(warmup), String(seconds)],
    unit: '64 KB',
    bytes: 65536,
  },
  https('https-64b-c64', ['--connections', '64']),
  https('https-full-handshake', ['--connections', '16', '--one-shot']),
  https('https-full-handshake-rsa', ['--connections', '16', '--one-shot'], true),
  https('https-resumed-handshake', ['--connections', '16', '--one-shot', '--resume']),
  {
    name: 'storm',
    kind: 'server',
    workload: 'http-beside-https.js',
    args: ({ key, certificate }) => [key, certificate],
    mode: 'storm',
    load: ({ certificate }) => ['--connections', '32', '--rate', '400', '--size', '64', '--tls', certificate],
    unit: 'handshake; the latencies are those of the requests beside it',
    asks: true,
    least: 1,
  },
];

/**
 * The cells named on the command line: a name, or the beginning of some ("http-64b", "tcp"). All of them for none.
 * @param {string[]} wanted
 */
export function select(wanted) {
  if (wanted.length === 0) return cells;
  for (const word of wanted) {
    if (!cells.some((cell) => cell.name.startsWith(word))) throw new Error(`no cell is called ${word}; try --list`);
  }
  // An exact name wins over those it begins: http-64b-c1 is not http-64b-c16.
  const exact = new Set(cells.map((cell) => cell.name));
  return cells.filter((cell) =>
    wanted.some((word) => (exact.has(word) ? cell.name === word : cell.name.startsWith(word))),
  );
}
