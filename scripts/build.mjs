// @ts-check
// Builds what is stale: the native part with cargo, lib/ into dist/ and test/ into build/ with tsc.
//
//   node scripts/build.mjs [native] [ts] [specs]     (all three by default; `--force` builds in any case)
//   node scripts/build.mjs probe                     (what test/tls loads into Node: asked for by name alone)

import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle, isBundled } from './bundle.mjs';
import { isThere, root, run } from './processes.mjs';
import { filesUnder, hashOf, isCurrent, keepStamp } from './sources.mjs';

/** A build that cannot be done, or failed; the message is one sentence for the reader. */
export class BuildError extends Error {}

/** Where the native part goes, named as lib/boot/addon.ts looks for it. */
export function addonFile() {
  return `dist/tsloop.${process.platform}-${process.arch}-${libc()}.node`;
}

/** Node says which C library it runs on; here, in a tool, the report's price does not matter. */
function libc() {
  // Without the interfaces, whose names would be looked up one by one.
  Object.assign(process.report, { excludeNetwork: true });
  const report = /** @type {{ header: Record<string, unknown> }} */ (process.report.getReport());
  return report.header['glibcVersionRuntime'] === undefined ? 'musl' : 'glibc';
}

const nativeSources = () =>
  filesUnder(
    ['Cargo.toml', 'Cargo.lock', '.cargo/config.toml', 'native/core', 'native/node', 'native/openssl'],
    (path) => /\.(rs|toml|lock)$/.test(path) && !/^native\/[^/]+\/(tests|benches|target)\//.test(path),
  );

/**
 * Builds the native part unless the one beside the compiled sources was built from these sources.
 *
 * @param {{ force?: boolean }} [options]
 */
export async function buildNative({ force = false } = {}) {
  if (process.platform !== 'linux') {
    throw new BuildError(`There is no native part for ${process.platform} yet: SUPPORTED_PLATFORMS.md.`);
  }
  const output = addonFile();
  const stamp = `${output}.sources`;
  const hash = hashOf(nativeSources());
  if (!force && isCurrent(output, stamp, hash)) return;
  if (!isThere('cargo')) {
    throw new BuildError('The native part needs Rust 1.88 or later (cargo was not found): see https://rustup.rs.');
  }
  console.log(`Building the native part (${output}) ...`);
  const { code } = await run('cargo', ['build', '--release', '--locked', '-p', 'tsloop-node']);
  if (code !== 0) throw new BuildError('The native part did not build: cargo says why above.');
  mkdirSync(join(root, 'dist'), { recursive: true });
  // Renamed into place: a process that has the old file loaded keeps its own copy of it.
  const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
  copyFileSync(join(target, 'release', 'libtsloop_node.so'), join(root, `${output}.new`));
  renameSync(join(root, `${output}.new`), join(root, output));
  keepStamp(stamp, hash);
}

/** Builds the addon through which test/tls asks native/openssl inside a live Node. Cargo knows whether it is stale. */
export async function buildProbe() {
  if (!isThere('cargo')) throw new BuildError('The probe of test/tls needs cargo, which was not found.');
  const { code } = await run('cargo', ['build', '--locked', '--quiet', '-p', 'tsloop-probe']);
  if (code !== 0) throw new BuildError('The probe of test/tls did not build: cargo says why above.');
  mkdirSync(join(root, 'build'), { recursive: true });
  const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
  // Renamed into place, as the addon is: tests that still run keep what they have loaded.
  copyFileSync(join(target, 'debug', 'libtsloop_probe.so'), join(root, 'build/tsloop-probe.node.new'));
  renameSync(join(root, 'build/tsloop-probe.node.new'), join(root, 'build/tsloop-probe.node'));
}

/** The compiler of the checkout, or null where development dependencies were left out. */
export function compiler() {
  try {
    const require = createRequire(join(root, 'package.json'));
    const manifest = require.resolve('typescript/package.json');
    const { bin } = JSON.parse(readFileSync(manifest, 'utf8'));
    return join(manifest, '..', bin.tsc);
  } catch {
    return null;
  }
}

/**
 * Compiles one project unless its output is of these sources.
 *
 * @param {{ project: string, sources: string, output: string, probe: string, force: boolean, passes?: string[][], after?: () => void }} what
 */
async function compile({ project, sources, output, probe, force, passes = [[]], after }) {
  const files = filesUnder([sources, 'tsconfig.json', project, 'package-lock.json'], (path) =>
    /\.(c|m)?ts$|\.json$/.test(path),
  );
  const stamp = `${output}/.sources-of-${sources}`;
  // What is made of the output by the step after it depends on that step as well.
  const hash = hashOf(files, after === undefined ? '' : readFileSync(join(root, 'scripts/bundle.mjs'), 'utf8'));
  if (!force && isCurrent(`${output}/${probe}`, stamp, hash)) return;
  const tsc = compiler();
  if (tsc === null) throw new BuildError('TypeScript is not installed: run npm ci with development dependencies.');
  console.log(`Compiling ${sources}/ to ${output}/ ...`);
  // A change that does not compile must not leave a stamp that calls the old output current.
  rmSync(join(root, stamp), { force: true });
  for (const options of passes) {
    const { code } = await run(process.execPath, [tsc, '-p', project, ...options]);
    if (code !== 0) throw new BuildError(`${sources}/ did not compile: tsc says why above.`);
  }
  removeOrphans(sources, output);
  after?.();
  keepStamp(stamp, hash);
}

/**
 * Removes outputs whose source is gone, lest a deleted module live on in a package or a test run.
 *
 * @param {string} sources
 * @param {string} output
 */
function removeOrphans(sources, output) {
  for (const file of filesUnder([output], (path) => /\.(d\.)?[cm]?(js|ts)$/.test(path))) {
    const stem = file.slice(output.length + 1).replace(/\.(d\.)?[cm]?(js|ts)$/, '');
    const kept = ['.ts', '.mts', '.cts', '.d.ts'].some((end) => existsSync(join(root, sources, stem + end)));
    if (!kept) rmSync(join(root, file));
  }
}

/** @param {{ force?: boolean }} [options] */
export async function buildTypeScript({ force = false } = {}) {
  await compile({
    project: 'tsconfig.json',
    sources: 'lib',
    output: 'dist',
    probe: 'bundle.js',
    force: force || !isBundled(),
    // Without comments, as V8 keeps the text of every module; they stay in the declarations, where editors look.
    passes: [['--removeComments', '--declaration', 'false'], ['--emitDeclarationOnly']],
    after: bundle,
  });
  const main = join(root, 'dist/cli/main.js');
  if (existsSync(main)) chmodSync(main, 0o755);
}

/** @param {{ force?: boolean }} [options] */
export async function buildSpecs({ force = false } = {}) {
  await compile({ project: 'test/tsconfig.json', sources: 'test', output: 'build', probe: '', force });
}

async function main() {
  const args = process.argv.slice(2);
  const force = args.includes('--force');
  const names = args.filter((name) => !name.startsWith('--'));
  const wants = (/** @type {string} */ name) => names.length === 0 || names.includes(name);
  if (wants('native')) await buildNative({ force });
  if (wants('ts')) await buildTypeScript({ force });
  if (wants('specs')) await buildSpecs({ force });
  if (names.includes('probe')) await buildProbe();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  main().catch((error) => {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  });
}
