// @ts-check
// `npm run bench`: unmodified programs on plain Node and under tsloop, in turn. README.md beside this file says how to read
// what it prints.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { calmly } from './calm.mjs';
import { select } from './cells.mjs';
import { judge } from './figures.mjs';
import { measure } from './measure.mjs';
import { readOptions, usage } from './options.mjs';
import { makeCertificate, onPath, startPeer } from './peer.mjs';
import { picture } from './picture.mjs';
import { expected, inWords, progress } from './progress.mjs';
import { writeRecord } from './record.mjs';
import { measureRound, slicesOf } from './slices.mjs';
import { cellTable, summary } from './table.mjs';

/** @typedef {import('./cells.mjs').Cell} Cell */
/** @typedef {import('./figures.mjs').Sample} Sample */
/** @typedef {import('./sample.mjs').Variant} Variant */
/** @typedef {import('./options.mjs').Options} Options */
/** @typedef {import('./table.mjs').Result} Result */

const root = fileURLToPath(new URL('..', import.meta.url));

/** The environment of every program: nothing that costs time by itself, nothing of tsloop left over from outside. */
function cleanEnvironment() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (name.startsWith('TSLOOP') || name.startsWith('npm_')) delete env[name];
  }
  // It adds 90 ms to every start and OpenSSL work to contexts; the others change what is measured as well.
  for (const name of ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS', 'NODE_DEBUG', 'NODE_V8_COVERAGE']) delete env[name];
  return env;
}

/** @param {Options} options @returns {Variant[]} */
function chooseVariants(options) {
  const env = cleanEnvironment();
  const plain = { name: 'plain', command: options.node, args: [], env, tsloop: false };
  if (options.self) return [plain, { ...plain, name: 'plain-again' }];
  const hook = join(root, 'register.js');
  const under = options.drivers.map((driver) => ({
    name: `tsloop-${driver}`,
    command: options.node,
    args: ['-r', hook],
    // Strict: a run that fell back to Node's own handles must fail, not be measured.
    env: { ...env, TSLOOP_STRICT: '1', TSLOOP_DRIVER: driver },
    tsloop: true,
  }));
  return [plain, ...under, ...(options.peers ? choosePeers(env) : [])];
}

/** @param {NodeJS.ProcessEnv} env @returns {Variant[]} */
function choosePeers(env) {
  const { peers } = JSON.parse(readFileSync(new URL('peers.json', import.meta.url), 'utf8'));
  return peers.flatMap((/** @type {{ name: string, command: string, args: string[] }} */ peer) => {
    const command = onPath(peer.command);
    if (!command) console.error(`${peer.name} is not on the PATH: left out`);
    return command ? [{ name: peer.name, command, args: peer.args, env, tsloop: false }] : [];
  });
}

/** Builds the load generator if need be, and says where it is. */
function buildLoadgen() {
  const cargo = ['build', '--release', '--quiet', '--jobs', '2', '--message-format=json', '-p', 'tsloop-loadgen'];
  const { status, stdout, error } = spawnSync('cargo', cargo, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`cargo could not build tsloop-loadgen${error ? `: ${error.message}` : ''}`);
  for (const line of stdout.split('\n')) {
    if (!line.includes('"compiler-artifact"')) continue;
    const { executable, target } = JSON.parse(line);
    if (executable && target.name === 'tsloop-loadgen') return executable;
  }
  throw new Error('cargo built no tsloop-loadgen');
}

/** @param {Options} options */
function describeMachine(options) {
  const node = execFileSync(options.node, ['--version'], { encoding: 'utf8', env: cleanEnvironment() }).trim();
  const processors = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return {
    node,
    tsloop: version,
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGb: memory,
    kernel: release(),
    date: new Date().toISOString(),
  };
}

/**
 * One round of a cell of which a sample is a process: every variant once. Who goes first moves on by one each round, so that
 * no variant always meets the machine as the same neighbour left it.
 * @param {Cell} cell @param {Variant[]} variants @param {import('./cells.mjs').Context} context @param {string} loadgen
 * @param {number} round @returns {Promise<Sample[][]>} by variant, in the order given
 */
async function measureEach(cell, variants, context, loadgen, round) {
  /** @type {Sample[][]} */
  const samples = variants.map(() => []);
  for (let place = 0; place < variants.length; place += 1) {
    const index = (place + round) % variants.length;
    const variant = /** @type {Variant} */ (variants[index]);
    samples[index] = await calmly(context.calm, async () => [await measure(cell, variant, context, loadgen)]);
  }
  return samples;
}

