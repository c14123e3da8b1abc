// @ts-check
// `npm run verify [-- loom miri fuzz]`: the proofs that are too slow for every run. A tool that is missing is said to be
// skipped. Ends with one plain line, as npm test does.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isThere, root, run } from './processes.mjs';

/** @typedef {'passed' | 'failed' | 'skipped'} Verdict */

/** Seconds of each fuzz target: a smoke, not a campaign; `cargo fuzz run` by hand for longer. */
const FUZZ_SECONDS = 60;

/** A build of its own each, or every ordinary build after it starts anew. */
const targetOf = (/** @type {string} */ name) => join(root, 'target', name);

/** @param {string} why @returns {Verdict} */
function skip(why) {
  console.log(`skipped: ${why}`);
  return 'skipped';
}

/** @type {Record<string, () => Promise<Verdict>>} */
const proofs = {
  async loom() {
    if (!existsSync(join(root, 'native/core/tests/loom.rs'))) return skip('native/core/tests/loom.rs is not there');
    // Without rustls, here and under miri: neither has anything to say of it, and its C takes minutes to compile.
    const only = ['-p', 'tsloop-core', '--no-default-features', '--test', 'loom'];
    const { code } = await run('cargo', ['test', '--locked', '--release', ...only], {
      env: {
        ...process.env,
        RUSTFLAGS: '--cfg tsloop_loom',
        CARGO_TARGET_DIR: targetOf('loom'),
        // The models are small: linking takes longer than running them.
        CARGO_PROFILE_RELEASE_LTO: 'off',
      },
    });
    return code === 0 ? 'passed' : 'failed';
  },

  async miri() {
    if (!isThere('cargo', ['+nightly', 'miri', '--version'])) return skip('cargo +nightly miri is not installed');
    // Tests that talk to sockets cannot run under miri and are marked so beside the code.
    const { code } = await run(
      'cargo',
      [
        '+nightly',
        'miri',
        'test',
        '--locked',
        '-p',
        'tsloop-core',
        '--no-default-features',
        '--lib',
        '--test',
        'batches',
        '--test',
        'properties',
      ],
      {
        env: { ...process.env, MIRIFLAGS: '-Zmiri-disable-isolation', CARGO_TARGET_DIR: targetOf('miri') },
      },
    );
    return code === 0 ? 'passed' : 'failed';
  },

  async fuzz() {
    const targets = join(root, 'native/fuzz/fuzz_targets');
    if (!existsSync(targets)) return skip('native/fuzz is not there');
    if (!isThere('cargo', ['+nightly', 'fuzz', '--version'])) return skip('cargo-fuzz is not installed');
    for (const file of readdirSync(targets)) {
      const args = ['+nightly', 'fuzz', 'run', '--fuzz-dir', 'native/fuzz', file.replace(/\.rs$/, '')];
      const { code } = await run('cargo', [...args, '--', `-max_total_time=${FUZZ_SECONDS}`, '-max_len=2048'], {
        env: { ...process.env, CARGO_TARGET_DIR: targetOf('fuzz') },
      });
      if (code !== 0) return 'failed';
    }
    return 'passed';
  },
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(proofs, name));
if (unknown.length > 0) {
  console.error(`Nothing here is called ${unknown.join(', ')}; there are ${Object.keys(proofs).join(', ')}.`);
  process.exit(2);
}
const counts = { passed: 0, failed: 0, skipped: 0 };
for (const [name, prove] of Object.entries(proofs)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n== ${name}`);
  counts[await prove()]++;
}
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 ? 1 : 0;
