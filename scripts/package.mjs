// @ts-check
// `npm run package [-- --target T] [--out DIR] [--repository URL]`: the packages that a user installs. Builds, strips and checks
// the addon of each target, packs it and `tsloop`, installs the tarballs into an empty folder and tries them there. Ends with
// a table and one plain line, as npm test does.
//
//   --target     linux-x64-gnu, linux-arm64-gnu, linux-x64-musl, linux-arm64-musl or all; this machine's by default.
//                Others need a Rust for them: `rustup target add`, or scripts/cross.sh, which also brings what runs them
//   --out        where the tarballs go, with the debug information of each addon; target/packages/out by default
//   --repository the address of the sources for the manifests; that of the forge whose workflow runs this by default
//   --ci         as `npm test` runs it: where the tool chain is not to be had the checkout's own build is packed and tried

import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeOf } from '../test/node-compat/fetch.mjs';
import { BuildError, buildNative, buildSpecs, buildTypeScript } from './build.mjs';
import { runSpecs } from './mocha.mjs';
import { build, faultsOf, hostBuild, strip } from './package/addon.mjs';
import { billOf, noticesOf, partsOf } from './package/contents.mjs';
import { packAddon, packMain, version, versionFault } from './package/tarballs.mjs';
import { targets } from './package/targets.mjs';
import { NotHere, rustVersion, toolsFor } from './package/tools.mjs';
import { foreignNodes, install, remove, smoke } from './package/trial.mjs';
import { root } from './processes.mjs';

/** @typedef {import('./package/targets.mjs').Target} Target */
/** @typedef {{ target: string, what: string, outcome: 'passed' | 'failed' | 'skipped', said: string, count?: number }} Row */

/** Most seconds of the specs of test/package and of test/preload. */
const SECONDS = 280;

/** @type {Row[]} */
const rows = [];

/** @type {string[]} */
const failures = [];

/** @param {string} target @param {string} what @param {string} said */
const passed = (target, what, said) => rows.push({ target, what, outcome: 'passed', said });
/** @param {string} target @param {string} what @param {string} said */
const skipped = (target, what, said) => rows.push({ target, what, outcome: 'skipped', said });
/** @param {string} target @param {string} what @param {string} said */
const failed = (target, what, said) => {
  failures.push(`${target}, ${what}: ${said}`);
  rows.push({ target, what, outcome: 'failed', said });
};

function read() {
  const { values } = parseArgs({
    options: {
      target: { type: 'string' },
      out: { type: 'string', default: 'target/packages/out' },
      repository: { type: 'string' },
      ci: { type: 'boolean', default: false },
      refuse: { type: 'boolean', default: false },
    },
  });
  // What npm runs before `npm publish` in a checkout: packed from here, tsloop would name no native part.
  if (values.refuse) throw new NotHere('publish the tarballs that npm run package makes, not the checkout');
  const own = basename(hostBuild())
    .replace(/^tsloop\.(.*)\.node$/, '$1')
    .replace(/glibc$/, 'gnu');
  const wanted = values.target ?? own;
  const chosen = wanted === 'all' ? [...targets] : targets.filter(({ name }) => name === wanted);
  if (chosen.length === 0) {
    throw new NotHere(`there is no target ${wanted}: ${targets.map(({ name }) => name).join(', ')}, all`);
  }
  // npm runs this in the root; a path is meant from where npm was called.
  const out = resolve(values.out === 'target/packages/out' ? root : (process.env['INIT_CWD'] ?? '.'), values.out);
  const forge =
    process.env['GITHUB_REPOSITORY'] && `${process.env['GITHUB_SERVER_URL']}/${process.env['GITHUB_REPOSITORY']}`;
  return { chosen, own, out, repository: values.repository ?? forge ?? null, ci: values.ci };
}

/**
 * The addon of a target, as the linker left it, and whether the tool chain made it that keeps to an old C library.
 *
 * @param {Target} target
 * @param {{ own: string, ci: boolean }} options
 */
async function made(target, { own, ci }) {
  try {
    const library = await build(target);
    return { library, floor: true, rust: rustVersion((await toolsFor(target)).env) };
  } catch (error) {
    if (!(error instanceof NotHere && ci && target.name === own)) throw error;
    await buildNative();
    skipped(target.name, 'floor', `${error.message}: this checkout's own build is tried instead`);
    return { library: hostBuild(), floor: false, rust: rustVersion(process.env) };
  }
}

/**
 * Builds, checks and packs one target; null where a fault keeps it from being packed.
 *
 * @param {Target} target
 * @param {ReturnType<typeof read>} options
 */