/** @param {Cell} cell @param {Options} options */
function roundsOf(cell, options) {
  return cell.kind === 'startup' ? options.rounds * options.repetitions : options.rounds;
}

/**
 * @param {Cell} cell @param {Variant[]} variants @param {Options} options
 * @param {import('./cells.mjs').Context} context @param {string} loadgen
 * @param {ReturnType<typeof progress>} line @returns {Promise<Result>}
 */
async function runCell(cell, variants, options, context, loadgen, line) {
  /** @type {Record<string, Sample[]>} */
  const samples = Object.fromEntries(variants.map(({ name }) => [name, []]));
  const rounds = roundsOf(cell, options);
  const about = { name: cell.name, unit: cell.unit, bytes: cell.bytes, samples };
  const take = cell.kind === 'server' ? measureRound : measureEach;
  try {
    for (let round = 0; round < rounds; round += 1) {
      line.show(cell.name);
      const taken = await take(cell, variants, context, loadgen, round);
      for (const [index, { name }] of variants.entries()) samples[name]?.push(...(taken[index] ?? []));
      line.over();
    }
  } catch (error) {
    return { ...about, goals: [], failure: error instanceof Error ? error.message : String(error) };
  }
  const broken = Object.values(samples)
    .flat()
    .reduce((sum, sample) => sum + sample.errors, 0);
  return { ...about, goals: judge(cell.name, samples), failure: broken > 0 ? `${broken} wrong answers` : undefined };
}

/** @param {Options} options */
async function main(options) {
  const chosen = select(options.cells);
  const variants = chooseVariants(options);
  const hook = join(root, 'dist/register.js');
  if (variants.some(({ tsloop }) => tsloop) && !existsSync(hook)) throw new Error('not built: npm run build first');
  // What measures itself needs none, and building it takes minutes.
  const loadgen = chosen.every(({ kind }) => kind === 'itself') ? '' : buildLoadgen();
  const scratch = mkdtempSync(join(tmpdir(), 'tsloop-bench-'));
  const [ec, rsa] = [makeCertificate(scratch, 'ec'), makeCertificate(scratch, 'rsa')];
  /** @type {ReturnType<typeof startPeer> | undefined} */
  let peer;
  const context = {
    scratch,
    key: ec.key,
    certificate: ec.certificate,
    rsaKey: rsa.key,
    rsaCertificate: rsa.certificate,
    warmup: options.warmup,
    seconds: options.seconds,
    slice: options.slice,
    calm: options.calm,
    peer: async () => {
      peer ??= startPeer(loadgen, scratch, cleanEnvironment());
      return (await peer).url;
    },
  };
  const machine = describeMachine(options);
  const caption = `Node ${machine.node}, ${machine.cores} × ${machine.processor}, Linux ${machine.kernel}, ${options.rounds} rounds of ${options.seconds} s (servers: ${slicesOf(options)} slices of ${options.slice} s)`;
  console.log(`${caption}\nAbout ${inWords(expected(chosen, options, variants.length))} for ${chosen.length} cells.\n`);
  const line = progress(
    process.stderr,
    chosen.reduce((sum, cell) => sum + roundsOf(cell, options), 0),
  );
  /** @type {Result[]} */
  const results = [];
  const colour = process.stdout.isTTY === true;
  try {
    for (const cell of chosen) {
      const result = await runCell(cell, variants, options, context, loadgen, line);
      line.clear();
      results.push(result);
      console.log(cellTable(result, colour));
    }
    console.log(summary(results, colour));
    const { rounds, seconds, slice, warmup } = options;
    const clientPeer = peer ? (await peer).name : undefined;
    if (options.json) writeRecord(options.json, { machine, rounds, seconds, slice, warmup, clientPeer, results });
    const drawn = variants[1]?.name;
    if (options.svg && drawn) writeFileSync(options.svg, picture(results, drawn, caption));
  } finally {
    await peer?.then((server) => server.stop());
    rmSync(scratch, { recursive: true, force: true });
  }
  // A goal that is not met is a result; a cell that could not be measured is a failure.
  if (results.some((result) => result.failure)) process.exitCode = 1;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(usage);
  else if (options.list)
    for (const cell of select(options.cells)) console.log(`${cell.name.padEnd(26)}${cell.workload}, per ${cell.unit}`);
  else await main(options);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
