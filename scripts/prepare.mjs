// @ts-check
// What npm runs after `npm ci` in a checkout: lib/ is compiled and the native part built, each only if stale.
//
// In a checkout a missing tool is an error. As a dependency (from git, or linked from elsewhere) it is a sentence: the
// program of the person who installs must not fail over it, as tsloop steps aside without its native part.

import { isAbsolute, relative, sep } from 'node:path';
import { BuildError, buildNative, buildTypeScript } from './build.mjs';
import { root } from './processes.mjs';

/** npm runs this for somebody else's install. */
function isDependency() {
  if (root.split(sep).includes('node_modules')) return true;
  // npm sets it while it prepares a git dependency in a temporary clone.
  if (process.env['_PACOTE_NO_PREPARE_']) return true;
  // The directory npm was called in: outside the checkout, it is another project's install.
  const from = relative(root, process.env['INIT_CWD'] ?? root);
  return from.startsWith('..') || isAbsolute(from);
}

/** @param {() => Promise<void>} step */
async function attempt(step) {
  try {
    await step();
    return true;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`tsloop: ${error.message}`);
    return false;
  }
}

const compiled = await attempt(() => buildTypeScript());
const built = await attempt(() => buildNative());
if (!(compiled && built)) {
  if (isDependency()) console.error('tsloop: installed without a native part; programs run on Node itself.');
  else process.exitCode = 1;
}
