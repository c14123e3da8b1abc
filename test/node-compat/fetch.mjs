#!/usr/bin/env node
// @ts-check
// Brings the pinned suite into suite/ (git-ignored): one shallow fetch per pinned commit from the upstream that pin.json names, then the same
// unpacking and check as for any other source. Needs git and a network; with `--suite DIR` it needs neither network nor upstream.
// run.mjs calls it when no copy is at hand. `--write-pin` recomputes sums and counts of the commits in pin.json, for whoever moves the pin.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { blobsOfCommit, findSource, fingerprint, here, prepareSuite, readPin, suiteCache } from './suite.mjs';

/** @param {import('./suite.mjs').Pin} pin @returns {import('./suite.mjs').Source} */
export function fetchUpstream(pin) {
  const gitDir = path.join(suiteCache, 'upstream.git');
  const git = (/** @type {string[]} */ ...args) =>
    execFileSync('git', args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: 600_000 });
  fs.mkdirSync(suiteCache, { recursive: true });
  try {
    if (!fs.existsSync(gitDir)) git('init', '--quiet', '--bare', gitDir);
    for (const { commit } of Object.values(pin.lines))
      git('--git-dir', gitDir, 'fetch', '--quiet', '--depth', '1', pin.upstream, commit);
  } catch (error) {
    // Half of it would be found and used by the next run.
    fs.rmSync(gitDir, { recursive: true, force: true });
    throw error;
  }
  return { kind: 'git', dir: gitDir };
}

async function main() {
  const { values } = parseArgs({ options: { suite: { type: 'string' }, 'write-pin': { type: 'boolean' } } });
  const pin = readPin();
  const source = values.suite ? findSource(pin, values.suite) : fetchUpstream(pin);
  if (!source) throw new Error('no suite found');
  if (values['write-pin']) {
    if (source.kind !== 'git') throw new Error('--write-pin needs a git directory');
    for (const pinned of Object.values(pin.lines))
      Object.assign(pinned, fingerprint(blobsOfCommit(source.dir, pinned.commit)));
    fs.writeFileSync(path.join(here, 'pin.json'), `${JSON.stringify(pin, null, 2)}\n`);
  }
  if (source.kind === 'copy') return console.log(`${source.dir} is a copy already: pass it to run.mjs by --suite`);
  for (const line of Object.keys(pin.lines)) {
    const suite = await prepareSuite(pin, line, source);
    if (suite) console.log(`Node ${line}: ${suite.blobs.size} files of ${pin.lines[line]?.node}, sum as pinned`);
  }
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