async function packed(target, options) {
  const { out, repository } = options;
  const { library, floor, rust } = await made(target, options);
  const { addon, debug } = strip(target, library, version());
  const { found, faults } = faultsOf(target, addon, { floor });
  if (faults.length > 0) {
    failed(target.name, 'checks', faults.join('; '));
    return null;
  }
  const libraries = found.needed.join(' ');
  passed(
    target.name,
    'checks',
    `${found.size} bytes, ${found.glibc === null ? 'musl' : `glibc ${found.glibc}`}, needs ${libraries}`,
  );
  const parts = partsOf(target, { rust, zig: floor });
  const bill = billOf(target, version(), parts, readFileSync(addon));
  const tarball = packAddon(target, { addon, notices: noticesOf(parts), bill, out, repository });
  mkdirSync(join(out, 'debug'), { recursive: true });
  copyFileSync(debug, join(out, 'debug', basename(debug)));
  passed(
    target.name,
    'packed',
    `${basename(tarball)}, ${statSync(tarball).size} bytes, ${parts.length} parts in the bill`,
  );
  return tarball;
}

/** The Nodes that an installed package is tried on: this one, and the pinned other lines as far as they can be had. */
async function nodes() {
  const named = process.env['TSLOOP_TEST_NODES'];
  if (named !== undefined) return named;
  const pin = JSON.parse(readFileSync(join(root, 'scripts/package/nodes.json'), 'utf8'));
  const found = [process.execPath];
  for (const line of Object.keys(pin.nodes)) {
    if (process.versions.node.startsWith(`${line}.`)) continue;
    const node = await nodeOf(pin, line, console.log);
    if ('missing' in node) skipped('every target', `Node ${line}`, node.missing);
    else found.push(node.binary);
  }
  return found.join();
}

/**
 * Whether the installed packages do what they should, on this machine.
 *
 * @param {Target} target
 * @param {string} folder
 * @param {string} out
 */
async function tryHere(target, folder, out) {
  const product = join(folder, 'node_modules/tsloop');
  const env = { TSLOOP_TEST_PRODUCT: product, TSLOOP_TEST_PACKAGES: out };
  /** @type {[string, NodeJS.ProcessEnv][]} */
  const suites = [
    ['package', { ...env, TSLOOP_TEST_NODES: await nodes() }],
    ['preload', env],
  ];
  for (const [suite, own] of suites) {
    const { why, failures: found, ...counts } = await runSpecs(suite, { seconds: SECONDS, env: own });
    const said = why ?? `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
    failures.push(...found.map((failure) => `test/${suite}: ${failure}`));
    const outcome = counts.failed > 0 ? 'failed' : 'passed';
    rows.push({ target: target.name, what: `test/${suite}`, outcome, said, count: counts.passed });
  }
}

/**
 * The smoke under whatever runs programs of another platform here.
 *
 * @param {Target} target
 * @param {string} folder
 */
async function tryForeign(target, folder) {
  const found = foreignNodes(target);
  if (found.length === 0) skipped(target.name, 'smoke', 'nothing here runs it: bash scripts/cross.sh brings what does');
  for (const node of found) {
    for (const { driver, answer, fault } of await smoke(folder, node)) {
      const what = `smoke, ${basename(node)}, ${driver}`;
      if (fault === null) passed(target.name, what, answer);
      else failed(target.name, what, fault);
    }
  }
}

async function main() {
  const options = read();
  const { chosen, own, out, ci } = options;
  const fault = versionFault();
  if (fault !== null) throw new BuildError(fault);
  await buildTypeScript();
  await buildSpecs();
  // Of another version, or another target, is not what is tried.
  rmSync(out, { recursive: true, force: true });
  const main = packMain(options);
  passed('tsloop', 'packed', `${basename(main)}, ${statSync(main).size} bytes`);
  for (const target of chosen) {
    console.log(`\n-- ${target.name}`);
    try {
      const tarball = await packed(target, options);
      if (tarball === null) continue;
      const folder = await install(target, [main, tarball], { foreign: target.name !== own });
      try {
        passed(target.name, 'installed', 'from the tarballs, offline, into an empty folder');
        if (target.name === own) await tryHere(target, folder, dirname(tarball));
        else await tryForeign(target, folder);
      } finally {
        remove(folder);
      }
    } catch (error) {
      if (!(error instanceof NotHere || error instanceof BuildError)) throw error;
      failed(target.name, 'built', error.message);
    }
  }
  if (ci) {
    for (const { name } of targets.filter((target) => !chosen.includes(target)))
      skipped(name, 'all', `npm run package -- --target ${name}, behind bash scripts/cross.sh`);
  }
  report(out);
}

/** @param {string} out */
function report(out) {
  console.log();
  for (const { target, what, outcome, said } of rows)
    console.log([target.padEnd(17), what.padEnd(26), outcome.padEnd(8), said].join(' '));
  console.log(`\nin ${out}`);
  for (const failure of failures) console.log(`failed: ${failure}`);
  const count = (/** @type {Row['outcome']} */ wanted) =>
    rows.filter(({ outcome }) => outcome === wanted).reduce((sum, { count = 1 }) => sum + count, 0);
  const broken = rows.some(({ outcome }) => outcome === 'failed') ? Math.max(failures.length, 1) : 0;
  console.log(`${count('passed')} passed, ${broken} failed, ${count('skipped')} skipped`);
  process.exitCode = broken > 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BuildError || error instanceof NotHere)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
